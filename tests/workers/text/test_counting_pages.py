"""Stored counts are read a page at a time, and not more of them than a transaction may read."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event

from shared.db import Sessions
from tests.workers.text.counted import NAME, TENANT, check_sums, fill, find_row, rank_all
from workers.runtime.run import TooLarge
from workers.text import counting, merging
from workers.text.counting import Counted, cut_pages, remove_documents
from workers.text.merging import merge_vocabularies
from workers.text.vocabulary import find_vocabulary, take_turn

FOUR = {"a": "one two", "b": "two three", "c": "three four five", "d": "five"}


def take_out(sessions: Sessions, *names: str) -> list[str]:
    with sessions.begin() as session:
        return remove_documents(session, take_turn(session, TENANT, NAME), names)


def merge(sessions: Sessions, *sources: str) -> list[Counted]:
    with sessions.begin() as session:
        found = [find_vocabulary(session, TENANT, source) for source in sources]
        return merge_vocabularies(session, take_turn(session, TENANT, NAME), found)


@contextmanager
def watch(sessions: Sessions) -> Iterator[list[str]]:
    """The kinds of statements that change documents and words, in their order."""
    kinds: list[str] = []

    def note(_connection: Any, _cursor: Any, statement: str, *_: Any) -> None:
        for kind in ("DELETE FROM text_documents", "INSERT INTO text_words"):
            if statement.startswith(kind):
                kinds.append(kind.split()[0])

    event.listen(sessions.engine, "before_cursor_execute", note)
    yield kinds
    event.remove(sessions.engine, "before_cursor_execute", note)


@pytest.fixture
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(counting, "ENTRIES_AT_ONCE", 4)


@pytest.mark.usefixtures("small_pages")
def test_a_page_has_as_many_words_as_are_unpacked_at_once_or_one_document():
    sized = [("a", 2), ("b", 2), ("c", 9), ("d", 0), ("e", 4)]
    assert list(cut_pages(sized)) == [["a", "b"], ["c"], ["d", "e"]]
    assert list(cut_pages([])) == []
    many = list(cut_pages((number, 0) for number in range(2001)))
    assert [len(page) for page in many] == [1000, 1000, 1]


@pytest.mark.usefixtures("small_pages")
def test_words_are_counted_down_once_a_few_pages_have_many_of_them(sessions: Sessions):
    fill(sessions, {**FOUR, "e": "six", "f": "two one", "g": "one"})
    with watch(sessions) as kinds:
        assert take_out(sessions, *FOUR, "f", "g") == []
    assert kinds == ["DELETE", "DELETE", "INSERT", "DELETE", "INSERT"]
    assert rank_all(sessions) == [("six", 1)]
    check_sums(sessions)


@pytest.mark.usefixtures("small_pages")
@pytest.mark.parametrize("known", ["a", "abc", "abcd"])
def test_of_known_and_new_documents_the_smaller_part_is_unpacked(sessions: Sessions, known: str):
    fill(sessions, {name: FOUR[name] for name in known})
    expected = 4 - len(known)
    assert fill(sessions, FOUR).documents == expected
    check_sums(sessions)
    assert [word for word, count in rank_all(sessions) if count == 2] == ["two", "three", "five"]


@pytest.mark.usefixtures("small_pages")
def test_documents_are_replaced_page_by_page(sessions: Sessions):
    fill(sessions, FOUR)
    changed = {name: f"{text} more" for name, text in FOUR.items()}
    assert fill(sessions, changed, replace=True).replaced == 4
    check_sums(sessions)
    assert rank_all(sessions)[0] == ("more", 4)


@pytest.mark.usefixtures("small_pages")
def test_a_merge_takes_off_known_documents_page_by_page(sessions: Sessions):
    fill(sessions, FOUR)
    fill(sessions, {**FOUR, "e": "six one"}, "source")
    assert merge(sessions, "source") == [Counted(documents=1, known=4, replaced=0, tokens=2)]
    check_sums(sessions)


def test_more_than_a_transaction_may_unpack(sessions: Sessions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(counting, "MAX_ENTRIES", 4)
    fill(sessions, FOUR)
    fill(sessions, FOUR, "source")
    before = rank_all(sessions)
    with pytest.raises(TooLarge, match="Remove fewer"):
        take_out(sessions, *FOUR)
    with pytest.raises(TooLarge, match="Send fewer"):
        fill(sessions, dict.fromkeys(FOUR, "new"), replace=True)
    with pytest.raises(TooLarge, match="Send fewer"):
        fill(sessions, {**FOUR, "e": "many words that are new"})
    with pytest.raises(TooLarge, match="from a source"):
        merge(sessions, "source")
    assert rank_all(sessions) == before
    check_sums(sessions)
    take_out(sessions, "a", "b")
    assert fill(sessions, FOUR).documents == 2
    check_sums(sessions)


def test_more_words_than_a_merge_may_add(sessions: Sessions, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(merging, "MAX_WORDS", 6)
    fill(sessions, {"x": "word"})
    fill(sessions, FOUR, "five")
    fill(sessions, {"e": "one six"}, "two")
    with pytest.raises(TooLarge, match="7 distinct words"):
        merge(sessions, "five", "two")
    assert find_row(sessions).words == 1
    assert merge(sessions, "five")[0].documents == 4
