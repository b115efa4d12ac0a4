"""Recurrent layers written out from their equations, with the parameters of torch.nn's."""

import math
from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Cell = Literal["rnn", "gru", "lstm"]
State = Tensor | tuple[Tensor, Tensor]  # h, or (h, c) of an LSTM; each (layers * directions, B, H)
Memory = tuple[Tensor, ...]  # of one layer and direction: (h,) or (h, c), each (B, H)
Step = Callable[[Tensor, Memory, Tensor, Tensor], Memory]

FAST = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}  # the same, without the equations


def step_rnn(x: Tensor, memory: Memory, weight: Tensor, bias: Tensor) -> Memory:
    """h' = tanh(W_x x + b_x + W_h h + b_h); `x` is W_x x + b_x, (B, H)."""
    return (torch.tanh(x + F.linear(memory[0], weight, bias)),)


def step_gru(x: Tensor, memory: Memory, weight: Tensor, bias: Tensor) -> Memory:
    """Cho et al. 2014; `x` is (B, 3H) with the gates r, z, n.

    As in torch.nn, the reset gate is applied to the product W_h h + b_h, not to h.
    """
    (h,) = memory
    from_x, from_h = x.chunk(3, 1), F.linear(h, weight, bias).chunk(3, 1)
    reset = torch.sigmoid(from_x[0] + from_h[0])
    update = torch.sigmoid(from_x[1] + from_h[1])
    new = torch.tanh(from_x[2] + reset * from_h[2])
    return ((1 - update) * new + update * h,)


def step_lstm(x: Tensor, memory: Memory, weight: Tensor, bias: Tensor) -> Memory:
    """Hochreiter & Schmidhuber 1997, with a forget gate; `x` is (B, 4H), the gates i, f, g, o."""
    h, c = memory
    i, f, g, o = (x + F.linear(h, weight, bias)).chunk(4, 1)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


STEPS: dict[Cell, tuple[Step, int, int]] = {  # step, gates, parts of the memory
    "rnn": (step_rnn, 1, 1),
    "gru": (step_gru, 3, 1),
    "lstm": (step_lstm, 4, 2),
}


class Recurrent(nn.Module):
    """One or more recurrent layers, read one way or both.

    Parameters have the names, shapes and first values of torch.nn.RNN, GRU and LSTM: the state
    dict of one loads into the other.
    """

    def __init__(
        self,
        cell: Cell,
        inputs: int,
        hidden: int,
        layers: int = 1,
        dropout: float = 0.0,
        bidirectional: bool = False,
    ) -> None:
        """`dropout` is the chance in [0, 1) that a number between two layers becomes 0."""
        super().__init__()
        self.step, gates, self.parts = STEPS[cell]
        self.hidden, self.layers, self.dropout = hidden, layers, dropout
        self.ways = ("", "_reverse") if bidirectional else ("",)
        for layer in range(layers):
            size = inputs if layer == 0 else hidden * len(self.ways)
            for way in self.ways:
                end = f"l{layer}{way}"
                self._add(f"weight_ih_{end}", gates * hidden, size)
                self._add(f"weight_hh_{end}", gates * hidden, hidden)
                self._add(f"bias_ih_{end}", gates * hidden)
                self._add(f"bias_hh_{end}", gates * hidden)

    def _add(self, name: str, *shape: int) -> None:
        bound = 1 / math.sqrt(self.hidden)
        self.register_parameter(name, nn.Parameter(torch.empty(shape).uniform_(-bound, bound)))

    def _get(self, what: str, end: str) -> tuple[Tensor, Tensor]:
        return self.get_parameter(f"weight_{what}_{end}"), self.get_parameter(f"bias_{what}_{end}")

    def forward(
        self, inputs: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """(T, B, inputs) -> (T, B, directions * H), and the last (layers * directions, B, H).

        Integers (T, B) stand for one-hot rows: they pick the columns of W_x. With `lengths`, (B,),
        what lies behind a row's length is not read, and its outputs are 0.
        """
        batch = inputs.shape[1]
        memories = self._unpack(state, batch)
        last: list[Memory] = []
        for layer in range(self.layers):
            if layer and self.training and self.dropout:
                inputs = F.dropout(inputs, self.dropout)
            outputs = []
            for way in self.ways:
                output, memory = self._scan(f"l{layer}{way}", inputs, memories[len(last)], lengths)
                outputs.append(output)
                last.append(memory)
            inputs = torch.cat(outputs, 2)
        return inputs, self._pack(last)

    def _scan(
        self, end: str, inputs: Tensor, memory: Memory, lengths: Tensor | None
    ) -> tuple[Tensor, Memory]:
        """One layer in one direction: (outputs, the last memory)."""
        weight, bias = self._get("hh", end)
        gates = self._project(end, inputs)  # of all steps at once: only W_h h has to wait
        times = range(len(inputs) - 1, -1, -1) if end.endswith("_reverse") else range(len(inputs))
        outputs: dict[int, Tensor] = {}
        for time in times:
            new = self.step(gates[time], memory, weight, bias)
            if lengths is not None:
                inside = (lengths > time).unsqueeze(1)
                new = tuple(torch.where(inside, a, b) for a, b in zip(new, memory, strict=True))
                outputs[time] = new[0] * inside
            else:
                outputs[time] = new[0]
            memory = new
        return torch.stack([outputs[time] for time in range(len(inputs))]), memory

    def _project(self, end: str, inputs: Tensor) -> Tensor:
        weight, bias = self._get("ih", end)
        if inputs.is_floating_point():
            return F.linear(inputs, weight, bias)
        return F.embedding(inputs, weight.t()) + bias

    def _unpack(self, state: State | None, batch: int) -> list[Memory]:
        """The memory of each layer and direction, in the order of torch.nn."""
        count = self.layers * len(self.ways)
        if state is None:
            like = self.get_parameter("weight_hh_l0")
            zeros = like.new_zeros(batch, self.hidden)
            return [(zeros,) * self.parts] * count
        parts = state if isinstance(state, tuple) else (state,)
        return [tuple(part[place] for part in parts) for place in range(count)]

    def _pack(self, memories: list[Memory]) -> State:
        parts = [torch.stack(part) for part in zip(*memories, strict=True)]
        return parts[0] if self.parts == 1 else (parts[0], parts[1])
