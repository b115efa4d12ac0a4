"""Reads tokens: one-hot rows or learned embeddings, and recurrent layers over them."""

from dataclasses import dataclass
from functools import partial

import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from workers.text.recurrent import FAST, Cell, Recurrent, State

# One-hot rows of more numbers are never written down: the equations in Python, which pick columns
# of W_x, are faster from there on. An LSTM of 256 on one core reads 26,000 tokens a second by
# torch.nn and 18,000 by the equations for rows of 512 numbers; 7,000 and 15,000 for 2048.
WIDEST_ROW = 800


@dataclass(frozen=True)
class Architecture:
    """What a network looks like."""

    cell: Cell = "lstm"
    hidden: int = 256
    layers: int = 1
    embedding: int | None = None  # numbers for a token; None: one-hot rows
    bidirectional: bool = False
    dropout: float = 0.0  # behind the embedding, between layers, and behind the last one
    tied: bool = False  # the output has the weights of the embedding
    written_out: bool = False  # the equations instead of torch.nn


class Reader(nn.Module):
    """Tokens -> what the recurrent layers make of them."""

    def __init__(self, architecture: Architecture, words: int) -> None:
        """`words`: how many indices there are."""
        super().__init__()
        shape = architecture
        self.words, self.dropout = words, shape.dropout
        self.outputs = shape.hidden * (2 if shape.bidirectional else 1)
        self.embedding = None if shape.embedding is None else nn.Embedding(words, shape.embedding)
        if self.embedding is not None:
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)
        inputs = words if shape.embedding is None else shape.embedding
        wide = shape.embedding is None and words > WIDEST_ROW
        written_out = shape.written_out or wide
        make = partial(Recurrent, shape.cell) if written_out else FAST[shape.cell]
        self.layers: nn.Module = make(
            inputs,
            shape.hidden,
            shape.layers,
            dropout=shape.dropout if shape.layers > 1 else 0.0,
            bidirectional=shape.bidirectional,
        )

    def forward(
        self, tokens: Tensor, state: State | None = None, lengths: Tensor | None = None
    ) -> tuple[Tensor, State]:
        """(T, B) int64 -> (T, B, outputs), and the last states.

        With `lengths`, (B,), what lies behind a row's length is not read; its outputs are 0.
        """
        rows = self._write_rows(tokens)
        if isinstance(self.layers, Recurrent):
            outputs, last = self.layers(rows, state, lengths)
        elif lengths is None:
            outputs, last = self.layers(rows, state)
        else:
            packed = pack_padded_sequence(rows, lengths.cpu(), enforce_sorted=False)
            outputs, last = self.layers(packed, state)
            outputs, _ = pad_packed_sequence(outputs, total_length=len(tokens))
        return F.dropout(outputs, self.dropout, self.training), last

    def _write_rows(self, tokens: Tensor) -> Tensor:
        if self.embedding is not None:
            return F.dropout(self.embedding(tokens), self.dropout, self.training)
        if isinstance(self.layers, Recurrent):
            return tokens
        return F.one_hot(tokens, self.words).to(self.layers.get_parameter("weight_ih_l0").dtype)
