"""Texts become numbers by a frozen version, and texts again, on either database."""

from collections.abc import Sequence
from typing import Any

import pytest
from sqlalchemy.orm import Session

from shared.text_tables import TextVersion, TextVersionWord
from tests.workers.text.desk import Desk
from workers.text import encoding_tasks
from workers.text.encoding_contract import DecodeRequest, EncodeRequest, FeaturesRequest
from workers.text.encoding_tasks import decode, encode, features
from workers.text.fields import Tokeniser
from workers.text.vocabulary import delete_vocabulary, find_vocabulary, open_vocabulary

WORDS = ("the", "best", "of", "times")


def freeze(desk: Desk, words: Sequence[str] = WORDS, tokeniser: Tokeniser | None = None) -> None:
    """A new version of the vocabulary "stories": its words have the indices 1, 2, 3 and so on."""

    def make(session: Session) -> None:
        vocabulary = open_vocabulary(session, desk.tenant, "stories", tokeniser or Tokeniser())
        vocabulary.last_version += 1
        key = {"vocabulary_id": vocabulary.id, "version": vocabulary.last_version}
        made = {"size": len(words), "min_count": 1, "coverage": 1.0, "created_at": 0.0}
        session.add(TextVersion(**key, **made))
        for index, word in enumerate(words, start=1):
            session.add(TextVersionWord(**key, index=index, word=word, count=1))

    desk.change(make)


def ask(*texts: str, **values: Any) -> EncodeRequest:
    return EncodeRequest(vocabulary="stories", texts=list(texts), **values)


def test_texts_become_indices(desk: Desk):
    freeze(desk)
    result = desk.do(encode, ask("The BEST of the rest!", "Times", "..."))
    assert result.indices == [[1, 2, 3, 1, 0], [4], []]
    assert (result.lengths, result.unknown) == ([5, 1, 0], [1, 0, 0])
    assert (result.vocabulary, result.version, result.size) == ("stories", 1, 4)


def test_unknown_words_can_be_ignored(desk: Desk):
    freeze(desk)
    result = desk.do(encode, ask("the rest of it", unknown="ignore"))
    assert result.indices == [[1, 3]]
    assert (result.lengths, result.unknown) == ([4], [2])


def test_all_texts_get_the_length_asked_for(desk: Desk):
    freeze(desk)
    result = desk.do(
        encode, ask("the best of times", "times", length=3, pad="left", truncate="left")
    )
    assert result.indices == [[2, 3, 4], [0, 0, 4]]
    assert result.lengths == [4, 1]


def test_one_hot_rows_come_as_ones_or_as_matrices(desk: Desk):
    freeze(desk)
    sparse = desk.do(encode, ask("best x the", form="one_hot", length=4)).one_hot[0]
    assert (sparse.tokens, sparse.size) == (4, 4)
    assert (sparse.rows, sparse.columns) == ([0, 2], [1, 0])
    dense = desk.do(encode, ask("best x the", form="one_hot", dense=True)).dense
    assert dense == [[[0, 1, 0, 0], [0, 0, 0, 0], [1, 0, 0, 0]]]


def test_counts_are_of_the_tokens_and_not_of_the_padding(desk: Desk):
    freeze(desk)
    [counts] = desk.do(encode, ask("the x the of", form="counts", length=10)).counts
    assert (counts.indices, counts.counts) == ([0, 1, 3], [1, 2, 1])


def test_only_the_field_of_the_form_is_set(desk: Desk):
    freeze(desk)
    fields = {"indices", "one_hot", "dense", "counts"}
    for form in ("indices", "one_hot", "counts"):
        result = desk.do(encode, ask("the", form=form))
        assert {name for name in fields if getattr(result, name) is not None} == {form}


def test_what_is_decoded_is_what_was_encoded(desk: Desk):
    freeze(desk)
    indices = desk.do(encode, ask("The best of times", "the worst of times")).indices
    result = desk.do(decode, DecodeRequest(vocabulary="stories", sequences=indices))
    assert result.texts == ["the best of times", "the <unk> of times"]
    assert result.tokens[1] == ["the", "<unk>", "of", "times"]


def test_characters_are_decoded_without_blanks_between(desk: Desk):
    freeze(desk, ["a", " ", "b"], Tokeniser(unit="characters"))
    [indices] = desk.do(encode, ask("ab a\0b")).indices
    result = desk.do(decode, DecodeRequest(vocabulary="stories", sequences=[indices]))
    assert result.texts == ["ab ab"]


def test_the_newest_version_is_taken_unless_one_is_named(desk: Desk):
    freeze(desk)
    freeze(desk, ["worst", "the"])
    assert desk.do(encode, ask("worst the")).indices == [[1, 2]]
    assert desk.do(encode, ask("worst the", version=1)).indices == [[0, 1]]


def test_words_of_any_length_and_character_are_unknown(desk: Desk):
    freeze(desk)
    assert desk.do(encode, ask("x" * 5000, "\0\0the\0", "'; DROP")).indices == [[0], [1], [0]]


def test_a_version_that_is_gone_is_refused_at_once(desk: Desk):
    freeze(desk)
    assert desk.do(encode, ask("the")).indices == [[1]]
    desk.change(lambda s: delete_vocabulary(s, find_vocabulary(s, desk.tenant, "stories")))
    assert desk.refuse(encode, ask("the"))[0] == "unknown_vocabulary"


def test_what_does_not_exist_is_refused(desk: Desk):
    freeze(desk)
    assert desk.refuse(encode, ask("the", version=2))[0] == "unknown_version"
    stranger = Desk(desk.worker)
    asked = DecodeRequest(vocabulary="stories", sequences=[[1]])
    assert stranger.refuse(decode, asked)[0] == "unknown_vocabulary"


def test_an_index_that_does_not_exist_is_named(desk: Desk):
    freeze(desk)
    asked = DecodeRequest(vocabulary="stories", sequences=[[1, 10**30], [5]])
    code, text = desk.refuse(decode, asked)
    assert code == "invalid_input"
    assert f"no index {10**30}" in text
    assert "1 to 4" in text


def test_a_refusal_costs_the_others_of_a_batch_nothing(desk: Desk):
    freeze(desk)
    first, second, third = desk.do_all(encode, ask("the"), ask("the", version=9), ask("of"))
    assert (first.indices, second.code, third.indices) == ([[1]], "unknown_version", [[3]])


def test_dense_is_for_one_hot_alone(desk: Desk):
    freeze(desk)
    assert desk.refuse(encode, ask("the", dense=True))[0] == "invalid_input"


def test_matrices_have_a_limited_number_of_cells(desk: Desk, monkeypatch: pytest.MonkeyPatch):
    freeze(desk)
    monkeypatch.setattr(encoding_tasks, "MAX_CELLS", 12)
    asked = {"form": "one_hot", "dense": True, "length": 3}
    assert desk.do(encode, ask("the", **asked)).dense is not None
    code, text = desk.refuse(encode, ask("the", "of", **asked))
    assert code == "too_large"
    assert "24 cells, more than 12. Leave out `dense`" in text


def test_results_have_a_limited_number_of_tokens(desk: Desk):
    freeze(desk)
    code, text = desk.refuse(encode, ask(*["the"] * 11, length=100_000))
    assert code == "too_large"
    assert "1100000 tokens, more than 1000000" in text
    many = DecodeRequest(vocabulary="stories", sequences=[[1]] * 200 + [[0] * 1_000_000])
    assert desk.refuse(decode, many)[0] == "too_large"


def test_decoded_texts_have_a_limited_number_of_characters(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    freeze(desk)
    monkeypatch.setattr(encoding_tasks, "MAX_CHARACTERS", 5)
    asked = DecodeRequest(vocabulary="stories", sequences=[[1], [1]])
    assert desk.refuse(decode, asked) == (
        "too_large",
        "The words have 6 characters, more than 5. Send fewer indices.",
    )


def test_people_become_vectors(sqlite_desk: Desk):
    people = [{"age": 36, "sex": 1, "country": "AF"}, {"age": 1.5, "sex": 0}]
    result = sqlite_desk.do(features, FeaturesRequest(people=people))
    assert result.countries == ["Afghanistan", None]
    assert result.vectors == [[36, 1, 1] + [0] * 196, [1.5, 0] + [0] * 197]


def test_a_country_that_does_not_exist_fails_its_job_alone(sqlite_desk: Desk):
    asked = [
        FeaturesRequest(people=[{"age": 1, "sex": 0, "country": c}]) for c in (1, 198, "XX", "FR")
    ]
    answers = sqlite_desk.do_all(features, *asked)
    assert [getattr(answer, "code", None) for answer in answers] == [
        None,
        "invalid_input",
        "invalid_input",
        None,
    ]
    assert "no country 198" in str(answers[1])
    assert "no country 'XX'" in str(answers[2])
