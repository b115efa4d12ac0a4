"""Files of vocabularies say what is in SQL, and `tokenizers` gives the same ids."""

import json
import unicodedata
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from workers.runtime.run import InvalidInput
from workers.text.exporting import write_json, write_tsv
from workers.text.fields import Tokeniser
from workers.text.huggingface import write_tokenizer
from workers.text.lexicon import Lexicon
from workers.text.tokenise import cut

WORDS = [("the", 3), ("a\tb", 2), ("\\n", 1), ("\n", 1), ("naïve", 1)]
# What Unicode 3.2 knows is the same for every later one; newer letters are not for the library.
OLD = st.characters(exclude_categories=["Cs", "Cn", "Co"]).filter(
    lambda character: unicodedata.ucd_3_2_0.category(character) != "Cn"
)
TEXT = st.text(st.one_of(st.sampled_from("aB cß.\n\r'é\0\u0301Σİǰ①ﬁ\u2028"), OLD), max_size=60)
UNITS = [
    Tokeniser(),
    Tokeniser(lower=False),
    Tokeniser(nfkc=False),
    Tokeniser(unit="whitespace"),
    Tokeniser(unit="characters"),
    Tokeniser(unit="characters", letters_only=True),
    Tokeniser(unit="characters", letters_only=True, lower=False, nfkc=False),
]
SAMPLE = "The fish ﬁn, THE ① of Old-times:\nÉtude e\u0301 naïve\r\n\0 x\0y  <unk> 3 a.b ǰ J\u030c"


def load(tokeniser: Tokeniser, words: tuple[str, ...]) -> Tokenizer:
    pairs = [(word, 1) for word in words]
    return Tokenizer.from_str("".join(write_tokenizer(tokeniser, pairs)))


def test_json_is_a_list_in_the_order_of_indices():
    content = json.loads("".join(write_json("stories", 2, Tokeniser(), WORDS)))
    assert content["words"] == [list(pair) for pair in WORDS]
    assert (content["vocabulary"], content["version"]) == ("stories", 2)
    assert Tokeniser.model_validate(content["tokeniser"]) == Tokeniser()


def test_json_of_no_words_is_json():
    assert json.loads("".join(write_json("stories", None, Tokeniser(), [])))["words"] == []


def test_tsv_has_a_line_for_each_word_whatever_is_in_it():
    lines = "".join(write_tsv(WORDS)).split("\n")
    assert lines == [
        *("1\tthe\t3", r"2	a\tb	2", "3\t\\\\n\t1", "4\t\\n\t1", "5\tnaïve\t1"),
        "",
    ]


@pytest.mark.parametrize("tokeniser", UNITS, ids=str)
def test_the_library_gives_the_same_ids(tokeniser: Tokeniser):
    lexicon = Lexicon.build(tokeniser, cut(tokeniser, SAMPLE), 100)
    ids = load(tokeniser, lexicon.words).encode(SAMPLE + " unseen").ids
    assert ids == lexicon.encode(cut(tokeniser, SAMPLE + " unseen")).tolist()
    assert len(Counter(ids)) > 5


@pytest.mark.parametrize("tokeniser", UNITS, ids=str)
@given(text=TEXT)
def test_the_library_cuts_any_text_as_we_do(tokeniser: Tokeniser, text: str):
    tokens = cut(tokeniser, text)
    library = load(tokeniser, ())
    normal = library.normalizer.normalize_str(text)
    assert [token for token, _ in library.pre_tokenizer.pre_tokenize_str(normal)] == tokens


@pytest.mark.parametrize(
    "text", ["\u0301Σ", "a\u0301\u0301Σ", "aΣ\u0301", "aΣ ΣΣ", "1Σ", "a.Σ"], ids=ascii
)
def test_a_sigma_is_the_last_of_a_word_if_a_letter_is_before_it(text: str):
    tokeniser = Tokeniser(unit="characters")
    library = load(tokeniser, ())
    normal = library.normalizer.normalize_str(text)
    tokens = [token for token, _ in library.pre_tokenizer.pre_tokenize_str(normal)]
    assert tokens == cut(tokeniser, text)


def test_greek_sigmas_at_the_end_of_words():
    tokeniser, text = Tokeniser(), "ΟΔΥΣΣΕΥΣ ΣΟΦΟΣ, ΟΣ. Σ ΑΣ'Γ"
    lexicon = Lexicon.build(tokeniser, cut(tokeniser, text), 100)
    assert load(tokeniser, lexicon.words).encode(text).ids == [1, 2, 3, 4, 5, 6]


def test_the_library_writes_characters_back_without_blanks():
    tokeniser = Tokeniser(unit="characters")
    library = load(tokeniser, ("a", "b", " "))
    assert library.decode(library.encode("ab a").ids) == "ab a"


def test_chinese_is_refused():
    with pytest.raises(InvalidInput, match="Chinese"):
        list(write_tokenizer(Tokeniser(unit="chinese"), []))
