"""Corpora: words come from the part to learn from alone, and a part of each label is held out."""

import numpy as np
import pytest

from tests.workers.text.lessons import make_pairs
from workers.runtime.run import InvalidInput, TooLarge
from workers.text.corpora import (
    MOST_CHARACTERS,
    WordChoice,
    check_size,
    draw_held_out,
    read_labelled_texts,
    read_text,
)
from workers.text.fields import Tokeniser
from workers.text.lexicon import Lexicon

WORDS = WordChoice(Tokeniser())


def test_the_end_of_a_text_is_held_out_and_its_own_words_are_unknown():
    corpus = read_text("a b " * 45 + "c " * 10, WORDS, 0.1)
    assert corpus.lexicon.words == ("a", "b")
    assert corpus.learning.tolist() == [1, 2] * 45
    assert corpus.held_out.tolist() == [0] * 10


def test_words_that_are_rare_or_very_long_are_unknown():
    text = "a " * 60 + "b b c " + "x" * 201 + " "
    assert read_text(text, WordChoice(Tokeniser(), min_count=2), 0.0).lexicon.words == ("a", "b")
    assert read_text(text, WordChoice(Tokeniser(), max_words=1), 0.0).lexicon.words == ("a",)
    assert read_text(text, WORDS, 0.0).lexicon.words == ("a", "b", "c")


def test_frozen_words_keep_their_indices():
    choice = WordChoice(Tokeniser(), frozen=Lexicon(Tokeniser(), ("z", "b", "a")))
    assert read_text("a b q " * 20, choice, 0.0).learning.tolist() == [3, 2, 0] * 20


def test_the_same_part_of_each_label_is_held_out():
    labels = np.array([0] * 50 + [1] * 10 + [2])
    away = draw_held_out(labels, 0.2, seed=0)
    assert [int(away[labels == label].sum()) for label in range(3)] == [10, 2, 0]
    assert np.array_equal(away, draw_held_out(labels, 0.2, seed=0))
    assert not np.array_equal(away, draw_held_out(labels, 0.2, seed=1))
    assert not draw_held_out(labels, 0.0, seed=0).any()


def test_equal_texts_are_on_one_side():
    first, second = (["x" * size for size in range(1, 41)], ["y" * size for size in range(1, 41)])
    pairs = [*(("a", text) for text in first * 3), *(("b", text) for text in second)]
    corpus = read_labelled_texts([*pairs, ("a", "both"), ("b", "both")], WORDS, 0.5, seed=0)
    assert corpus.held_out.labels.bincount().tolist() == [60, 20]
    # Each text is one word: none that is held out was learned from.
    assert not any(text.any() for text in corpus.held_out.texts)
    assert "both" in corpus.lexicon.words


def test_labelled_texts_are_split_and_encoded():
    corpus = read_labelled_texts([*make_pairs(), ("odd", "..."), ("empty", "!")], WORDS, 0.2, 0)
    assert corpus.label_names == ("bad", "good", "odd")
    assert (len(corpus.learning.texts), len(corpus.held_out.texts)) == (48, 12)
    assert corpus.held_out.labels.bincount().tolist() == [4, 4, 4]
    awful = corpus.lexicon.indices["awful"]
    labels = corpus.learning.labels.tolist()
    assert all((awful in t) == (n == 0) for t, n in zip(corpus.learning.texts, labels, strict=True))


@pytest.mark.parametrize(
    ("text", "choice", "held_out", "why"),
    [
        ("too short", WORDS, 0.1, "too few"),
        ("a b " * 30, WORDS, 0.5, "too few"),
        ("a " * 60, WORDS, 0.02, "too few"),  # one token has nothing before it
        ("a b " * 60, WordChoice(Tokeniser(), min_count=1000), 0.1, "Lower `min_count`"),
        (
            "a b " * 60,
            WordChoice(Tokeniser(), frozen=Lexicon(Tokeniser(), ("c",))),
            0.1,
            "None of the words",
        ),
    ],
)
def test_texts_that_nothing_can_be_learned_from_are_refused(text, choice, held_out, why):
    with pytest.raises(InvalidInput, match=why):
        read_text(text, choice, held_out)


@pytest.mark.parametrize(
    ("pairs", "why"),
    [
        ([("a", "one text"), ("a", "and another")], "1 label"),
        ([("a", "..."), ("b", "!")], "0 label"),
        ([("a", "one text"), ("b", "and another")], "too few to hold"),
        ([(str(n), "words") for n in range(1001)], "first column"),
    ],
)
def test_labels_that_cannot_be_told_apart_are_refused(pairs: list[tuple[str, str]], why: str):
    with pytest.raises(InvalidInput, match=why):
        read_labelled_texts(pairs, WORDS, 0.1, 0)


def test_a_corpus_that_does_not_fit_into_memory_is_refused():
    check_size(MOST_CHARACTERS)
    with pytest.raises(TooLarge, match="send a part"):
        check_size(MOST_CHARACTERS + 1)
