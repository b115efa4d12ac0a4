"""Text is cut as the tokeniser says, fast or not, whole or in pieces."""

import re
from collections import Counter

import pytest
import regex
from hypothesis import given
from hypothesis import strategies as st

from workers.text.fields import Tokeniser
from workers.text.tokenise import cut, join

WORDS = Tokeniser()
CHARACTERS = Tokeniser(unit="characters")
LETTERS = Tokeniser(unit="characters", letters_only=True)
WHITESPACE = Tokeniser(unit="whitespace")
CHINESE = Tokeniser(unit="chinese")

TOKENISERS = st.builds(
    Tokeniser,
    unit=st.sampled_from(["words", "characters", "whitespace", "chinese"]),
    lower=st.booleans(),
    nfkc=st.booleans(),
    letters_only=st.booleans(),
)
# Marks, capitals that grow, sigmas, ligatures, Chinese, blanks of all kinds, and anything.
TRICKY = st.sampled_from(
    "aBÀJİΣﬁ①Ⅷ我们的😀 .-'\0\t\n\r\u0300\u0301\u0308\u030c\u0391\u03c3\u2019\u2028\u3000"
)
TEXTS = st.text(TRICKY | st.characters(exclude_categories=["Cs"]), max_size=60)

# Lewis Carroll, Alice's Adventures in Wonderland (1865), in the public domain.
ALICE = """Alice was beginning to get very tired of sitting by her sister on the bank,
and of having nothing to do: once or twice she had peeped into the book her
sister was reading, but it had no pictures or conversations in it, “and what
is the use of a book,” thought Alice “without pictures or conversations?”
"""


def test_words_of_a_passage():
    counts = Counter(cut(WORDS, ALICE))
    assert counts.total() == 57
    assert counts.most_common(3) == [("of", 3), ("the", 3), ("or", 3)]
    assert counts == Counter(re.findall("[a-z]+", ALICE.lower()))


def test_letters_of_a_passage_are_those_of_dive_into_deep_learning():
    lines = [re.sub("[^A-Za-z]+", " ", line).strip().lower() for line in ALICE.splitlines()]
    assert cut(LETTERS, ALICE) == [character for line in lines for character in line]


@pytest.mark.parametrize(
    ("tokeniser", "text", "tokens"),
    [
        (WORDS, "Don't stop-at 42nd St.", ["don", "t", "stop", "at", "nd", "st"]),
        (WORDS, "naïve e\u0301tude ﬁne Ⅷ", ["naïve", "étude", "fine", "viii"]),
        (WORDS, "हिन्दी भाषा", ["हिन्दी", "भाषा"]),
        (WORDS, "\u0301stray _x_ a\0b", ["stray", "x", "a", "b"]),
        (WORDS, "ΟΔΟΣ J\u030cAR", ["οδος", "\u01f0ar"]),
        (Tokeniser(lower=False), "The ﬁX", ["The", "fiX"]),
        (Tokeniser(nfkc=False), "The ﬁX", ["the", "ﬁx"]),
        (CHARACTERS, "A b\n\0\uff11", ["a", " ", "b", "\n", "1"]),
        (LETTERS, " A-1 b!\nÉ\r\n\nd", list("a béd")),
        (WHITESPACE, "<unk> N\u3000said\0it 's\n", ["<unk>", "n", "said", "it", "'s"]),
        (Tokeniser(unit="whitespace", lower=False), "<unk> N", ["<unk>", "N"]),
        (
            CHINESE,
            "我们中出了一个叛徒\uff0c Hello 2024。",
            ["我们", "中出", "了", "一个", "叛徒", "hello"],
        ),
    ],
)
def test_tokens(tokeniser: Tokeniser, text: str, tokens: list[str]):
    assert cut(tokeniser, text) == tokens


@given(st.text(st.characters(max_codepoint=127)), st.booleans())
def test_ascii_is_cut_as_any_text(text: str, lower: bool):
    tokeniser = Tokeniser(lower=lower)
    letter = "ж"  # takes the text out of ASCII, and is a word of its own
    assert [*cut(tokeniser, text), letter] == cut(tokeniser, f"{text} {letter}")


@given(TEXTS)
def test_words_are_runs_of_letters_with_their_marks(text: str):
    plain = Tokeniser(lower=False, nfkc=False)
    assert cut(plain, text) == regex.findall(r"\p{L}[\p{L}\p{M}]*", text)


def test_many_kinds_of_punctuation_separate_too():
    kinds = [chr(0x2010 + n) for n in range(24)] + [chr(0x1F600 + n) for n in range(24)]
    assert cut(WORDS, "é" + "é".join(kinds)) == ["é"] * len(kinds)


@given(TOKENISERS, st.lists(TEXTS, max_size=4))
def test_lines_cut_one_by_one_give_the_tokens_of_the_whole(tokeniser: Tokeniser, lines: list[str]):
    pieces = [f"{line}\n" for line in lines]
    tokens = [token for piece in pieces for token in cut(tokeniser, piece)]
    assert tokens == cut(tokeniser, "".join(pieces))


@given(TOKENISERS, TEXTS)
def test_tokens_are_never_empty_and_have_no_nul(tokeniser: Tokeniser, text: str):
    assert all(token and "\0" not in token for token in cut(tokeniser, text))


@given(TOKENISERS.filter(lambda t: t.unit != "chinese" and not t.letters_only), TEXTS)
def test_what_is_joined_is_cut_into_the_same_tokens(tokeniser: Tokeniser, text: str):
    tokens = cut(tokeniser, text)
    assert cut(tokeniser, join(tokeniser, tokens)) == tokens


def test_characters_and_chinese_are_joined_with_nothing_between():
    assert join(CHARACTERS, ["a", " ", "b"]) == "a b"
    assert join(CHINESE, ["我们", "中"]) == "我们中"
    assert join(WORDS, ["a", "b"]) == join(WHITESPACE, ["a", "b"]) == "a b"


def test_a_word_of_any_length_is_a_token():
    assert cut(WORDS, "x" * 5000) == ["x" * 5000]
