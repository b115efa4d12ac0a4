"""Written text: the same for the same seed, among the likeliest, never the unknown word."""

import numpy as np
import pytest
import torch

from workers.text.fields import Tokeniser
from workers.text.generate import (
    choose_token,
    encode_prefix,
    join_texts,
    write_text,
    write_tokens,
)
from workers.text.language_model import LanguageModel
from workers.text.lexicon import Lexicon
from workers.text.reader import Architecture

WORDS = 12
LOGITS = torch.tensor([9.0, 1.0, 3.0, 2.0, 3.0], dtype=torch.float64)


def make_model() -> LanguageModel:
    torch.manual_seed(1)
    return LanguageModel(Architecture(hidden=16), WORDS).eval()


def draw(temperature: float, top_k: int | None = None) -> set[int]:
    chance = np.random.default_rng(0)
    return {choose_token(LOGITS, temperature, top_k, chance) for _ in range(300)}


def test_a_temperature_of_zero_takes_the_first_of_the_likeliest_known_words():
    assert draw(0.0) == {2}
    assert draw(1e-300) == {2, 4}  # as likely: either may be drawn


def test_only_the_k_likeliest_words_are_drawn():
    assert draw(5.0) == {1, 2, 3, 4}
    assert draw(5.0, top_k=3) == {2, 3, 4}
    assert draw(5.0, top_k=1) == {2}
    assert draw(5.0, top_k=10**6) == {1, 2, 3, 4}


def test_words_are_drawn_as_often_as_the_temperature_says():
    chance = np.random.default_rng(0)
    drawn = [choose_token(LOGITS, 2.0, None, chance) for _ in range(4000)]
    wanted = (LOGITS[1:] / 2).softmax(0)
    found = np.bincount(drawn, minlength=5)[1:] / 4000
    assert np.abs(found - wanted.numpy()).max() < 0.03


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_the_same_seed_writes_the_same(temperature: float):
    first, again, other = (
        write_tokens(make_model(), [3, 1], 40, temperature, seed=seed) for seed in (0, 0, 1)
    )
    assert first == again
    assert (first == other) == (temperature == 0)
    assert 0 not in first.indices


def test_the_loss_is_that_of_the_model_itself():
    model, prefix = make_model(), [3, 1, 4]
    written = write_tokens(model, prefix, 30, temperature=0.5, top_k=2)
    tokens = torch.tensor(prefix + written.indices)
    with torch.no_grad():
        logits, _ = model(tokens[:-1].unsqueeze(1))
    losses = torch.nn.functional.cross_entropy(logits[:, 0], tokens[1:], reduction="none")
    assert written.loss == pytest.approx(losses[len(prefix) - 1 :].mean().item(), abs=1e-5)


def test_without_a_prefix_it_starts_from_the_most_frequent_word():
    assert write_tokens(make_model(), [], 20, 0.0) == write_tokens(make_model(), [1], 20, 0.0)


def test_a_blank_at_the_end_of_a_prefix_is_read():
    lexicon = Lexicon(Tokeniser(unit="characters", letters_only=True), (" ", "a", "b"))
    assert encode_prefix(lexicon, "A,b ") == [2, 1, 3, 1]
    assert encode_prefix(lexicon, "ab") == [2, 3]
    assert encode_prefix(lexicon, " ") == encode_prefix(lexicon, "") == []


@pytest.mark.parametrize(
    ("unit", "text"),
    [("words", "It was it"), ("whitespace", "It was it"), ("characters", "It wasit")],
)
def test_what_follows_is_joined_as_it_was_cut(unit, text: str):
    assert join_texts(Tokeniser(unit=unit), "It was", "it") == text
    assert join_texts(Tokeniser(unit=unit), "", "it") == "it"


def test_words_are_written_with_blanks_between():
    lexicon = Lexicon(Tokeniser(), tuple("abcdefghijk"))
    text, _ = write_text(make_model(), lexicon, "a b", 5, temperature=1.0)
    assert len(text.split()) == 5
    assert set(text.split()) <= set(lexicon.words)
