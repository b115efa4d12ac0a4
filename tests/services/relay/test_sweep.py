"""The sweeper takes back what was lost, and deletes what has expired."""

from typing import Any

import pytest
from sqlalchemy import func, select, update

from services.relay.sweep import DELETE_AT_ONCE, Sweeper
from shared.db import Sessions, db_now
from shared.events import Event, Events
from shared.tables import Base, IdempotencyKey, Job, StoredBlob, WorkerProcess
from tests.rows import make_job

RUNNING = {"state": "running", "fence": 1, "started_at": 1.0}
PAST, FUTURE = 1.0, 1e12


def add(sessions: Sessions, **values: Any) -> str:
    with sessions.begin() as session:
        job = make_job(**values)
        session.add(job)
    return job.id


def read(sessions: Sessions, job_id: str) -> Job:
    with sessions.read() as session:
        return session.get_one(Job, job_id)


def read_events(sweeper: Sweeper, job_id: str) -> list[Event]:
    return sweeper.events.read_after(job_id, "")


def count(sessions: Sessions, table: type[Base]) -> int:
    with sessions.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_a_lost_job_goes_back_to_the_queue(sweeper: Sweeper, sessions: Sessions):
    job = add(sessions, **RUNNING, lease_until=PAST)
    assert sweeper.take_back() == 1
    row = read(sessions, job)
    assert (row.state, row.failures, row.dispatched_at) == ("queued", 1, None)
    assert [event.kind for event in read_events(sweeper, job)] == ["queued"]
    assert sweeper.take_back() == 0


def test_a_job_that_loses_its_last_worker_fails(sweeper: Sweeper, sessions: Sessions):
    job = add(sessions, **RUNNING, lease_until=PAST, failures=2)
    assert sweeper.take_back() == 1
    row = read(sessions, job)
    assert (row.state, row.failures, row.error_code) == ("failed", 3, "worker_lost")
    assert row.expires_at == pytest.approx(row.finished_at + row.ttl, abs=0.01)
    (event,) = read_events(sweeper, job)
    assert (event.kind, event.data["error"]["code"]) == ("failed", "worker_lost")
    assert event.data["error"]["detail"] == row.error_detail


def test_a_job_that_was_to_be_cancelled_is_cancelled(sweeper: Sweeper, sessions: Sessions):
    job = add(sessions, **RUNNING, lease_until=PAST, cancel_requested=True)
    sweeper.take_back()
    assert read(sessions, job).state == "cancelled"
    assert [event.kind for event in read_events(sweeper, job)] == ["cancelled"]


def test_a_queued_job_fails_at_its_deadline(sweeper: Sweeper, sessions: Sessions):
    waiting = add(sessions, deadline_at=PAST)
    announced = add(sessions, deadline_at=PAST, dispatched_at=PAST)
    assert sweeper.take_back() == 2
    for job in (waiting, announced):
        row = read(sessions, job)
        assert (row.state, row.error_code) == ("failed", "deadline_exceeded")
        (event,) = read_events(sweeper, job)
        assert event.data["error"]["code"] == "deadline_exceeded"


def test_a_lost_job_past_its_deadline_ends_in_one_sweep(sweeper: Sweeper, sessions: Sessions):
    job = add(sessions, **RUNNING, lease_until=PAST, deadline_at=PAST)
    sweeper.take_back()
    assert read(sessions, job).state == "failed"
    assert [event.kind for event in read_events(sweeper, job)] == ["queued", "failed"]


def test_what_is_in_order_is_left_alone(sweeper: Sweeper, sessions: Sessions):
    jobs = {
        add(sessions): "queued",
        add(sessions, **RUNNING, lease_until=FUTURE): "running",
        add(sessions, **RUNNING, lease_until=FUTURE, deadline_at=PAST): "running",  # its worker's
        add(sessions, state="succeeded", deadline_at=PAST, expires_at=FUTURE): "succeeded",
    }
    assert sweeper.take_back() == 0
    assert sweeper.delete_expired() == 0
    assert {job: read(sessions, job).state for job in jobs} == jobs
    assert all(read_events(sweeper, job) == [] for job in jobs)


def test_without_redis_jobs_are_taken_back_all_the_same(
    sweeper: Sweeper, sessions: Sessions, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(sweeper, "events", Events("redis://127.0.0.1:1/0"))
    job = add(sessions, **RUNNING, lease_until=PAST)
    assert sweeper.take_back() == 1
    assert read(sessions, job).state == "queued"


def test_an_expired_job_goes_with_its_key_and_its_file(sweeper: Sweeper, sessions: Sessions):
    old = add(sessions, state="succeeded", expires_at=PAST)
    young = add(sessions, state="succeeded", expires_at=FUTURE)
    with sessions.begin() as session:
        for job in (old, young):
            key = IdempotencyKey(tenant="ann", key=job, fingerprint="f", job_id=job)
            session.add(key)
    gone = sweeper.blobs.add("ann", [b"old"], keep=-1, limit=10)
    kept = sweeper.blobs.add("ann", [b"young"], keep=600, limit=10)
    others = sweeper.blobs.add("bob", [b"old"], keep=600, limit=10)
    folder = sweeper.settings.home / "blobs"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 3

    assert sweeper.delete_expired() == 2

    with sessions.read() as session:
        assert list(session.scalars(select(Job.id))) == [young]
        assert list(session.scalars(select(IdempotencyKey.key))) == [young]
    assert sweeper.blobs.find("ann", [gone.id, kept.id]).keys() == {kept.id}
    assert sweeper.blobs.read("bob", others.id) == b"old"
    assert len([path for path in folder.rglob("*") if path.is_file()]) == 2
    assert sweeper.delete_expired() == 0


def test_a_file_that_is_uploaded_again_is_not_deleted(sweeper: Sweeper):
    info = sweeper.blobs.add("ann", [b"again"], keep=-1, limit=10)
    assert sweeper.blobs.add("ann", [b"again"], keep=600, limit=10) == info
    assert sweeper.delete_expired() == 0
    assert sweeper.blobs.read("ann", info.id) == b"again"


def test_many_expired_rows_go_in_short_transactions(sweeper: Sweeper, sessions: Sessions):
    with sessions.begin() as session:
        session.add_all(
            make_job(state="succeeded", expires_at=PAST) for _ in range(DELETE_AT_ONCE + 10)
        )
    assert [sweeper.delete_expired() for _ in range(3)] == [DELETE_AT_ONCE, 10, 0]
    assert count(sessions, Job) == 0


def test_processes_silent_for_an_hour_are_forgotten(sweeper: Sweeper, sessions: Sessions):
    with sessions.begin() as session:
        for number in range(2):
            session.add(WorkerProcess(id=f"host:{number}", queue="quick", seen_at=PAST))
        session.execute(
            update(WorkerProcess).where(WorkerProcess.id == "host:1").values(seen_at=db_now())
        )
    sweeper.delete_expired()
    with sessions.read() as session:
        assert list(session.scalars(select(WorkerProcess.id))) == ["host:1"]
    assert count(sessions, StoredBlob) == 0
