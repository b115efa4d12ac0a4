"""Kill workers as often as you like: every token is counted once."""

from pathlib import Path

import pytest

from shared.db import open_db
from tests.chaos.conftest import FULL
from tests.chaos.text import compare_sql, make_texts, plan_jobs, shake
from tests.plain_sql import run_sql
from tests.workers.text.counted import fill

DOCUMENTS = 10_000 if FULL else 2000


@pytest.mark.chaos
@pytest.mark.timeout(3600 if FULL else 300)
@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_counts_are_those_of_one_process(kind: str, request: pytest.FixtureRequest, tmp_path: Path):
    url = "" if kind == "sqlite" else request.getfixturevalue("empty_postgres_url")
    processes, every = (4, 1.0) if FULL else (2, 2.0)
    findings, figures = shake(tmp_path / "home", DOCUMENTS, processes, 1, every, url)
    print(figures)
    assert findings.failed == []
    assert findings.differences == []
    assert findings.deadlocks == 0
    assert findings.kills > 0


def test_the_check_finds_a_token_that_was_counted_twice(sqlite_database_url: str):
    texts = make_texts(30, seed=1)
    sessions = open_db(sqlite_database_url)
    fill(sessions, dict(texts))
    sessions.engine.dispose()
    assert compare_sql(sqlite_database_url, texts) == []
    run_sql(sqlite_database_url, "UPDATE text_words SET count = count + 1 WHERE word = 'akp'")
    [difference] = compare_sql(sqlite_database_url, texts)
    assert difference.startswith("counts")
    assert len(compare_sql(sqlite_database_url, texts[1:])) == 4


def test_every_document_is_sent_twice_among_others():
    texts = make_texts(100, seed=1)
    jobs = plan_jobs(texts, seed=1)
    assert sorted(text for job in jobs for text in job) == sorted([*texts, *texts])
    assert len({tuple(sorted(job)) for job in jobs}) == len(jobs)
