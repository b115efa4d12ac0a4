"""Documents are counted in and out of a vocabulary exactly."""

from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text
from sqlalchemy.orm import Session

from shared.db import Sessions
from tests.races import do_at_once, do_in_turn
from tests.workers.text.counted import (
    NAME,
    SPLIT,
    TENANT,
    Texts,
    check_sums,
    fill,
    find_row,
    put,
    rank_all,
)
from workers.text.counting import WORDS_AT_ONCE, Counted, remove_documents
from workers.text.refusals import ChangedDocument, OtherTokeniser, UnknownVocabulary
from workers.text.vocabulary import lock_vocabularies, open_vocabulary, take_turn

TEXTS = {"a": "the best of times the worst of times", "b": "the age of wisdom"}


def take_out(sessions: Sessions, *names: str) -> list[str]:
    with sessions.begin() as session:
        return remove_documents(session, take_turn(session, TENANT, NAME), names)


def test_words_are_ranked_by_count_and_then_by_first_appearance(sessions: Sessions):
    assert fill(sessions, TEXTS) == Counted(documents=2, known=0, replaced=0, tokens=12)
    assert rank_all(sessions) == [
        *(("the", 3), ("of", 3), ("times", 2), ("best", 1)),
        *(("worst", 1), ("age", 1), ("wisdom", 1)),
    ]
    check_sums(sessions)


def test_a_later_job_cannot_overtake_words_as_frequent(sessions: Sessions):
    fill(sessions, {"a": "zebra yak"})
    fill(sessions, {"b": "ant yak zebra"})
    fill(sessions, {"c": "ant"})
    assert rank_all(sessions) == [("zebra", 2), ("yak", 2), ("ant", 2)]


def test_a_document_is_counted_once(sessions: Sessions):
    fill(sessions, TEXTS)
    before = rank_all(sessions)
    assert fill(sessions, TEXTS) == Counted(documents=0, known=2, replaced=0, tokens=0)
    assert rank_all(sessions) == before
    check_sums(sessions)


def test_of_some_known_documents_the_new_ones_are_counted(sessions: Sessions):
    fill(sessions, {"a": TEXTS["a"]})
    assert fill(sessions, {**TEXTS, "c": "new"}) == Counted(2, known=1, replaced=0, tokens=5)
    check_sums(sessions)
    assert find_row(sessions).documents == 3


def test_other_content_under_a_known_name_is_refused(sessions: Sessions):
    fill(sessions, TEXTS)
    before = rank_all(sessions)
    with pytest.raises(ChangedDocument, match="'b'"):
        fill(sessions, {"a": TEXTS["a"], "b": "other", "c": "new"})
    assert rank_all(sessions) == before
    check_sums(sessions)


def test_a_document_that_is_replaced_is_counted_down_first(sessions: Sessions):
    fill(sessions, TEXTS)
    changed = {"b": "the age of foolishness", "c": "new"}
    assert fill(sessions, changed, replace=True) == Counted(1, known=0, replaced=1, tokens=5)
    words = dict(rank_all(sessions))
    assert "wisdom" not in words
    assert words["foolishness"] == 1
    check_sums(sessions)


def test_a_word_that_stays_in_a_replaced_document_keeps_its_age(sessions: Sessions):
    fill(sessions, {"a": "old", "b": "young"})
    fill(sessions, {"a": "fresh old"}, replace=True)
    assert rank_all(sessions) == [("old", 1), ("young", 1), ("fresh", 1)]


def test_removing_documents_goes_back_to_the_counts_before(sessions: Sessions):
    fill(sessions, {"a": TEXTS["a"]})
    before, row = rank_all(sessions), find_row(sessions)
    fill(sessions, {"b": TEXTS["b"], "c": "more times"})
    assert take_out(sessions, "b", "missing", "c", "b") == ["missing"]
    assert rank_all(sessions) == before
    after = find_row(sessions)
    assert (after.documents, after.tokens, after.words) == (row.documents, row.tokens, row.words)


def test_a_vocabulary_may_become_empty_and_full_again(sessions: Sessions):
    fill(sessions, TEXTS)
    take_out(sessions, *TEXTS)
    assert rank_all(sessions) == []
    assert find_row(sessions).words == 0
    fill(sessions, TEXTS)
    check_sums(sessions)


def test_more_words_than_one_statement_takes(sessions: Sessions):
    many = " ".join(f"w{number}" for number in range(2 * WORDS_AT_ONCE + 5))
    fill(sessions, {"a": many, "b": "w7 w7"})
    assert rank_all(sessions)[:3] == [("w7", 3), ("w0", 1), ("w1", 1)]
    check_sums(sessions)
    take_out(sessions, "a")
    assert rank_all(sessions) == [("w7", 2)]


def test_other_tenants_do_not_see_it(sessions: Sessions):
    fill(sessions, TEXTS)
    with sessions.begin() as session, pytest.raises(UnknownVocabulary):
        take_turn(session, "another", NAME)


def test_tokens_that_are_cut_in_another_way_are_refused(sessions: Sessions):
    fill(sessions, TEXTS)
    other = SPLIT.model_copy(update={"lower": False})
    with sessions.begin() as session, pytest.raises(OtherTokeniser, match="whitespace"):
        open_vocabulary(session, TENANT, NAME, other)


def test_a_transaction_that_is_rolled_back_counts_nothing(sessions: Sessions):
    fill(sessions, {"a": TEXTS["a"]})
    before = rank_all(sessions)
    with sessions.begin() as session:
        put(session, {"b": TEXTS["b"]})
        session.rollback()
    assert rank_all(sessions) == before
    fill(sessions, {"b": TEXTS["b"]})
    check_sums(sessions)


def test_the_same_documents_at_once_are_counted_once(sessions: Sessions):
    errors = do_at_once(sessions, *[lambda session: put(session, TEXTS)] * 6)
    assert errors == []
    check_sums(sessions)
    assert find_row(sessions).tokens == 12


def test_the_second_of_two_transactions_waits_also_before_there_is_a_vocabulary(
    sessions: Sessions,
):
    def count(session: Session) -> None:
        put(session, {"a": "one two"})

    assert do_in_turn(sessions, count, count) == []
    assert find_row(sessions).tokens == 2


def test_a_transaction_waits_for_its_turn_longer_than_others_may_wait(sessions: Sessions):
    """Its work is done already; what comes after the lock has the limits of all again."""
    limits: list[str] = []

    def count(session: Session) -> None:
        postgres = session.get_bind().dialect.name == "postgresql"
        if postgres:
            session.execute(text("SET lock_timeout = '100ms'"))
            session.execute(text("SET statement_timeout = '100ms'"))
        put(session, {"a": "one two"})
        if postgres:
            names = ("lock_timeout", "statement_timeout")
            limits.extend(session.scalars(text(f"SHOW {name}")).one() for name in names)

    assert do_in_turn(sessions, count, count) == []
    assert limits in ([], ["5s", "10s"] * 2)


def test_transactions_on_several_vocabularies_in_any_order_never_deadlock(sessions: Sessions):
    names = ["one", "two", "three", "four"]

    def change_all(number: int, turn: int) -> Callable[[Session], None]:
        mine = names[number:] + names[:number]

        def change(session: Session) -> None:
            lock_vocabularies(session, TENANT, mine)
            for name in mine:
                put(session, {f"{number}-{turn}": f"{name} word"}, name)

        return change

    for turn in range(5):
        assert do_at_once(sessions, *[change_all(number, turn) for number in range(4)]) == []
    for name in names:
        check_sums(sessions, name)
        assert find_row(sessions, name).documents == 20


WORDS = st.lists(st.sampled_from("abcdefg"), max_size=8).map(lambda words: " ".join(words) or "a")
CHANGES = st.lists(
    st.one_of(
        st.tuples(st.just("put"), st.dictionaries(st.sampled_from("123"), WORDS, min_size=1)),
        st.tuples(st.just("take"), st.sets(st.sampled_from("123"), min_size=1)),
    ),
    max_size=12,
)


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(changes=CHANGES)
def test_any_changes_leave_the_sum_of_the_documents(
    sessions: Sessions, changes: list[tuple[str, Texts]]
):
    expected: dict[str, str] = {}
    fill(sessions, {"1": "a"}, replace=True)
    take_out(sessions, "1", "2", "3")
    for kind, value in changes:
        if kind == "put":
            fill(sessions, value, replace=True)
            expected |= value
        else:
            take_out(sessions, *value)
            expected = {name: text for name, text in expected.items() if name not in value}
    check_sums(sessions)
    truth = Counter(word for text in expected.values() for word in text.split())
    assert dict(rank_all(sessions)) == truth
