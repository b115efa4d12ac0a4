"""Corpora as a training reads them: tokens as indices, and a part held out to measure on."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from shared.text_tables import LONGEST_WORD  # a longer token is unknown
from workers.runtime.run import InvalidInput, TooLarge
from workers.text.fields import Tokeniser
from workers.text.lexicon import Lexicon
from workers.text.tokenise import cut

LEAST_TOKENS = 50  # of the part to learn from
MOST_CHARACTERS = 50_000_000  # of a corpus: its tokens are in memory at once
MOST_LABELS = 1000


@dataclass(frozen=True)
class WordChoice:
    """Which words a model is to know."""

    tokeniser: Tokeniser
    max_words: int = 10_000
    min_count: int = 1
    frozen: Lexicon | None = None  # these, and no others

    def choose(self, tokens: Iterable[str]) -> Lexicon:
        """From the part to learn from alone. Raises InvalidInput if no word is left."""
        if self.frozen is not None:
            return self.frozen
        short = (token for token in tokens if len(token) <= LONGEST_WORD)
        lexicon = Lexicon.build(self.tokeniser, short, self.max_words, self.min_count)
        if not lexicon.words:
            raise InvalidInput(
                f"No token occurs {self.min_count} times. Lower `min_count`, or send a larger "
                "corpus."
            )
        return lexicon


@dataclass(frozen=True)
class LanguageCorpus:
    """A text, the end of which is held out."""

    lexicon: Lexicon
    learning: np.ndarray  # (T,) int64
    held_out: np.ndarray  # empty if nothing is


def read_text(text: str, choice: WordChoice, held_out: float) -> LanguageCorpus:
    """`held_out` is the part at the end, 0 to 0.5. Raises InvalidInput, TooLarge."""
    check_size(len(text))
    tokens = cut(choice.tokeniser, text)
    split = len(tokens) - int(len(tokens) * held_out)
    if split < LEAST_TOKENS or len(tokens) - split == 1:
        raise InvalidInput(
            f"{len(tokens)} tokens are too few to learn from and to measure on: "
            f"{LEAST_TOKENS} to learn from are needed. Send a larger corpus."
        )
    lexicon = choice.choose(tokens[:split])
    learning, rest = lexicon.encode(tokens[:split]), lexicon.encode(tokens[split:])
    check_known([learning])
    return LanguageCorpus(lexicon, learning, rest)


@dataclass(frozen=True)
class LabelledTexts:
    texts: list[np.ndarray]  # each (T,) int64, one token or more
    labels: Tensor  # (N,) int64


@dataclass(frozen=True)
class LabelledCorpus:
    """Texts with labels, a part of each label held out."""

    lexicon: Lexicon
    label_names: tuple[str, ...]  # sorted
    learning: LabelledTexts
    held_out: LabelledTexts


def read_labelled_texts(
    pairs: Sequence[tuple[str, str]], choice: WordChoice, held_out: float, seed: int
) -> LabelledCorpus:
    """From (label, text); texts without a token are left out.

    `held_out` is the part of the distinct texts of each label, 0 to 0.5, drawn by the seed; a
    label keeps one text or more to learn from. Texts of equal tokens are on one side, those with
    several labels to learn from. Raises InvalidInput, TooLarge.
    """
    check_size(sum(len(text) for _, text in pairs))
    cuts = [(label, tokens) for label, text in pairs if (tokens := cut(choice.tokeniser, text))]
    names = tuple(sorted({label for label, _ in cuts}))
    _check_labels(names)
    places = {name: place for place, name in enumerate(names)}
    labels = np.array([places[label] for label, _ in cuts])
    away = _draw_distinct([tokens for _, tokens in cuts], labels, held_out, seed)
    if held_out and not away.any():
        raise InvalidInput(
            f"{len(cuts)} texts are too few to hold a part of each label out. Send more texts, or "
            "a larger `held_out`."
        )
    stay = np.flatnonzero(~away)
    lexicon = choice.choose(token for row in stay for token in cuts[row][1])

    def encode(rows: np.ndarray) -> LabelledTexts:
        texts = [lexicon.encode(cuts[row][1]) for row in rows]
        return LabelledTexts(texts, torch.from_numpy(labels[rows]))

    learning = encode(stay)
    check_known(learning.texts)
    return LabelledCorpus(lexicon, names, learning, encode(np.flatnonzero(away)))


def _draw_distinct(
    texts: Sequence[list[str]], labels: np.ndarray, part: float, seed: int
) -> np.ndarray:
    """(N,) bool: what is held out of the texts that have one label."""
    places: dict[tuple[str, ...], int] = {}
    first = np.array([places.setdefault(tuple(text), row) for row, text in enumerate(texts)])
    clear = np.setdiff1d(first, first[labels != labels[first]])
    return np.isin(first, clear[draw_held_out(labels[clear], part, seed)])


def draw_held_out(labels: np.ndarray, part: float, seed: int) -> np.ndarray:
    """(N,) bool: the same part of each label, rounded, but never all of it."""
    chance = np.random.default_rng(seed)
    away = np.zeros(len(labels), dtype=bool)
    for label in np.unique(labels):
        rows = chance.permutation(np.flatnonzero(labels == label))
        away[rows[: min(round(len(rows) * part), len(rows) - 1)]] = True
    return away


def check_size(characters: int) -> None:
    if characters > MOST_CHARACTERS:
        raise TooLarge(
            f"The corpus has {characters} characters. A training takes {MOST_CHARACTERS} at most: "
            "send a part of it."
        )


def check_known(texts: Sequence[np.ndarray]) -> None:
    if not any(text.any() for text in texts):
        raise InvalidInput(
            "None of the words is in the vocabulary. Choose one that was made from such texts."
        )


def _check_labels(names: Sequence[str]) -> None:
    if len(names) < 2:
        raise InvalidInput(
            f"There are texts of {len(names)} label(s), and two are needed to tell apart."
        )
    if len(names) > MOST_LABELS:
        raise InvalidInput(
            f"There are {len(names)} labels, more than {MOST_LABELS}. Is the label the first "
            "column, before a tab?"
        )
