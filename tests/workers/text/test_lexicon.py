"""A model's words: the frequent first, ties as they were seen, 0 for what it does not know."""

import pytest

from workers.text.fields import Tokeniser
from workers.text.lexicon import UNKNOWN, Lexicon, pack_words, unpack_words

WORDS = Tokeniser()


def test_frequent_words_come_first_and_ties_as_they_were_seen():
    assert Lexicon.build(WORDS, ["b", "a", "c", "a", "b", "d"], 10).words == ("b", "a", "c", "d")


def test_rare_words_and_those_beyond_the_limit_are_unknown():
    lexicon = Lexicon.build(WORDS, ["a", "a", "a", "b", "b", "c"], max_words=10, min_count=2)
    assert lexicon.words == ("a", "b")
    assert Lexicon.build(WORDS, ["a", "a", "b"], max_words=1).words == ("a",)
    assert lexicon.encode(["a", "c", "b"]).tolist() == [1, 0, 2]


def test_the_word_for_the_unknown_has_no_index_of_its_own():
    lexicon = Lexicon.build(WORDS, ["a", UNKNOWN, UNKNOWN], 10)
    assert lexicon.encode([UNKNOWN]).tolist() == [0]
    assert len(lexicon) == 2


def test_what_is_decoded_is_what_was_encoded():
    lexicon = Lexicon.build(WORDS, ["x", "y"], 10)
    assert lexicon.decode(lexicon.encode(["y", "x", "z"])) == ["y", "x", UNKNOWN]
    with pytest.raises(IndexError):
        lexicon.decode([3])


def test_words_are_packed_whatever_they_are_made_of():
    words = ("a", "two words", "\n", "猫", '"')
    assert unpack_words(pack_words(words)) == words
