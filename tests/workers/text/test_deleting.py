"""A vocabulary is deleted in pages, and nobody finds it once that has begun."""

from collections.abc import Callable

import pytest
from sqlalchemy import func, select

from shared.text_tables import TextDocument, TextVersion, TextVersionWord, TextVocabulary, TextWord
from tests.workers.text.desk import Desk
from workers.runtime.run import Cancelled
from workers.text import deleting
from workers.text.counting_tasks import ingest
from workers.text.deleting import erase_rows
from workers.text.version_contract import FreezeRequest
from workers.text.vocabulary import hide_vocabulary
from workers.text.vocabulary_contract import DeleteRequest, IngestRequest, ListRequest, RankRequest
from workers.text.vocabulary_tasks import delete, freeze, list_all, rank

ASKED = DeleteRequest(vocabulary="stories")
TEXTS = ["one two three four", "four five six seven", "eight"]


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deleting, "ROWS", 3)


def fill(desk: Desk, name: str = "stories") -> None:
    desk.do(ingest, IngestRequest(vocabulary=name, texts=TEXTS))
    desk.do(freeze, FreezeRequest(vocabulary=name))
    desk.do(freeze, FreezeRequest(vocabulary=name, size=2))


def count_rows(desk: Desk) -> dict[str, int]:
    """Of the tenant, in every table."""
    tables = (TextDocument, TextWord, TextVersion, TextVersionWord)
    with desk.worker.sessions.read() as session:
        mine = select(TextVocabulary.id).where(TextVocabulary.tenant == desk.tenant)
        ids = session.scalars(mine).all()
        counts = {
            table.__tablename__: session.scalar(
                select(func.count()).select_from(table).where(table.vocabulary_id.in_(ids))
            )
            or 0
            for table in tables
        }
    return {"text_vocabularies": len(ids), **counts}


def test_all_of_one_vocabulary_goes_and_nothing_of_another(desk: Desk):
    fill(desk, "other")
    before = count_rows(desk)
    fill(desk)
    result = desk.do(delete, ASKED)
    assert (result.vocabulary, result.documents, result.versions) == ("stories", 3, 2)
    assert count_rows(desk) == before
    fractions = [step["fraction"] for step in desk.steps if step["step"] == "deleting"]
    assert len(fractions) == 8  # 8, 2, and 8 words in threes, 3 documents at once
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1.0


def test_while_it_is_deleted_its_name_is_free(desk: Desk):
    fill(desk)
    run = desk.make(ASKED)
    [answer] = delete(desk.worker, [run])
    assert desk.do(list_all, ListRequest()).vocabularies == []
    assert desk.refuse(rank, RankRequest(vocabulary="stories"))[0] == "unknown_vocabulary"
    assert desk.refuse(delete, ASKED)[0] == "unknown_vocabulary"
    assert desk.do(ingest, IngestRequest(vocabulary="stories", texts=["new"])).words == 1
    assert getattr(desk.finish(run, answer), "documents", None) == 3
    assert desk.do(rank, RankRequest(vocabulary="stories")).total_words == 1


def test_a_job_that_comes_again_goes_on_where_it_was(desk: Desk):
    fill(desk)
    run = desk.make(ASKED)
    with desk.worker.sessions.begin() as session:
        hidden = hide_vocabulary(session, desk.tenant, "stories", run.job_id)
    for _ in zip(range(4), erase_rows(desk.worker.sessions, hidden), strict=False):
        pass
    [answer] = delete(desk.worker, [run])
    result = desk.finish(run, answer)
    assert (getattr(result, "documents", 0), getattr(result, "versions", 0)) == (3, 2)
    assert set(count_rows(desk).values()) == {0}


def stop_after(calls: int) -> Callable[[], bool]:
    left = iter(range(calls))
    return lambda: next(left, None) is None


@pytest.mark.parametrize(("calls", "left"), [(0, 1), (1, 0)])
def test_a_cancel_comes_before_all_or_not_at_all(desk: Desk, calls: int, left: int):
    fill(desk)
    desk.stops = stop_after(calls)
    if left:
        with pytest.raises(Cancelled):
            desk.do(delete, ASKED)
    else:
        desk.do(delete, ASKED)
    assert len(desk.do(list_all, ListRequest()).vocabularies) == left
    assert count_rows(desk)["text_vocabularies"] == left
