"""The application on fresh servers, and clients that hold keys for it."""

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from services.gateway.app import create_app
from shared.contract import Task
from shared.keys import create_key
from shared.settings import Settings
from tests.services.gateway.clients import Client, context_of, open_client
from tests.services.gateway.contract import TASKS
from tests.services.gateway.live import Live, run_live
from tests.services.gateway.stand_in import StandIn

MakeApp = Callable[..., APIFlask]
MakeClient = Callable[..., FlaskClient]


@pytest.fixture(scope="session")
def closing() -> Iterator[ThreadPoolExecutor]:
    """Closes what takes a second to close while the next tests run."""
    with ThreadPoolExecutor(4) as executor:
        yield executor


@pytest.fixture
def make_app(tmp_path: Path, redis_url: str, closing: ThreadPoolExecutor) -> Iterator[MakeApp]:
    """Makes an application; settings by name, without a rate limit unless asked for."""
    made: list[APIFlask] = []

    def make(database_url: str, tasks: dict[str, Task] | None = None, **values: object) -> APIFlask:
        settings = Settings.model_validate(
            {
                "home": tmp_path,
                "redis_url": redis_url,
                "rate_limit": "1000000/second",
                "database_url": database_url,
                **values,
            }
        )
        made.append(create_app(settings, tasks or TASKS))
        made[-1].test_client_class = Client
        return made[-1]

    yield make
    for app in made:
        ctx = context_of(app)
        ctx.sessions.engine.dispose()
        closing.submit(ctx.hub.close)


@pytest.fixture
def app(make_app: MakeApp, sqlite_database_url: str) -> APIFlask:
    """The application on SQLite."""
    return make_app(sqlite_database_url)


@pytest.fixture
def each_app(make_app: MakeApp, database_url: str) -> APIFlask:
    """The application on either database: the test runs twice."""
    return make_app(database_url)


@pytest.fixture
def make_client() -> MakeClient:
    """Makes a client with a new key of a tenant."""

    def make(app: APIFlask, tenant: str = "ann", scopes: tuple[str, ...] = ("*",)) -> FlaskClient:
        with context_of(app).sessions.begin() as session:
            key = create_key(session, tenant, "test", list(scopes))
        return open_client(app, key)

    return make


@pytest.fixture
def client(app: APIFlask, make_client: MakeClient) -> FlaskClient:
    """Ann, who may do everything."""
    return make_client(app)


@pytest.fixture
def worker(app: APIFlask) -> StandIn:
    return StandIn(context_of(app))


@pytest.fixture(scope="session")
def live(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    """Real processes; slow to start, so shared by all tests that need them."""
    with run_live(tmp_path_factory.mktemp("live")) as running:
        yield running
