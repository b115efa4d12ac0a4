"""Every step finds its rows by an index, however many jobs are kept."""

import time

import pytest
from sqlalchemy import String, cast, event, insert, literal, select, text, true

from shared.db import db_now
from shared.identifiers import new_id
from shared.jobs import store
from shared.jobs.machine import State
from shared.tables import FINISHED, Job
from tests.rows import make_job

TASK = "detect.objects"
NOW = time.time()
DAY = 86_400.0  # seconds: the tests begin long after this file is read
KEPT = {
    "finished": (20_000, {"state": State.SUCCEEDED, "expires_at": NOW + DAY}),
    "waiting": (2_000, {}),
    "announced": (2_000, {"dispatched_at": NOW}),
    "running": (200, {"state": State.RUNNING, "lease_until": NOW + DAY, "fence": 1}),
}


@pytest.fixture
def full(sessions):
    """Sessions on a table with many jobs, of which few are in any one state but finished."""
    with sessions.begin() as session:
        for kind, (count, values) in KEPT.items():
            session.add(make_job(id=kind, **values))
            session.flush()
            multiply(session, kind, count)
        session.execute(text("ANALYZE"))
    return sessions


def multiply(session, job_id, count):
    """Copy a job so that there are `count`."""
    numbers = select(literal(1).label("number")).cte(recursive=True)
    numbers = numbers.union_all(select(numbers.c.number + 1).where(numbers.c.number < count - 1))
    others = [column for column in Job.__table__.c if column.name != "id"]
    copies = (
        select(Job.id + cast(numbers.c.number, String), *others)
        .join(numbers, true())
        .where(Job.id == job_id)
    )
    session.execute(insert(Job).from_select(["id", *(other.name for other in others)], copies))


def claim_five(session):
    assert len(store.claim(session, TASK, 5, 30.0)) == 5


def claim_fifty(session):
    assert len(store.claim(session, TASK, 50, 30.0)) == 50


def expire(session):
    assert store.expire(session, 3) == []


def pass_deadline(session):
    assert store.pass_deadline(session) == []


def forget_announcements(session):
    store.forget_announcements(session)


def count_expired(session):
    assert session.scalars(select(Job.id).where(FINISHED, Job.expires_at <= db_now())).all() == []


def announce(session):
    assert store.announce(session, [new_id() for _ in range(50)]) == []


def extend(session):
    store.extend(session, {new_id(): 1 for _ in range(50)}, 30.0, {})


def read_orders(session):
    store.read_orders(session, {new_id(): 1 for _ in range(50)})


def cancel(session):
    assert store.cancel(session, "ann", new_id()) is None


INDEXES = {
    claim_five: "ix_jobs_announced",
    claim_fifty: "ix_jobs_announced",
    expire: "ix_jobs_running_lease",
    pass_deadline: "ix_jobs_queued_deadline",
    count_expired: "ix_jobs_expires",
}


def test_no_step_scans_the_table(full):
    others = (forget_announcements, announce, extend, read_orders, cancel)
    for step in (*INDEXES, *others):
        plans = explain(full, step)
        assert plans, step
        for plan in plans:
            assert "Seq Scan on jobs" not in plan, (step, plan)  # PostgreSQL
            assert "SCAN jobs" not in plan or "USING" in plan, (step, plan)  # SQLite


def test_each_state_has_its_partial_index(full):
    for step, index in INDEXES.items():
        plans = explain(full, step)
        assert any(index in plan for plan in plans), (step, plans)


def test_the_database_clock_is_searched_for_in_the_index(full):
    for step in (expire, pass_deadline, count_expired):
        for plan in explain(full, step):
            assert "Index Cond: " in plan or "SEARCH jobs" in plan, (step, plan)


def explain(sessions, step):
    """The plan of each statement on jobs that the step executes."""
    statements = []

    def note(_connection, _cursor, statement, parameters, _context, many):
        if "jobs" in statement:
            statements.append((statement, parameters[0] if many else parameters))

    event.listen(sessions.engine, "before_cursor_execute", note)
    with sessions.begin() as session:
        step(session)
        session.rollback()
    event.remove(sessions.engine, "before_cursor_execute", note)
    prefix = "EXPLAIN QUERY PLAN" if sessions.engine.dialect.name == "sqlite" else "EXPLAIN"
    with sessions.begin() as session:
        return [
            "\n".join(
                str(row[-1])
                for row in session.connection().exec_driver_sql(f"{prefix} {statement}", parameters)
            )
            for statement, parameters in statements
        ]
