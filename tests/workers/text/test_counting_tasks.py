"""Batches of ingests in one transaction, as the executor records them, and what stops one."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy.orm import Session

from tests.races import do_at_once
from tests.workers.text.desk import Desk
from workers.runtime.run import Cancelled, Run
from workers.text import ingesting
from workers.text.counting_tasks import ingest
from workers.text.vocabulary_contract import IngestRequest, RankRequest
from workers.text.vocabulary_tasks import rank


def ask(vocabulary: str, text: str) -> IngestRequest:
    return IngestRequest(vocabulary=vocabulary, texts=[text])


def record(runs: list[Run[Any]]) -> Callable[[Session], None]:
    """What a transaction does that ends all jobs of a batch."""

    def act(session: Session) -> None:
        for run in runs:
            for effect in run.effects:
                effect(session)

    return act


def prepare(desk: Desk, *requests: IngestRequest) -> list[Run[Any]]:
    runs = [desk.make(request) for request in requests]
    assert all(answer for answer in ingest(desk.worker, runs))
    return runs


def read_counts(desk: Desk, vocabulary: str) -> dict[str, int]:
    result = desk.do(rank, RankRequest(vocabulary=vocabulary))
    return {each.word: each.count for each in result.words}


def test_jobs_of_a_batch_on_one_vocabulary_add_up(desk: Desk):
    desk.change(record(prepare(desk, ask("v", "one two"), ask("v", "two three"), ask("w", "four"))))
    assert read_counts(desk, "v") == {"one": 1, "two": 2, "three": 1}
    assert read_counts(desk, "w") == {"four": 1}


def test_batches_that_name_vocabularies_in_another_order_do_not_deadlock(desk: Desk):
    for turn in range(5):
        there = prepare(desk, *(ask(name, f"there word {'x' * turn}") for name in "abcd"))
        back = prepare(desk, *(ask(name, f"back word {'x' * turn}") for name in "dcba"))
        assert do_at_once(desk.worker.sessions, record(there), record(back)) == []
    for name in "abcd":
        counts = read_counts(desk, name)
        assert (counts["there"], counts["back"], counts["word"]) == (5, 5, 10)


def test_a_batch_makes_no_vocabulary_for_a_job_that_did_not_end(desk: Desk):
    first, _cancelled = prepare(desk, ask("a", "word"), ask("b", "word"))
    desk.change(record([first]))
    assert desk.refuse(rank, RankRequest(vocabulary="b"))[0] == "unknown_vocabulary"


def test_more_distinct_words_than_a_job_may_have(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(ingesting, "MAX_WORDS", 3)
    code, text = sqlite_desk.refuse(ingest, ask("v", "four words are counted"))
    assert code == "too_large"
    assert "several jobs" in text
    assert sqlite_desk.do(ingest, ask("v", "three three of these")).words == 3


def test_a_job_that_was_cancelled_stops(sqlite_desk: Desk):
    sqlite_desk.stops = lambda: True
    with pytest.raises(Cancelled):
        sqlite_desk.do(ingest, ask("v", "word"))


def test_words_that_are_too_long_are_told(desk: Desk):
    result = desk.do(ingest, ask("v", f"a {'b' * 201} {'c' * 200}"))
    assert (result.tokens, result.too_long, result.words) == (2, 1, 2)


def test_words_that_are_too_long_are_told_of_new_documents_alone(desk: Desk):
    known, new = f"a {'b' * 201}", f"c {'d' * 201} {'e' * 201}"
    desk.do(ingest, ask("v", known))
    both = IngestRequest(vocabulary="v", texts=[known, new])
    assert [desk.do(ingest, both).too_long for _ in range(2)] == [2, 0]
