"""Text of a made-up language whose words are as frequent as those of real ones, of any length."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

SYLLABLES = [consonant + vowel for consonant in "bcdfghjklmnprstvwxyz" for vowel in "aeiou"]
# Word r is drawn in proportion to 1 / (r + SHIFT), as Zipf and Mandelbrot found; rare ones less
# often (Ferrer i Cancho and Sole, 2001). A million tokens have 68,000 words, 100 million 800,000.
SHIFT, KERNEL, STEEP = 2.7, 8_000, 1.8
LEXICON = 5_000_000  # words of the language
LINE = 12  # tokens
BLOCK = 1_200_000  # tokens made at once


def spell(rank: int) -> str:
    """The word of a rank from 0 on: in letters, short if it is frequent, no two the same."""
    rank, last = divmod(rank, len(SYLLABLES))
    word = SYLLABLES[last]
    while rank:
        rank, last = divmod(rank - 1, len(SYLLABLES))
        word = SYLLABLES[last] + word
    return word


class Language:
    """Draws tokens; the same seed gives the same text."""

    def __init__(self, words: int = LEXICON) -> None:
        ranks = np.arange(1, words + 1)
        weights = 1 / (ranks + SHIFT)
        rare = ranks > KERNEL
        weights[rare] *= (KERNEL / ranks[rare]) ** (STEEP - 1)
        self._edges = np.cumsum(weights / weights.sum())
        self._words: dict[int, str] = {}

    def draw(self, tokens: int, seed: int) -> Iterator[str]:
        """Blocks of text, each of whole lines."""
        random = np.random.default_rng(seed)
        for start in range(0, tokens, BLOCK):
            ranks = np.searchsorted(self._edges, random.random(min(BLOCK, tokens - start)))
            words = self._spell_all(ranks)
            lines = (words[at : at + LINE] for at in range(0, len(words), LINE))
            yield "".join(" ".join(line) + "\n" for line in lines)

    def write(self, path: Path, tokens: int, seed: int) -> None:
        with path.open("w", encoding="utf-8") as file:
            file.writelines(self.draw(tokens, seed))

    def _spell_all(self, ranks: np.ndarray) -> list[str]:
        known = self._words
        for rank in np.unique(ranks).tolist():
            if rank not in known:
                known[rank] = spell(rank)
        return [known[rank] for rank in ranks.tolist()]
