"""Small corpora that networks learn in a second."""

from typing import Any

import numpy as np

from workers.text.corpora import WordChoice, read_labelled_texts, read_text
from workers.text.fields import Tokeniser
from workers.text.lessons import ClassifierLesson, LanguageLesson, TrainOptions
from workers.text.reader import Architecture

CHARACTERS = Tokeniser(unit="characters")
RHYME = "the cat sat on the mat and the rat sat on the cat. " * 20
SMALL = Architecture(hidden=24)


def make_language(
    text: str = RHYME, held_out: float = 0.1, shape: Architecture = SMALL, **values: Any
) -> LanguageLesson:
    corpus = read_text(text, WordChoice(CHARACTERS), held_out)
    known = {"steps": 10, "batch_size": 4, "epochs": 3, "learning_rate": 1e-2}
    return LanguageLesson(corpus, TrainOptions(shape, **{**known, **values}))


def make_pairs(each: int = 20) -> list[tuple[str, str]]:
    """Texts that one word gives away."""
    chance = np.random.default_rng(0)
    pairs = []
    for label, word in (("bad", "awful"), ("good", "lovely"), ("odd", "strange")):
        for _ in range(each):
            words = [*chance.choice(["a", "film", "so", "it", "was"], 4), word]
            pairs.append((label, " ".join(chance.permutation(words))))
    return pairs


def make_classifier(held_out: float = 0.2, shape: Architecture = SMALL, **values: Any):
    corpus = read_labelled_texts(make_pairs(), WordChoice(Tokeniser()), held_out, seed=0)
    known = {"batch_size": 8, "epochs": 12, "learning_rate": 1e-2}
    return ClassifierLesson(corpus, TrainOptions(shape, **{**known, **values}))
