"""The running relay: woken by submits, alive while the broker or the database is not."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from redis import Redis
from sqlalchemy import func, select

from services.relay import __main__ as relay_main
from services.relay.__main__ import Relay
from shared.db import Sessions
from shared.events import Events
from shared.queue import queue_key
from shared.settings import Settings
from shared.tables import ANNOUNCED, Job
from tests.rows import make_job
from tests.servers import Valkey, run_valkey
from tests.services.gateway.outage import Switch
from tests.services.relay.conftest import TASKS, MakeRelay

PAST = 1.0


@contextmanager
def running(relay: Relay) -> Iterator[Thread]:
    thread = Thread(target=relay.run)
    thread.start()
    try:
        yield thread
        assert thread.is_alive()
    finally:
        relay.stopping.set()
        thread.join(timeout=10)
        assert not thread.is_alive()


def until(check: Callable[[], Any], seconds: float = 10) -> None:
    """Wait until the check is true."""
    ends_at = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < ends_at, "it never came true"
        time.sleep(0.01)


def add(sessions: Sessions, **values: Any) -> str:
    with sessions.begin() as session:
        job = make_job(**{"task": "quick.work", **values})
        session.add(job)
    return job.id


def count_announced(sessions: Sessions) -> int:
    with sessions.read() as session:
        return session.scalar(select(func.count()).select_from(Job).where(ANNOUNCED)) or 0


def read_state(sessions: Sessions, job: str) -> str:
    with sessions.read() as session:
        return session.get_one(Job, job).state


@pytest.fixture
def broker() -> Iterator[Valkey]:
    with run_valkey() as server:
        yield server


def test_jobs_that_wait_at_the_start_are_announced(
    make_relay: MakeRelay, sessions: Sessions, redis: Redis
):
    add(sessions)
    with running(make_relay()):
        until(lambda: redis.llen(queue_key("quick")) == 1)
    assert count_announced(sessions) == 1


def test_a_submit_wakes_the_relay(
    make_relay: MakeRelay,
    sessions: Sessions,
    redis: Redis,
    redis_url: str,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(relay_main, "IDLE", 2.0)  # without a wake-up it looks only this often
    events = Events(redis_url)
    with running(make_relay()):
        until(lambda: redis.pubsub_numsub("relay-new")[0][1] == 1)
        for _ in range(3):
            time.sleep(0.1)
            before = count_announced(sessions)
            add(sessions)
            sent_at = time.monotonic()
            events.publish([], new_jobs="quick.work")
            until(lambda before=before: count_announced(sessions) == before + 1)
            assert time.monotonic() - sent_at < 1


def test_a_lost_wake_up_only_delays(make_relay: MakeRelay, sessions: Sessions, redis: Redis):
    with running(make_relay()):
        until(lambda: redis.pubsub_numsub("relay-new")[0][1] == 1)
        add(sessions)
        until(lambda: count_announced(sessions) == 1, seconds=3)


def test_wake_ups_for_unknown_tasks_do_no_harm(
    make_relay: MakeRelay, sessions: Sessions, redis: Redis
):
    job = add(sessions, task="removed.task")
    with running(make_relay()):
        until(lambda: redis.pubsub_numsub("relay-new")[0][1] == 1)
        for wake in ("removed.task", "", "\0", "x" * 10_000):
            redis.publish("relay-new", wake)
        add(sessions)
        until(lambda: count_announced(sessions) == 1)
    assert read_state(sessions, job) == "queued"


def test_lost_and_late_jobs_are_taken_back(make_relay: MakeRelay, sessions: Sessions):
    lost = add(sessions, state="running", fence=1, lease_until=PAST)
    late = add(sessions, deadline_at=PAST)
    relay = make_relay()
    with running(relay):
        until(lambda: read_state(sessions, late) == "failed")
        until(lambda: read_state(sessions, lost) == "queued")
        until(lambda: count_announced(sessions) == 1)  # and sent on its way again
    assert (relay.settings.home / "relay.alive").exists()


def test_a_backlog_of_expired_jobs_is_worked_off(make_relay: MakeRelay, sessions: Sessions):
    with sessions.begin() as session:
        session.add_all(make_job(state="succeeded", expires_at=PAST) for _ in range(1700))

    def count() -> int:
        with sessions.read() as session:
            return session.scalar(select(func.count()).select_from(Job)) or 0

    with running(make_relay()):
        until(lambda: count() == 0)


def test_a_flushed_redis_gets_every_job_again(
    make_relay: MakeRelay, sessions: Sessions, redis: Redis, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(relay_main, "CHECK_EVERY", 0.1)
    for _ in range(5):
        add(sessions)
    with running(make_relay()):
        until(lambda: redis.llen(queue_key("quick")) == 2)
        redis.flushall()
        until(lambda: redis.llen(queue_key("quick")) >= 2)


def test_two_relays_share_the_work(make_relay: MakeRelay, sessions: Sessions, redis: Redis):
    with running(make_relay()), running(make_relay()):
        for _ in range(8):
            add(sessions)
            redis.publish("relay-new", "quick.work")
        until(lambda: count_announced(sessions) == 8)
    messages = redis.llen(queue_key("quick"))
    assert 2 <= messages <= 8  # never more than one per job


def test_without_the_broker_sweeping_goes_on_and_dispatch_resumes(
    make_relay: MakeRelay,
    sessions: Sessions,
    broker: Valkey,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr(relay_main, "CHECK_EVERY", 0.1)
    with running(make_relay(redis_url=broker.url)):
        first = add(sessions)
        until(lambda: count_announced(sessions) == 1)
        broker.stop()
        lost = add(sessions, state="running", fence=1, lease_until=PAST)
        late = add(sessions, deadline_at=PAST)
        until(lambda: read_state(sessions, lost) == "queued")
        until(lambda: read_state(sessions, late) == "failed")
        broker.start()  # and it has forgotten everything
        with Redis.from_url(broker.url) as redis:
            until(lambda: redis.llen(queue_key("quick")) >= 1)
            until(lambda: count_announced(sessions) == 2)
    assert read_state(sessions, first) == "queued"


def test_a_relay_that_starts_without_a_broker_waits_for_it(
    make_relay: MakeRelay, sessions: Sessions, broker: Valkey
):
    broker.stop()
    with running(make_relay(redis_url=broker.url)):
        lost = add(sessions, state="running", fence=1, lease_until=PAST)
        until(lambda: read_state(sessions, lost) == "queued")
        broker.start()
        until(lambda: count_announced(sessions) == 1)


def test_a_frozen_broker_does_not_stop_the_sweeper(
    make_relay: MakeRelay, sessions: Sessions, broker: Valkey
):
    with running(make_relay(redis_url=broker.url)):
        add(sessions)
        until(lambda: count_announced(sessions) == 1)
        broker.freeze()
        try:
            for _ in range(2):
                lost = add(sessions, state="running", fence=1, lease_until=PAST)
                until(lambda lost=lost: read_state(sessions, lost) == "queued", seconds=20)
        finally:
            broker.thaw()
        until(lambda: count_announced(sessions) == 3)


def test_without_the_database_the_relay_waits_for_it(
    tmp_path: Path, redis: Redis, redis_url: str, postgres_url: str, postgres_database_url: str
):
    settings = Settings.model_validate(
        {
            "home": tmp_path,
            "redis_url": redis_url,
            "database_url": postgres_database_url,
            "sweep_every": 0.1,
        }
    )
    relay = Relay(settings)
    relay.tasks = TASKS
    sessions = relay.sweeper.sessions
    switch = Switch(postgres_url, postgres_database_url)
    with running(relay):
        add(sessions)
        until(lambda: redis.llen(queue_key("quick")) == 1)
        switch.turn_off()
        time.sleep(1)
        switch.turn_on()
        lost = add(sessions, state="running", fence=1, lease_until=PAST)
        until(lambda: read_state(sessions, lost) == "queued")
        until(lambda: count_announced(sessions) == 2)
    relay.wakes.close()
    sessions.engine.dispose()


def test_the_process_stops_when_asked(tmp_path: Path, redis_url: str, sqlite_database_url: str):
    process = subprocess.Popen(
        [sys.executable, "-m", "services.relay"],
        env={
            "PATH": os.environ["PATH"],
            "ATELIER_HOME": str(tmp_path),
            "DATABASE_URL": sqlite_database_url,
            "REDIS_URL": redis_url,
        },
        cwd=Path(__file__).parents[3],
        stderr=subprocess.PIPE,
    )
    try:
        until(lambda: (tmp_path / "relay.alive").exists(), seconds=30)
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=10)
    finally:
        process.kill()
    assert process.returncode == 0, said
