"""Labelled texts to measure on, and what naive Bayes makes of them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sklearn.feature_extraction.text import CountVectorizer
from sklearn.naive_bayes import MultinomialNB

from workers.text.corpora import draw_held_out
from workers.text.fields import Tokeniser
from workers.text.tokenise import cut

Pairs = list[tuple[str, str]]  # label, text


def read_sst2(path: Path) -> Pairs:
    """Lines of a text, a tab and 0 or 1."""
    lines = path.read_text(encoding="utf-8").splitlines()
    texts = [line.rpartition("\t") for line in lines]
    return [(label, text) for text, _, label in texts if label in ("0", "1")]


def read_names(folder: Path) -> Pairs:
    """A file for each language, a name a line; each name of a language once."""
    files = sorted(folder.glob("*.txt"))
    lines = ((path.stem, line) for path in files for line in path.read_text("utf-8").splitlines())
    return list(dict.fromkeys((label, line) for label, line in lines if line.strip()))


def split_pairs(pairs: Pairs, part: float) -> tuple[Pairs, Pairs]:
    """(to learn from, to measure on): the same part of each label."""
    away = draw_held_out(np.array([label for label, _ in pairs]), part, seed=1)
    both = list(zip(away, pairs, strict=True))
    return [pair for gone, pair in both if not gone], [pair for gone, pair in both if gone]


def guess_labels(
    learning: Pairs, test: Pairs, tokeniser: Tokeniser, lengths: tuple[int, int]
) -> list[str]:
    """Multinomial naive Bayes on runs of tokens of these lengths, the same tokens as ours."""
    counter = CountVectorizer(analyzer=lambda text: list_runs(cut(tokeniser, text), lengths))
    model = MultinomialNB()
    model.fit(
        counter.fit_transform([text for _, text in learning]), [label for label, _ in learning]
    )
    return list(model.predict(counter.transform([text for _, text in test])))


def list_runs(tokens: Sequence[str], lengths: tuple[int, int]) -> list[str]:
    """All runs of tokens, from the shorter to the longer length, with the ends of the text."""
    shortest, longest = lengths
    padded = tokens if longest == 1 else ["^", *tokens, "$"]
    return [
        "\n".join(padded[start : start + length])
        for length in range(shortest, longest + 1)
        for start in range(len(padded) - length + 1)
    ]
