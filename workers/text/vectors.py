"""Word vectors in use: look-ups, neighbours, analogies."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.runtime.run import InvalidInput
from workers.text.fields import Tokeniser
from workers.text.lexicon import Lexicon, pack_words, unpack_words
from workers.text.refusals import UnknownWord
from workers.text.tokenise import cut

FORMAT = 1  # of the file
SPELLED = 10_000  # most frequent words among which one of a near spelling is looked for
LEAST_LENGTH = 1e-6  # of a direction; a shorter one is rounding


@dataclass(frozen=True)
class WordVectors:
    lexicon: Lexicon
    table: np.ndarray  # (words + 1, d) float32 by index; zero: a word without a vector

    @cached_property
    def unit(self) -> np.ndarray:
        """(words + 1, d) of length 1, or 0."""
        lengths = np.linalg.norm(self.table, axis=1, keepdims=True)
        return self.table / np.where(lengths == 0, 1, lengths)

    @cached_property
    def known(self) -> np.ndarray:
        """The indices that have a vector, the most frequent first."""
        return np.flatnonzero(self.table.any(axis=1))

    def name(self, index: int) -> str:
        return self.lexicon.words[index - 1]

    def seek(self, word: str) -> int:
        """The index of a word, written as the tokeniser writes it; 0 if it has no vector."""
        indices = self.lexicon.indices
        tokens = [word] if word in indices else cut(self.lexicon.tokeniser, word)
        index = indices.get(tokens[0], 0) if len(tokens) == 1 else 0
        return index if self.table[index].any() else 0

    def find(self, words: Sequence[str]) -> np.ndarray:
        """The indices of words. Raises UnknownWord."""
        return np.array([self.seek(word) or self._refuse(word) for word in words], np.int64)

    def _refuse(self, word: str) -> int:
        """Names words of a near spelling."""
        known = [self.name(index) for index in self.known[:SPELLED]]
        near = difflib.get_close_matches(word.lower(), known)
        hint = f" Did you mean {', '.join(map(repr, near))}?" if near else ""
        raise UnknownWord(f"The model has no vector for {word!r}.{hint}")

    def nearest(
        self, positive: Sequence[str], negative: Sequence[str], limit: int
    ) -> list[tuple[str, float]]:
        """Words and cosines, -1 to 1, the most similar first, without those asked about.

        With several words their unit vectors are added and subtracted: 3CosAdd (Levy and
        Goldberg 2014). Raises UnknownWord, and InvalidInput if nothing is left of the sum.
        """
        added, taken = self.find(positive), self.find(negative)
        direction = self.unit[added].sum(0) - self.unit[taken].sum(0)
        length = np.linalg.norm(direction)
        if length < LEAST_LENGTH:
            raise InvalidInput("The words cancel each other out: no direction is left.")
        cosines = self.unit @ (direction / length)
        left = np.setdiff1d(self.known, np.concatenate([added, taken]))
        order = left[np.argsort(-cosines[left], kind="stable")[:limit]]
        # Rounding may lead a hair beyond 1.
        return [(self.name(index), float(np.clip(cosines[index], -1, 1))) for index in order]


def pack_vectors(vectors: WordVectors) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what they are)."""
    tensors = {
        "vectors": torch.from_numpy(vectors.table),
        "words": pack_words(vectors.lexicon.words),
    }
    return tensors, {"format": FORMAT, "tokeniser": vectors.lexicon.tokeniser.model_dump()}


def unpack_vectors(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> WordVectors:
    """What `pack_vectors` packed. Raises ValueError for another format."""
    if about.get("format") != FORMAT:
        raise ValueError(f"Its format is {about.get('format')}, and {FORMAT} is read.")
    words = unpack_words(tensors["words"])
    lexicon = Lexicon(Tokeniser.model_validate(about["tokeniser"]), words)
    return WordVectors(lexicon, tensors["vectors"].numpy())
