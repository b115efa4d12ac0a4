"""Skip-gram and CBOW with negative sampling: what a batch costs, and its gradients by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from workers.text.pairs import Batch

Method = Literal["skip-gram", "cbow"]

# The learning rate times the terms of the loss that a vector may follow at once. word2vec looks
# anew after every few terms; a batch that holds a frequent word a hundred times would shoot beyond
# the mark, and further with each one.
STRIDE = 4.0


class Table:
    """A vector for each word; row 0 is no word's, and zero."""

    def __init__(self, vectors: Tensor) -> None:
        """(V + 1, d)."""
        self.vectors = vectors
        self._load = vectors.new_zeros(len(vectors))  # zero between two moves

    def __getitem__(self, rows: Tensor) -> Tensor:
        return F.embedding(rows, self.vectors)

    def move(self, slope: "Slope", rate: float) -> None:
        """Down the gradient, a row that occurs twice twice, but none further than STRIDE."""
        self._load.index_add_(0, slope.rows, slope.terms)
        share = (STRIDE / (rate * self._load[slope.rows])).clamp(max=1)
        self._load.index_fill_(0, slope.rows, 0)
        self.vectors.index_add_(0, slope.rows, slope.values * share.unsqueeze(1), alpha=-rate)


@dataclass(frozen=True)
class Tables:
    inputs: Table  # a word where it is read: the embedding
    outputs: Table  # a word where it is predicted

    @classmethod
    def start(cls, words: int, dimensions: int, seed: int, device: torch.device) -> "Tables":
        """As word2vec: small random inputs, outputs of zero."""
        chance = torch.Generator().manual_seed(seed)
        inputs = (torch.rand(words + 1, dimensions, generator=chance) - 0.5) / dimensions
        inputs[0] = 0
        return cls(Table(inputs.to(device)), Table(torch.zeros_like(inputs, device=device)))

    def move(self, step: "Step", rate: float) -> None:
        self.inputs.move(step.read, rate)
        self.outputs.move(step.predicted, rate)


@dataclass(frozen=True)
class Slope:
    """The gradient of R rows of a table."""

    rows: Tensor  # (R,) int64; a row may occur many times
    values: Tensor  # (R, d)
    terms: Tensor  # (R,): of how many terms of the loss each is the sum


@dataclass(frozen=True)
class Step:
    """The gradients of a batch."""

    read: Slope
    predicted: Slope
    scores: "Scores"


@dataclass(frozen=True)
class Scores:
    """How C contexts score Q words in each of G groups, and what should have been."""

    logits: Tensor  # (G, C, Q)
    targets: Tensor  # (G, C, Q): how often the pair is true
    weights: Tensor  # (G, C, Q): how often it counts at all

    def slope(self) -> Tensor:
        """The derivative of the loss by the logits."""
        return torch.sigmoid(self.logits) * self.weights - self.targets

    def loss(self) -> Tensor:
        """Nats: -log s(x) of the true pairs and -log s(-x) of the others, by their weights."""
        return (F.softplus(self.logits) * self.weights - self.logits * self.targets).sum()

    def measure(self) -> tuple[float, float]:
        """The loss, and of how many true pairs it is."""
        return self.loss().item(), self.targets.sum().item()


def differentiate_skip_gram(tables: Tables, batch: Batch, negatives: int) -> Step:
    """Each word predicts the words around it (Mikolov et al. 2013)."""
    predicted = torch.cat([batch.around, batch.negatives], 1)
    contexts, words = tables.inputs[batch.centres], tables.outputs[predicted]  # (G, C | Q, d)
    scores = _score(contexts, words, batch.near, batch.near.sum(2), negatives)
    slope = scores.slope()
    return Step(
        _sum_up(batch.centres, slope @ words, scores.weights.sum(2)),
        _sum_up(predicted, slope.mT @ contexts, scores.weights.sum(1)),
        scores,
    )


def differentiate_cbow(tables: Tables, batch: Batch, negatives: int) -> Step:
    """The mean of the words around predicts the word between them (Mikolov et al. 2013).

    As in word2vec, each word around moves by the whole gradient of the mean, not by its part.
    """
    predicted = torch.cat([batch.centres, batch.negatives], 1)
    count = batch.near.sum(2, keepdim=True)
    contexts = batch.near @ tables.inputs[batch.around] / count.clamp(min=1)  # (G, C, d)
    words = tables.outputs[predicted]  # (G, Q, d)
    own = (count > 0) * torch.eye(count.shape[1], dtype=count.dtype, device=count.device)
    scores = _score(contexts, words, own, own.sum(2), negatives)
    slope = scores.slope()
    terms = scores.weights.sum(2, keepdim=True)
    return Step(
        _sum_up(batch.around, batch.near.mT @ (slope @ words), batch.near.mT @ terms),
        _sum_up(predicted, slope.mT @ contexts, scores.weights.sum(1)),
        scores,
    )


def _sum_up(rows: Tensor, values: Tensor, terms: Tensor) -> Slope:
    return Slope(rows.flatten(), values.flatten(0, 1), terms.flatten())


def _score(contexts: Tensor, words: Tensor, true: Tensor, pairs: Tensor, negatives: int) -> Scores:
    """One matrix product for a group: its negatives are shared, and weigh less the more there are.

    `true` (G, C, Q - N), of which each context has `pairs` (G, C).
    """
    shared = words.shape[1] - true.shape[2]
    drawn = (pairs * (negatives / shared)).unsqueeze(2).expand(-1, -1, shared)
    targets = F.pad(true, (0, shared))
    return Scores(contexts @ words.mT, targets, torch.cat([true, drawn], 2))


Differentiate = Callable[[Tables, Batch, int], Step]
METHODS: dict[Method, Differentiate] = {
    "skip-gram": differentiate_skip_gram,
    "cbow": differentiate_cbow,
}
