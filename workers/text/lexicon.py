"""The words a model knows, and their indices."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import islice

import numpy as np
import torch
from torch import Tensor

from workers.text.fields import Tokeniser

UNKNOWN = "<unk>"  # what index 0 is written as


@dataclass(frozen=True)
class Lexicon:
    """Words by falling frequency; `words[i]` has the index i + 1, and 0 is any other word."""

    tokeniser: Tokeniser
    words: tuple[str, ...]

    @classmethod
    def build(
        cls, tokeniser: Tokeniser, tokens: Iterable[str], max_words: int, min_count: int = 1
    ) -> "Lexicon":
        """The most frequent tokens; of those as frequent, the one seen first."""
        ranked = (word for word, count in Counter(tokens).most_common() if count >= min_count)
        return cls(tokeniser, tuple(islice((w for w in ranked if w != UNKNOWN), max_words)))

    def __len__(self) -> int:
        """How many indices there are, with 0."""
        return len(self.words) + 1

    @cached_property
    def indices(self) -> dict[str, int]:
        return {word: index for index, word in enumerate(self.words, start=1)}

    def encode(self, tokens: Iterable[str]) -> np.ndarray:
        """-> (T,) int64."""
        known = self.indices
        return np.fromiter((known.get(token, 0) for token in tokens), np.int64)

    def decode(self, indices: Iterable[int]) -> list[str]:
        """Raises IndexError for an index that is not known."""
        return [self.words[index - 1] if index > 0 else UNKNOWN for index in indices]


def pack_words(words: tuple[str, ...]) -> Tensor:
    """JSON in UTF-8, (bytes,) uint8: they may be more than a file's header can hold."""
    content = bytearray(json.dumps(words, ensure_ascii=False).encode())
    return torch.frombuffer(content, dtype=torch.uint8)


def unpack_words(packed: Tensor) -> tuple[str, ...]:
    """What `pack_words` packed."""
    return tuple(json.loads(packed.numpy().tobytes()))
