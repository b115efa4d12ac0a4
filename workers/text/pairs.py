"""Words and those around them, drawn from a corpus for word embeddings."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from torch import Tensor

GROUP = 32  # words of a stretch of the corpus that share the words around and the negatives
GROUPS = 16  # of a batch, from all over the corpus: neighbours would all move the same vectors
NEGATIVES = 32  # of a group
SMOOTHING = 0.75  # negatives are drawn by count ** SMOOTHING (Mikolov et al. 2013)


@dataclass(frozen=True)
class Sentences:
    """A corpus without its unknown words."""

    tokens: np.ndarray  # (T,) int64, from 1 on
    numbers: np.ndarray  # (T,) int64, rising from 0: the sentence each token is of

    @classmethod
    def build(cls, sentences: list[np.ndarray]) -> "Sentences":
        """From the indices of each sentence, in which 0 is an unknown word."""
        tokens = np.concatenate([np.zeros(0, np.int64), *sentences])
        numbers = np.repeat(np.arange(len(sentences)), [len(one) for one in sentences])
        return cls(tokens[tokens > 0], numbers[tokens > 0])

    def thin(self, kept: np.ndarray, chance: np.random.Generator) -> "Sentences":
        """Keep each token by the probability of its word, (words + 1,)."""
        stay = chance.random(len(self.tokens)) < kept[self.tokens]
        return Sentences(self.tokens[stay], self.numbers[stay])

    def reach(self, window: int, chance: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """How many words on the left and on the right belong to each, (T + GROUP,) int8.

        Each draws its own window, 1 to `window`, so that nearer words count more; it ends with
        the sentence.
        """
        size = chance.integers(1, window + 1, len(self.tokens))
        places = np.arange(len(self.tokens))
        first = np.searchsorted(self.numbers, self.numbers, "left")
        behind = np.searchsorted(self.numbers, self.numbers, "right")
        sides = np.minimum(size, places - first), np.minimum(size, behind - places - 1)
        left, right = (np.pad(side, (0, GROUP)).astype(np.int8) for side in sides)
        return left, right


@dataclass(frozen=True)
class Batch:
    """G groups of C centres each, W words around them, and N negatives."""

    centres: Tensor  # (G, C) int64, 0 where the corpus has ended
    around: Tensor  # (G, W) int64, the centres and `window` words on each side
    near: Tensor  # (G, C, W) float32: 1 for the words that belong to a centre, 0 for the others
    negatives: Tensor  # (G, N) int64

    def to(self, device: torch.device) -> "Batch":
        return Batch(*(part.to(device) for part in vars(self).values()))


class Epoch:
    """One way through a corpus, thinned by chance; the same seed gives the same batches."""

    def __init__(
        self, sentences: Sentences, kept: np.ndarray, noise: "Noise", window: int, seed: list[int]
    ) -> None:
        self.noise, self.window, self.seed = noise, window, seed
        places = np.arange(-window, GROUP + window, dtype=np.int8)
        self.offsets = places - np.arange(GROUP, dtype=np.int8)[:, None]  # (C, W)
        chance = np.random.default_rng(seed)
        thinned = sentences.thin(kept, chance)
        count = len(thinned.tokens)
        self.tokens = np.pad(thinned.tokens, (window, window + GROUP))
        self.left, self.right = thinned.reach(window, chance)
        self.starts = chance.permutation(np.arange(0, count, GROUP))

    def __len__(self) -> int:
        """How many batches there are."""
        return -(-len(self.starts) // GROUPS)

    def draw(self, first: int) -> Iterator[Batch]:
        """The batches from a number on."""
        for number in range(first, len(self)):
            yield self._make(self.starts[number * GROUPS :][:GROUPS], number)

    def _make(self, starts: np.ndarray, number: int) -> Batch:
        inner = starts[:, None] + np.arange(GROUP)  # (G, C)
        outer = starts[:, None] + np.arange(GROUP + 2 * self.window)  # (G, W), with the margin
        left, right = self.left[inner][..., None], self.right[inner][..., None]
        near = (self.offsets >= -left) & (self.offsets <= right) & (self.offsets != 0)
        chance = np.random.default_rng([*self.seed, number])
        return Batch(
            torch.from_numpy(self.tokens[inner + self.window]),
            torch.from_numpy(self.tokens[outer]),
            torch.from_numpy(near).float(),
            torch.from_numpy(self.noise.draw((len(starts), NEGATIVES), chance)),
        )


class Noise:
    """Draws words by their smoothed frequency."""

    def __init__(self, counts: np.ndarray) -> None:
        """`counts` of the words 1 to V, not all zero; index 0 is never drawn."""
        self.counts = counts

    @cached_property
    def bounds(self) -> np.ndarray:
        """(V,): where each word's part of [0, 1) ends."""
        sums: np.ndarray = np.cumsum(self.counts**SMOOTHING)
        bounds: np.ndarray = sums / sums[-1]
        return bounds

    def draw(self, shape: tuple[int, ...], chance: np.random.Generator) -> np.ndarray:
        """-> int64 of the shape, 1 to V."""
        places: np.ndarray = np.searchsorted(self.bounds, chance.random(shape), "right")
        return places + 1


def weigh_words(counts: np.ndarray, subsample: float) -> np.ndarray:
    """The probability by which each word is kept, as word2vec does; 0 keeps all.

    sqrt(t / f) + t / f for a part f of all tokens: a little more than in the paper, whose
    1 - sqrt(t / f) is the part that goes. `counts` (V + 1,), of which the first is not looked at.
    """
    if subsample == 0:
        return np.ones(len(counts))
    share = counts / counts[1:].sum()
    ratio = subsample / np.maximum(share, 1e-300)
    kept: np.ndarray = np.minimum(np.sqrt(ratio) + ratio, 1.0)
    return kept
