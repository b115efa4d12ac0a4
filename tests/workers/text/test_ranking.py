"""Pages and ranks come from the index of ranks, and agree with a sorted list."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from shared.db import Sessions
from tests.workers.text.counted import fill, find_row, rank_all
from workers.runtime.run import InvalidInput
from workers.text.ranking import Place, rank_words, read_page

# Word n occurs 300 // n times: a few frequent ones, and many that occur once or twice.
ZIPF = " ".join(f"w{n} " * (300 // n) for n in range(1, 301))
MANY = " ".join(f"w{n} " * (1 + 4000 // n) for n in range(1, 4001))


def read_pages(sessions: Sessions, limit: int) -> list[tuple[int, str, int]]:
    row = find_row(sessions)
    found: list[tuple[int, str, int]] = []
    after = None
    while True:
        with sessions.read() as session:
            page = read_page(session, row.id, after, limit)
        found += [(each.place.rank, each.word, each.place.count) for each in page]
        if len(page) < limit:
            return found
        after = Place.parse(str(page[-1].place))


@pytest.mark.parametrize("limit", [1, 7, 100, 300, 1000])
def test_pages_of_any_size_make_the_same_list(sessions: Sessions, limit: int):
    fill(sessions, {"other": ZIPF}, "other")
    fill(sessions, {"a": ZIPF})
    counts = Counter(ZIPF.split()).most_common()  # of equal counts, the first seen comes first
    expected = [(rank, word, count) for rank, (word, count) in enumerate(counts, 1)]
    assert read_pages(sessions, limit) == expected
    assert rank_all(sessions) == counts


def test_ranks_of_given_words(sessions: Sessions):
    fill(sessions, {"a": ZIPF})
    expected = {word: rank for rank, (word, _) in enumerate(Counter(ZIPF.split()).most_common(), 1)}
    with sessions.read() as session:
        ranked = rank_words(session, find_row(sessions).id, [*expected, "never"])
    assert {word: each.place.rank for word, each in ranked.items()} == expected


def test_words_of_another_vocabulary_have_no_rank(sessions: Sessions):
    fill(sessions, {"a": "here"})
    fill(sessions, {"a": "there"}, "other")
    with sessions.read() as session:
        assert list(rank_words(session, find_row(sessions).id, ["here", "there"])) == ["here"]


@pytest.mark.parametrize(
    "cursor",
    ["", "1", "1.2", "1.2.3.4", "-1.2.3", "1.2.x", "1.2.3 ", "1.2.3\n", "٣.1.1", "9" * 19 + ".1.1"],
)
def test_a_cursor_that_no_page_gave_is_refused(cursor: str):
    with pytest.raises(InvalidInput, match="after"):
        Place.parse(cursor)


@contextmanager
def explaining(session: Session) -> Iterator[list[str]]:
    """The plans of all statements that the session runs."""
    connection, plans = session.connection(), []
    prefix = "EXPLAIN " if connection.dialect.name == "postgresql" else "EXPLAIN QUERY PLAN "

    def explain(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        own = connection.connection.cursor()
        own.execute(prefix + statement, parameters)
        plans.append("\n".join(str(row) for row in own.fetchall()))

    event.listen(connection, "before_cursor_execute", explain)
    yield plans
    event.remove(connection, "before_cursor_execute", explain)


@pytest.mark.parametrize("after", [None, Place(2, 1500, 1500)])
def test_a_page_is_read_from_the_index_and_nothing_is_sorted(
    sessions: Sessions, after: Place | None
):
    fill(sessions, {"a": MANY})
    with sessions.engine.connect() as connection:
        connection.exec_driver_sql("ANALYZE")
        connection.commit()
    with sessions.read() as session, explaining(session) as plans:
        assert len(read_page(session, find_row(sessions).id, after, 100)) == 100
    assert plans
    for plan in plans:
        assert "ix_text_words_rank" in plan
        assert "SORT" not in plan.upper()
        assert "TEMP B-TREE" not in plan


def test_ranks_are_counted_in_the_index(sessions: Sessions):
    fill(sessions, {"a": MANY})
    with sessions.read() as session, explaining(session) as plans:
        rank_words(session, find_row(sessions).id, ["w1", "w2", "w3000"])
    for plan in plans[1:]:  # the first finds the words
        assert plan.count("ix_text_words_rank") == 3
