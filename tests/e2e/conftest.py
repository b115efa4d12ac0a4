"""Running stacks for the tests of the whole."""

from collections.abc import Iterator

import pytest

from services.client.client import Client
from tests.e2e.clients import open_clients, run_worker
from tests.e2e.stack import Site, run_site


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """One echo worker on SQLite; a test that stops a program starts it again."""
    with run_site(tmp_path_factory.mktemp("site") / "home") as site:
        yield site


@pytest.fixture(scope="module")
def clients(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Client, Client]]:
    """Of two tenants of a stack whose only worker is the module's WORKER."""
    worker: str = request.module.WORKER
    home = tmp_path_factory.mktemp(worker) / "home"
    with run_worker(home, worker) as stack, open_clients(stack) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(clients: tuple[Client, Client]) -> Client:
    return clients[0]


@pytest.fixture(scope="module")
def foreign(clients: tuple[Client, Client]) -> Client:
    return clients[1]
