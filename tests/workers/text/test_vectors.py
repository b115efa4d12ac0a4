"""Word vectors in use, on vectors whose neighbours are known."""

import numpy as np
import pytest

from workers.runtime.run import InvalidInput
from workers.text.fields import Tokeniser
from workers.text.lexicon import Lexicon
from workers.text.projection import project
from workers.text.refusals import UnknownWord
from workers.text.vectors import WordVectors, pack_vectors, unpack_vectors

WORDS = ("king", "queen", "man", "woman", "café", "silent")
# Royal, female, drink; the last word does not occur.
TABLE = np.array(
    [[0, 0, 0], [9, 0, 0], [9, 9, 0], [0.1, 0, 1], [0.1, 9, 1], [0, 0, 5], [0, 0, 0]], np.float32
)


def make_vectors(**tokeniser: object) -> WordVectors:
    return WordVectors(Lexicon(Tokeniser.model_validate(tokeniser), WORDS), TABLE)


def test_neighbours_are_ordered_by_the_cosine_and_exclude_the_word():
    found = make_vectors().nearest(["king"], [], 10)
    assert [word for word, _ in found] == ["queen", "man", "woman", "café"]
    assert found[0][1] == pytest.approx(np.sqrt(0.5))
    assert found[1][1] == pytest.approx(0.1 / np.sqrt(1.01))
    assert len(make_vectors().nearest(["king"], [], 2)) == 2


def test_an_analogy_adds_and_subtracts_unit_vectors():
    found = make_vectors().nearest(["king", "woman"], ["man"], 5)
    assert found[0][0] == "queen"
    assert {word for word, _ in found} == {"queen", "café"}
    unit = TABLE / np.maximum(np.linalg.norm(TABLE, axis=1, keepdims=True), 1e-9)
    asked = unit[1] + unit[4] - unit[3]
    assert found[0][1] == pytest.approx(unit[2] @ asked / np.linalg.norm(asked), rel=1e-5)


def test_words_that_cancel_out_have_no_neighbours():
    with pytest.raises(InvalidInput, match="cancel"):
        make_vectors().nearest(["king"], ["king"], 5)


@pytest.mark.parametrize("word", ["KING", "king", "\uff4bing", " king "])
def test_words_are_written_as_the_tokeniser_writes_them(word: str):
    assert make_vectors().seek(word) == 1


def test_capital_letters_count_where_the_tokeniser_keeps_them():
    assert make_vectors(lower=False).seek("KING") == 0


@pytest.mark.parametrize("word", ["kings", "silent", "king queen", "", "\0", "…"])
def test_a_word_without_a_vector_is_refused_by_name(word: str):
    vectors = make_vectors()
    assert vectors.seek(word) == 0
    with pytest.raises(UnknownWord) as refused:
        vectors.find(["king", word])
    assert repr(word) in str(refused.value)


def test_a_refusal_names_words_of_a_near_spelling():
    with pytest.raises(UnknownWord, match="Did you mean 'queen'"):
        make_vectors().find(["quen"])


def test_vectors_come_back_from_a_file_as_they_were():
    vectors = make_vectors(lower=False)
    again = unpack_vectors(*pack_vectors(vectors))
    assert again.lexicon == vectors.lexicon
    np.testing.assert_array_equal(again.table, vectors.table)


def test_a_projection_keeps_the_two_directions_of_the_largest_variance():
    chance = np.random.default_rng(0)
    turn, _ = np.linalg.qr(chance.normal(size=(6, 6)))
    spread = chance.normal(size=(400, 6)) * [1, 9, 0.1, 4, 0.2, 0.1]
    found = project(spread @ turn.T + 7)
    variance = np.sort(np.linalg.eigvalsh(np.cov(spread.T)))[::-1]
    assert found.explained == pytest.approx(variance[:2] / variance.sum())
    assert found.points.var(axis=0, ddof=1) == pytest.approx(variance[:2])
    assert np.abs(np.corrcoef(found.points[:, 0], spread[:, 1])[0, 1]) > 0.999
    assert np.abs(found.points.mean(axis=0)).max() < 1e-9
    np.testing.assert_allclose(project(-(spread @ turn.T)).points, -found.points, atol=1e-8)


def test_equal_vectors_project_to_one_point():
    found = project(np.ones((3, 5)))
    assert not found.points.any()
    assert found.explained.tolist() == [0, 0]


def test_vectors_of_another_format_are_refused():
    tensors, about = pack_vectors(make_vectors())
    with pytest.raises(ValueError, match="format"):
        unpack_vectors(tensors, {**about, "format": 9})
