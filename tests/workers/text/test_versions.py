"""Frozen versions hold the first ranks of their time, and never change."""

from collections import Counter

import pytest

from shared.db import Sessions
from tests.workers.text.counted import NAME, TENANT, fill, rank_all
from workers.runtime.run import InvalidInput, TooLarge
from workers.text import versions
from workers.text.counting import remove_documents
from workers.text.differences import compare_versions
from workers.text.refusals import UnknownVersion, UnknownVocabulary
from workers.text.version_contract import MovedWord
from workers.text.versions import (
    FrozenVersion,
    find_version,
    freeze_version,
    list_words,
    look_up,
    read_indices,
)
from workers.text.vocabulary import delete_vocabulary, list_vocabularies, take_turn

TEXT = "c c c c b b b a a a d e"


def freeze(sessions: Sessions, size: int | None = None, min_count: int = 1) -> FrozenVersion:
    with sessions.begin() as session:
        row = freeze_version(session, take_turn(session, TENANT, NAME), size, min_count)
        return find_version(session, TENANT, NAME, row.version)


def read(sessions: Sessions, frozen: FrozenVersion) -> list[tuple[str, int]]:
    with sessions.read() as session:
        return list(list_words(session, frozen))


def test_a_version_holds_the_first_ranks(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    frozen = freeze(sessions, size=3)
    assert (frozen.version, frozen.size) == (1, 3)
    assert read(sessions, frozen) == [("c", 4), ("b", 3), ("a", 3)]


def test_rare_words_are_left_out(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    assert read(sessions, freeze(sessions, min_count=3)) == [("c", 4), ("b", 3), ("a", 3)]
    with pytest.raises(InvalidInput, match="min_count"):
        freeze(sessions, min_count=5)


def test_more_words_than_a_version_may_have(sessions: Sessions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(versions, "MAX_SIZE", 3)
    fill(sessions, {"a": "<unk> a a b b c c d"})
    with pytest.raises(TooLarge, match="`size`"):
        freeze(sessions)
    assert freeze(sessions, min_count=2).size == 3
    assert freeze(sessions, size=2).version == 2


def test_coverage_is_the_known_part_of_all_tokens(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    with sessions.begin() as session:
        vocabulary = take_turn(session, TENANT, NAME)
        assert freeze_version(session, vocabulary, 2, 1).coverage == pytest.approx(7 / 12)
        assert freeze_version(session, vocabulary, None, 1).coverage == 1.0


def test_an_empty_vocabulary_cannot_be_frozen(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    with sessions.begin() as session:
        vocabulary = take_turn(session, TENANT, NAME)
        remove_documents(session, vocabulary, ["a"])
    with pytest.raises(InvalidInput, match="count documents first"):
        freeze(sessions)


def test_a_token_written_like_the_unknown_word_gets_no_index(sessions: Sessions):
    fill(sessions, {"a": "<unk> <unk> the"})
    assert read(sessions, freeze(sessions)) == [("the", 1)]


def test_a_version_stays_while_counts_change(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    first = freeze(sessions)
    before = read(sessions, first)
    fill(sessions, {"b": "e e e e e e new"})
    with sessions.begin() as session:
        remove_documents(session, take_turn(session, TENANT, NAME), ["a"])
    second = freeze(sessions)
    assert second.version == 2
    assert read(sessions, second) == [("e", 6), ("new", 1)] == rank_all(sessions)
    assert read(sessions, first) == before == Counter(TEXT.split()).most_common()


def test_words_and_indices_are_looked_up(sessions: Sessions):
    words = [f"w{number}" for number in range(2500)]
    fill(sessions, {"a": " ".join(words)})
    frozen = freeze(sessions)
    with sessions.read() as session:
        found = look_up(session, frozen, [*words, "never"])
        assert found == {word: index for index, word in enumerate(words, 1)}
        everything = read_indices(session, frozen, [0, *found.values(), 2501, 2**40])
    assert everything == {index: word for word, index in found.items()}


def test_the_newest_version_is_found_without_a_number(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    with sessions.begin() as session, pytest.raises(UnknownVersion, match="no frozen version"):
        find_version(session, TENANT, NAME, None)
    freeze(sessions)
    freeze(sessions, size=1)
    with sessions.read() as session:
        assert find_version(session, TENANT, NAME, None).version == 2
        assert find_version(session, TENANT, NAME, 1).size == 5
        with pytest.raises(UnknownVersion, match="no version 3"):
            find_version(session, TENANT, NAME, 3)
        with pytest.raises(UnknownVocabulary):
            find_version(session, "another", NAME, 1)


def test_what_changed_between_two_versions(sessions: Sessions):
    fill(sessions, {"a": "p p p p q q q r r s"})
    old = freeze(sessions)
    fill(sessions, {"b": "s s s s s t t t t"})
    new = freeze(sessions, size=4)  # s 6, p 4, t 4, q 3
    with sessions.read() as session:
        result = compare_versions(session, old, new, 10)
        assert compare_versions(session, old, new, 1).moved_words == result.moved_words[:1]
        assert compare_versions(session, old, old, 10).same == 4
    assert (result.added, result.dropped, result.moved, result.same) == (1, 1, 3, 0)
    assert (result.added_words, result.dropped_words) == (["t"], ["r"])
    assert result.moved_words == [
        MovedWord(word="s", old=4, new=1),
        MovedWord(word="q", old=2, new=4),
        MovedWord(word="p", old=1, new=2),
    ]


def test_deleting_a_vocabulary_leaves_the_others(sessions: Sessions):
    fill(sessions, {"a": TEXT})
    fill(sessions, {"a": TEXT}, "other")
    freeze(sessions)
    with sessions.begin() as session:
        delete_vocabulary(session, take_turn(session, TENANT, NAME))
    with sessions.read() as session:
        assert [row.name for row in list_vocabularies(session, TENANT)] == ["other"]
    assert rank_all(sessions, "other") == Counter(TEXT.split()).most_common()
    fill(sessions, {"a": "new"})
    assert freeze(sessions).version == 1
