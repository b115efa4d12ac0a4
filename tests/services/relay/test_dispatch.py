"""The relay keeps a small window of announced jobs, and repairs what Redis forgot."""

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

from redis import Redis
from sqlalchemy import func, select, update

from services.relay.dispatch import Dispatcher
from shared.db import Sessions, db_now
from shared.jobs import store
from shared.queue import queue_key
from shared.tables import ANNOUNCED, WAITING, Job, WorkerProcess
from tests.rows import make_job
from tests.services.relay.conftest import OTHER, QUICK, SLOW

MakeDispatcher = Callable[..., Dispatcher]


def add_jobs(sessions: Sessions, count: int, task: str = "quick.work", **values: Any) -> list[str]:
    rows = [make_job(task=task, **values) for _ in range(count)]
    with sessions.begin() as session:
        session.add_all(rows)
    return [row.id for row in rows]


def add_processes(sessions: Sessions, queue: str, *ages: float) -> None:
    with sessions.begin() as session:
        now = session.scalar(select(db_now()))
        for number, age in enumerate(ages):
            session.add(WorkerProcess(id=f"{queue}:{number}", queue=queue, seen_at=now - age))


def list_announced(sessions: Sessions) -> list[str]:
    """In the order in which workers will claim them."""
    with sessions.read() as session:
        order = (Job.priority, Job.dispatched_at)
        return list(session.scalars(select(Job.id).where(ANNOUNCED).order_by(*order)))


def count_waiting(sessions: Sessions) -> int:
    with sessions.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(WAITING)) or 0


def age_announcements(sessions: Sessions, seconds: float) -> None:
    with sessions.begin() as session:
        session.execute(update(Job).values(dispatched_at=Job.dispatched_at - seconds))


def test_the_window_is_filled_and_no_more(dispatcher: Dispatcher, sessions: Sessions, redis: Redis):
    jobs = add_jobs(sessions, 20)
    assert dispatcher.fill(QUICK) == 8  # 2 batches of 4 for one process
    assert sorted(list_announced(sessions)) == sorted(jobs)[:8]
    assert redis.llen(queue_key("quick")) == 2  # a message per batch
    assert dispatcher.fill(QUICK) == 0
    assert redis.llen(queue_key("quick")) == 2


def test_room_is_filled_as_jobs_are_claimed(dispatcher: Dispatcher, sessions: Sessions):
    add_jobs(sessions, 20)
    dispatcher.fill(QUICK)
    with sessions.begin() as session:
        assert len(store.claim(session, QUICK.name, 3, lease=30)) == 3
    assert dispatcher.fill(QUICK) == 3
    assert count_waiting(sessions) == 9


def test_the_window_counts_live_processes(dispatcher: Dispatcher, sessions: Sessions):
    add_jobs(sessions, 50)
    add_processes(sessions, "quick", 0, 5, 29, 31, 3600)  # silent for three heartbeats: dead
    add_processes(sessions, "slow", 0)
    dispatcher.count_processes()
    assert dispatcher.fill(QUICK) == 3 * 8


def test_without_a_process_there_is_a_window_for_one(dispatcher: Dispatcher, sessions: Sessions):
    add_jobs(sessions, 50)
    add_processes(sessions, "quick", 3600)
    dispatcher.count_processes()
    assert dispatcher.fill(QUICK) == 8


def test_a_great_window_is_filled_in_several_steps(
    make_dispatcher: MakeDispatcher, sessions: Sessions
):
    dispatcher = make_dispatcher(window_batches=20_000)  # more than a statement has parameters
    add_jobs(sessions, 2500)
    assert [dispatcher.fill(QUICK) for _ in range(4)] == [1000, 1000, 500, 0]


def test_each_task_has_its_window(dispatcher: Dispatcher, sessions: Sessions, redis: Redis):
    for task in (QUICK, OTHER, SLOW):
        add_jobs(sessions, 20, task=task.name)
    assert [dispatcher.fill(task) for task in (QUICK, OTHER, SLOW)] == [8, 2, 2]
    assert redis.llen(queue_key("quick")) == 2 + 2
    assert redis.llen(queue_key("slow")) == 2


def test_nothing_is_sent_for_nothing(dispatcher: Dispatcher, redis: Redis):
    assert dispatcher.fill(QUICK) == 0
    assert redis.llen(queue_key("quick")) == 0


def test_messages_carry_only_the_name_of_the_task(
    dispatcher: Dispatcher, sessions: Sessions, redis: Redis
):
    add_jobs(sessions, 1, tenant="somebody", request={"secret": "text"})
    dispatcher.fill(QUICK)
    message = str(redis.lindex(queue_key("quick"), 0))
    assert "quick.work" in message
    assert "secret" not in message
    assert "somebody" not in message


def test_tenants_take_turns_and_priority_orders_their_own(
    dispatcher: Dispatcher, sessions: Sessions
):
    add_jobs(sessions, 30, tenant="flood", priority=0)
    low = add_jobs(sessions, 3, tenant="small", priority=2)
    high = add_jobs(sessions, 1, tenant="small", priority=0)
    dispatcher.fill(QUICK)
    announced = list_announced(sessions)
    assert {*low, *high} <= set(announced)
    assert len(announced) == 8


def test_jobs_that_run_count_as_turns_taken(dispatcher: Dispatcher, sessions: Sessions):
    flood = add_jobs(sessions, 20, tenant="flood")
    dispatcher.fill(QUICK)
    with sessions.begin() as session:
        store.claim(session, QUICK.name, 8, lease=30)
    small = add_jobs(sessions, 8, tenant="small")
    dispatcher.fill(QUICK)
    assert set(list_announced(sessions)) == set(small)
    assert len(flood) == 20


def test_rows_of_unknown_tasks_are_left_alone(
    dispatcher: Dispatcher, sessions: Sessions, redis: Redis
):
    add_jobs(sessions, 3, task="removed.task")
    for task in (QUICK, OTHER, SLOW):
        assert dispatcher.fill(task) == 0
        assert dispatcher.resend_stale(task) == 0
    assert count_waiting(sessions) == 3
    assert redis.keys("atelier:*") == []


def test_two_relays_announce_each_job_once(make_dispatcher: MakeDispatcher, sessions: Sessions):
    total, rounds = 120, 200
    jobs = {j for t in "abc" for j in add_jobs(sessions, total // 3, tenant=t)}
    start = threading.Barrier(2, timeout=30)
    sent: list[int] = []
    claimed: Counter[str] = Counter()

    def relay(dispatcher: Dispatcher) -> None:
        start.wait()
        for _ in range(rounds):
            sent.append(dispatcher.fill(QUICK))

    threads = [threading.Thread(target=relay, args=[make_dispatcher()]) for _ in range(2)]
    for thread in threads:
        thread.start()
    most = 0
    while any(thread.is_alive() for thread in threads):
        most = max(most, len(list_announced(sessions)))
        with sessions.begin() as session:
            claimed.update(c.id for c in store.claim(session, QUICK.name, 3, lease=30))
    for thread in threads:
        thread.join()
    while left := list_announced(sessions):
        with sessions.begin() as session:
            claimed.update(c.id for c in store.claim(session, QUICK.name, len(left), lease=30))
    assert set(claimed) <= jobs
    assert set(claimed.values()) == {1}
    assert sum(sent) == len(claimed)  # nothing was counted by both
    assert most <= 16  # each may have seen the room that the other filled


# What Redis lost


def test_a_stale_job_is_sent_again_when_the_queue_is_empty(
    dispatcher: Dispatcher, sessions: Sessions, redis: Redis
):
    add_jobs(sessions, 8)
    dispatcher.fill(QUICK)
    age_announcements(sessions, 60)
    assert dispatcher.resend_stale(QUICK) == 0  # the messages are still there
    redis.delete(queue_key("quick"))
    assert dispatcher.resend_stale(QUICK) == 8
    assert redis.llen(queue_key("quick")) == 2
    assert dispatcher.resend_stale(QUICK) == 0


def test_a_fresh_announcement_is_not_sent_again(
    dispatcher: Dispatcher, sessions: Sessions, redis: Redis
):
    add_jobs(sessions, 8)
    dispatcher.fill(QUICK)
    redis.delete(queue_key("quick"))
    assert dispatcher.resend_stale(QUICK) == 0
    assert redis.llen(queue_key("quick")) == 0


def test_the_first_look_at_redis_is_remembered(dispatcher: Dispatcher):
    assert dispatcher.check_epoch()
    assert not dispatcher.check_epoch()


def test_a_wiped_redis_makes_every_queued_job_wait_again(
    make_dispatcher: MakeDispatcher, sessions: Sessions, redis: Redis
):
    one, two = make_dispatcher(), make_dispatcher()
    assert one.check_epoch()
    assert not two.check_epoch()
    jobs = add_jobs(sessions, 8)
    one.fill(QUICK)
    with sessions.begin() as session:
        (running, _) = store.claim(session, QUICK.name, 2, lease=30)
    redis.flushall()
    assert two.check_epoch()
    assert not one.check_epoch()
    assert count_waiting(sessions) == 6
    with sessions.read() as session:
        assert session.get_one(Job, running.id).state == "running"
    assert one.fill(QUICK) == 6
    assert redis.llen(queue_key("quick")) == 2
    assert set(list_announced(sessions)) < set(jobs)


def test_without_a_broker_jobs_are_announced_later(
    make_dispatcher: MakeDispatcher, sessions: Sessions, redis: Redis
):
    away = make_dispatcher(redis_url="redis://127.0.0.1:1/0")
    add_jobs(sessions, 8)
    assert away.fill(QUICK) == 8
    age_announcements(sessions, 60)
    back = make_dispatcher()
    assert back.resend_stale(QUICK) == 8
    assert redis.llen(queue_key("quick")) == 2
