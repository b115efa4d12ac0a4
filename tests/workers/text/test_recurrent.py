"""Recurrent layers compute what torch.nn's do, of the same parameters."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from workers.text.recurrent import FAST, Cell, Recurrent, State, step_gru, step_lstm, step_rnn

T, B, INPUTS, HIDDEN, LAYERS = 7, 3, 5, 4, 2
CELLS: tuple[Cell, ...] = ("rnn", "gru", "lstm")


def make_pair(cell: Cell, dtype: torch.dtype, **options: bool) -> tuple[Recurrent, torch.nn.Module]:
    torch.manual_seed(0)
    ours = Recurrent(cell, INPUTS, HIDDEN, LAYERS, **options).to(dtype)
    theirs = FAST[cell](INPUTS, HIDDEN, LAYERS, **options).to(dtype)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def make_state(cell: Cell, dtype: torch.dtype, ways: int) -> State:
    h, c = torch.randn(2, LAYERS * ways, B, HIDDEN, dtype=dtype)
    return (h, c) if cell == "lstm" else h


def list_parts(state: State) -> tuple[Tensor, ...]:
    return state if isinstance(state, tuple) else (state,)


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("carried", [False, True])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)])
def test_outputs_and_gradients_are_those_of_torch(
    cell: Cell, bidirectional: bool, carried: bool, dtype: torch.dtype, tolerance: float
):
    ours, theirs = make_pair(cell, dtype, bidirectional=bidirectional)
    inputs = torch.randn(T, B, INPUTS, dtype=dtype)
    state = make_state(cell, dtype, 1 + bidirectional) if carried else None
    weights = torch.randn(T, B, HIDDEN * (1 + bidirectional), dtype=dtype)
    found = []
    for network in (ours, theirs):
        outputs, last = network(inputs, state)
        ((outputs * weights).sum() + sum(part.sum() for part in list_parts(last))).backward()
        gradients = [parameter.grad for parameter in network.parameters()]
        found.append([outputs, *list_parts(last), *gradients])
    assert [name for name, _ in ours.named_parameters()] == [
        name for name, _ in theirs.named_parameters()
    ]
    for mine, other in zip(*found, strict=True):
        scale = max(1.0, other.abs().max().item())
        assert (mine - other).abs().max() <= tolerance * scale


@pytest.mark.parametrize("cell", CELLS)
def test_first_values_are_spread_as_in_torch(cell: Cell):
    torch.manual_seed(0)
    ours, theirs = Recurrent(cell, 64, 64), FAST[cell](64, 64)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert mine.abs().max() <= 1 / 8
        assert mine.std().item() == pytest.approx(other.std().item(), rel=0.15)


@pytest.mark.parametrize("cell", CELLS)
def test_integers_stand_for_one_hot_rows(cell: Cell):
    ours, _ = make_pair(cell, torch.float64)
    tokens = torch.randint(INPUTS, (T, B))
    found = []
    for inputs in (tokens, F.one_hot(tokens, INPUTS).double()):
        ours.zero_grad()
        outputs, _ = ours(inputs)
        outputs.sum().backward()
        found.append((outputs, ours.get_parameter("weight_ih_l0").grad))
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=1e-14)


@pytest.mark.parametrize("cell", CELLS)
def test_what_lies_behind_a_length_is_not_read(cell: Cell):
    ours, theirs = make_pair(cell, torch.float64, bidirectional=True)
    inputs, lengths = torch.randn(T, B, INPUTS, dtype=torch.float64), torch.tensor([3, 7, 1])
    outputs, last = ours(inputs, None, lengths)
    packed, wanted_last = theirs(pack_padded_sequence(inputs, lengths, enforce_sorted=False))
    wanted, _ = pad_packed_sequence(packed)
    torch.testing.assert_close(outputs, wanted, rtol=0, atol=1e-14)
    torch.testing.assert_close(list_parts(last), list_parts(wanted_last), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("step", "gates", "parts"), [(step_rnn, 1, 1), (step_gru, 3, 1), (step_lstm, 4, 2)]
)
def test_steps_are_differentiated_right(step, gates: int, parts: int):
    torch.manual_seed(0)

    def make(*shape: int) -> Tensor:
        return torch.randn(shape, dtype=torch.float64, requires_grad=True)

    memory = [make(2, 3) for _ in range(parts)]

    def run(x: Tensor, weight: Tensor, bias: Tensor, *memory: Tensor) -> tuple[Tensor, ...]:
        return step(x, memory, weight, bias)

    assert torch.autograd.gradcheck(
        run, (make(2, 3 * gates), make(3 * gates, 3), make(3 * gates), *memory)
    )


def test_dropout_is_between_layers_and_only_while_learning():
    ours = Recurrent("gru", INPUTS, HIDDEN, LAYERS, dropout=0.5)
    inputs = torch.randn(T, B, INPUTS)
    assert not torch.equal(ours(inputs)[0], ours(inputs)[0])
    ours.eval()
    assert torch.equal(ours(inputs)[0], ours(inputs)[0])
