"""Relays with settings that do not keep tests waiting."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from redis import Redis

from services.relay.__main__ import Relay
from services.relay.dispatch import Dispatcher
from services.relay.sweep import Sweeper
from shared.blobs import Blobs
from shared.contract import Message, Task
from shared.db import Sessions, open_db
from shared.events import Events, connect
from shared.queue import make_celery
from shared.settings import Settings

QUICK = Task("quick.work", Message, Message, "Quick.", example={}, max_batch=4)
OTHER = Task("quick.other", Message, Message, "On the same queue.", example={}, max_batch=1)
SLOW = Task("slow.work", Message, Message, "Slow.", example={}, max_batch=1)
TASKS = {task.name: task for task in (QUICK, OTHER, SLOW)}

MakeSettings = Callable[..., Settings]
MakeRelay = Callable[..., Relay]


@pytest.fixture
def make_settings(tmp_path: Path, database_url: str, redis_url: str) -> MakeSettings:
    def make(**values: object) -> Settings:
        return Settings.model_validate(
            {
                "home": tmp_path,
                "database_url": database_url,
                "redis_url": redis_url,
                "window_batches": 2,
                "heartbeat": 10.0,
                **values,
            }
        )

    return make


@pytest.fixture
def redis(redis_url: str) -> Iterator[Redis]:
    with connect(redis_url) as connection:
        yield connection


@pytest.fixture
def make_dispatcher(
    make_settings: MakeSettings, database_url: str, redis: Redis
) -> Iterator[Callable[..., Dispatcher]]:
    opened: list[Sessions] = []

    def make(**values: object) -> Dispatcher:
        """Each with connections of its own, as in a process of its own."""
        settings = make_settings(**values)
        opened.append(open_db(database_url, pool_size=2))
        return Dispatcher(settings, opened[-1], make_celery(settings), redis)

    yield make
    for sessions in opened:
        sessions.engine.dispose()


@pytest.fixture
def dispatcher(make_dispatcher: Callable[..., Dispatcher]) -> Dispatcher:
    return make_dispatcher()


@pytest.fixture
def sweeper(make_settings: MakeSettings, sessions: Sessions) -> Sweeper:
    settings = make_settings()
    return Sweeper(settings, sessions, Events(settings.redis_url), Blobs(settings.blobs, sessions))


@pytest.fixture
def make_relay(make_settings: MakeSettings) -> Iterator[MakeRelay]:
    """A relay for the tasks above; `run` is for the test to call, in a thread."""
    made: list[Relay] = []

    def make(**values: object) -> Relay:
        relay = Relay(make_settings(sweep_every=0.1, **values))
        relay.tasks = TASKS
        made.append(relay)
        return relay

    yield make
    for relay in made:
        relay.wakes.close()
        relay.sweeper.sessions.engine.dispose()
