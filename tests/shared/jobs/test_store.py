"""Who gets which job, what is written when it ends, and that no two workers get the same one."""

import random
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select, update

from shared.db import db_now, open_db
from shared.jobs import store
from shared.jobs.machine import DEADLINE_EXCEEDED, WORKER_LOST, State
from shared.tables import Job
from tests.rows import make_job

TASK = "detect.objects"
LEASE = 30.0


def add(sessions, *jobs):
    """Store new jobs; their ids."""
    with sessions.begin() as session:
        session.add_all(jobs)
    return [job.id for job in jobs]


def add_announced(sessions, *jobs):
    ids = add(sessions, *jobs)
    with sessions.begin() as session:
        assert store.announce(session, ids) == ids
    return ids


def claim(sessions, limit=1, task=TASK):
    with sessions.begin() as session:
        return store.claim(session, task, limit, LEASE)


def claim_one(sessions):
    (only,) = claim(sessions)
    return only


def change(sessions, job_id, **values):
    with sessions.begin() as session:
        session.execute(update(Job).where(Job.id == job_id).values(**values))


def read(sessions, job_id):
    with sessions.read() as session:
        return session.get_one(Job, job_id)


@pytest.mark.parametrize("count", [3, 300])
def test_jobs_are_claimed_in_the_order_they_were_announced(sessions, count):
    ids = add(sessions, *(make_job() for _ in range(count)))
    random.Random(7).shuffle(ids)
    with sessions.begin() as session:
        assert store.announce(session, ids) == ids
    assert [claim_one(sessions).id for _ in ids] == ids


def test_a_higher_priority_is_claimed_before_an_earlier_announcement(sessions):
    low, normal, high = add_announced(sessions, *(make_job(priority=level) for level in (2, 1, 0)))
    assert [claim_one(sessions).id for _ in range(3)] == [high, normal, low]


def test_a_claim_takes_no_more_than_its_limit_and_nothing_of_another_task(sessions):
    add_announced(sessions, *(make_job() for _ in range(5)), make_job(task="detect.other"))
    assert [len(claim(sessions, limit=3)) for _ in range(3)] == [3, 2, 0]


def test_a_claim_carries_what_the_worker_needs(sessions):
    job = make_job(tenant="bob", request={"image": "x"}, ttl=77.0)
    add_announced(sessions, job)
    claimed = claim_one(sessions)
    assert (claimed.id, claimed.tenant, claimed.task) == (job.id, "bob", TASK)
    assert (claimed.request, claimed.ttl) == ({"image": "x"}, 77.0)
    assert claimed.deadline_at == job.deadline_at


def test_a_job_that_has_lost_a_worker_is_claimed_alone(sessions):
    suspects = add_announced(sessions, make_job(failures=1), make_job(failures=2))
    healthy = add_announced(sessions, make_job(), make_job())
    batches = [{job.id for job in claim(sessions, limit=10)} for _ in range(3)]
    assert batches == [{suspects[0]}, {suspects[1]}, set(healthy)]


def test_a_batch_leaves_out_the_job_that_has_lost_a_worker(sessions):
    first, suspect, last = add_announced(sessions, make_job(), make_job(failures=1), make_job())
    batches = [{job.id for job in claim(sessions, limit=10)} for _ in range(2)]
    assert batches == [{first, last}, {suspect}]


@pytest.mark.parametrize("limit", [1, 7])
def test_concurrent_workers_never_get_the_same_job(sessions, limit):
    ids = add_announced(sessions, *(make_job() for _ in range(1000)))

    def work(_):
        mine = []
        while batch := claim(sessions, limit):
            mine += batch
        return mine

    with ThreadPoolExecutor(8) as pool:
        claims = [one for batch in pool.map(work, range(8)) for one in batch]
    claims += work(None)  # a worker may have stopped while others still held the last ones
    assert sorted(one.id for one in claims) == sorted(ids)
    assert {one.fence for one in claims} == {1}


def test_announcing_or_extending_nothing_is_allowed(sessions):
    with sessions.begin() as session:
        assert store.announce(session, []) == []
        store.extend(session, {}, LEASE, {})
        assert store.read_orders(session, {}) == {}


def test_a_result_is_kept_for_its_ttl_from_the_finish(sessions):
    (job_id,) = add_announced(sessions, make_job(ttl=600.0))
    with sessions.begin() as session:
        (claimed,) = store.claim(session, TASK, 1, LEASE)
        assert store.finish(session, claimed, State.SUCCEEDED, result={"boxes": []})
        now = session.scalar(select(db_now()))
    job = read(sessions, job_id)
    assert job.result == {"boxes": []}
    assert job.started_at <= job.finished_at <= now
    assert job.expires_at - job.finished_at == pytest.approx(600, abs=0.1)


def test_a_zombie_records_nothing(sessions):
    (job_id,) = add_announced(sessions, make_job())
    zombie = claim_one(sessions)
    change(sessions, job_id, lease_until=0.0)
    with sessions.begin() as session:
        store.expire(session, max_failures=3)
        store.announce(session, [job_id])
    holder = claim_one(sessions)
    assert holder.fence == zombie.fence + 1
    with sessions.begin() as session:
        store.extend(session, {job_id: zombie.fence}, 9999, {job_id: {"fraction": 1.0}})
        assert not store.finish(session, zombie, State.FAILED, error_code="odd")
        assert not store.release(session, zombie)
    job = read(sessions, job_id)
    assert (job.state, job.error_code, job.progress) == (State.RUNNING, None, None)
    assert job.lease_until < job.created_at + 9000
    with sessions.begin() as session:
        assert store.finish(session, holder, State.SUCCEEDED)
        assert not store.finish(session, holder, State.FAILED)
    assert read(sessions, job_id).state == State.SUCCEEDED


def test_extending_writes_progress_only_for_held_fences(sessions):
    held, stale, unknown = *add_announced(sessions, make_job(), make_job()), "f" * 32
    claims = {one.id: one.fence for one in claim(sessions, limit=2)}
    fences = {held: claims[held], stale: claims[stale] - 1, unknown: 1}
    with sessions.begin() as session:
        store.extend(session, fences, 500, {key: {"fraction": 0.5} for key in fences})
    assert read(sessions, held).progress == {"fraction": 0.5}
    assert read(sessions, stale).progress is None
    assert read(sessions, held).lease_until > read(sessions, stale).lease_until + 400


def test_orders_tell_a_worker_to_go_on_or_why_to_stop(sessions):
    ids = add_announced(sessions, *(make_job() for _ in range(5)))
    fences = {one.id: one.fence for one in claim(sessions, limit=5)}
    going_on, cancelled, late, both, taken = ids
    for job_id in (cancelled, both):
        change(sessions, job_id, cancel_requested=True)
    for job_id in (late, both):
        change(sessions, job_id, deadline_at=0.0)
    change(sessions, taken, fence=2)
    with sessions.read() as session:
        assert store.read_orders(session, {**fences, "f" * 32: 1}) == {
            going_on: None,
            cancelled: "cancel",
            late: "late",
            both: "cancel",
            taken: "lost",
            "f" * 32: "lost",
        }


def test_sweeps_tell_what_became_of_each_job(sessions):
    again, lost, cancelled = add_announced(
        sessions, make_job(), make_job(failures=1), make_job(failures=1)
    )
    for _ in range(3):
        claim(sessions)
    for job_id in (again, lost, cancelled):
        change(sessions, job_id, lease_until=0.0, cancel_requested=job_id == cancelled)
    (late,) = add(sessions, make_job(deadline_at=0.0))
    with sessions.begin() as session:
        ended = [*store.expire(session, max_failures=2), *store.pass_deadline(session)]
    assert {end.id: (end.state, end.error_code) for end in ended} == {
        again: (State.QUEUED, None),
        lost: (State.FAILED, WORKER_LOST),
        cancelled: (State.CANCELLED, None),
        late: (State.FAILED, DEADLINE_EXCEEDED),
    }
    assert all(bool(end.error_detail) == (end.state == State.FAILED) for end in ended)
    assert read(sessions, again).finished_at is None
    assert read(sessions, lost).expires_at is not None


def test_another_tenant_cannot_cancel(sessions):
    (job_id,) = add(sessions, make_job(tenant="ann"))
    with sessions.begin() as session:
        assert store.cancel(session, "bob", job_id) is None
        assert store.cancel(session, "ann", job_id) == store.Ended(job_id, State.CANCELLED)
        assert store.cancel(session, "ann", job_id) is None


def test_a_running_job_is_asked_to_stop_once_and_ends_when_it_is_handed_back(sessions):
    (job_id,) = add_announced(sessions, make_job())
    claimed = claim_one(sessions)
    with sessions.begin() as session:
        assert store.cancel(session, "ann", job_id) == store.Ended(job_id, State.RUNNING)
        assert store.cancel(session, "ann", job_id) is None
    with sessions.begin() as session:
        assert store.release(session, claimed)
    job = read(sessions, job_id)
    assert (job.state, job.failures) == (State.CANCELLED, 0)
    assert job.expires_at is not None


def test_a_planned_shutdown_hands_the_job_back_uncharged(sessions):
    (job_id,) = add_announced(sessions, make_job())
    claimed = claim_one(sessions)
    with sessions.begin() as session:
        assert store.release(session, claimed)
        assert not store.release(session, claimed)
    job = read(sessions, job_id)
    assert (job.state, job.failures, job.fence) == (State.QUEUED, 0, 1)
    assert (job.lease_until, job.dispatched_at) == (None, None)


def test_the_sweeper_leaves_a_row_that_a_worker_is_changing(postgres_database_url):
    """Both change many rows in no certain order: waiting for each other would be a deadlock."""
    opened = open_db(postgres_database_url)
    ids = add_announced(opened, make_job(), make_job())
    claims = {claimed.id: claimed.fence for claimed in claim(opened, limit=2)}
    for job_id in ids:
        change(opened, job_id, lease_until=0.0)
    held = {ids[1]: claims[ids[1]]}
    with opened.begin() as worker:
        store.extend(worker, held, LEASE, {})
        with opened.begin() as sweeper:
            assert [ended.id for ended in store.expire(sweeper, max_failures=3)] == [ids[0]]
    assert read(opened, ids[1]).state == State.RUNNING
    opened.engine.dispose()


def test_a_beat_without_news_keeps_the_progress(sessions):
    add_announced(sessions, make_job())
    claimed = claim_one(sessions)
    for progress in ({claimed.id: {"fraction": 0.5}}, {}):
        with sessions.begin() as session:
            store.extend(session, {claimed.id: claimed.fence}, LEASE, progress)
        assert read(sessions, claimed.id).progress == {"fraction": 0.5}
