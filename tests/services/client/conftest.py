"""A server for the client, and an environment that points at it."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from services.client import Client
from shared.settings import read_settings
from tests.services.client.fake_api import KEY, FakeApi, serve_api
from tests.services.client.fake_detect import FakeDetect
from tests.services.client.fake_faces import FakeFaces
from tests.services.client.fake_segment import FakeSegment
from tests.services.client.fake_style import FakeStyle
from tests.services.client.fake_text import FakeText
from tests.services.client.fake_text_models import FakeTextModels
from tests.services.client.photo_folder import make_photos


@pytest.fixture(autouse=True)
def own_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """No server, no key, an empty home."""
    for name in ("ATELIER_URL", "ATELIER_KEY", "DATABASE_URL", "REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path / "home"))
    read_settings.cache_clear()
    yield
    read_settings.cache_clear()


@pytest.fixture
def photo_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands run above a folder of photographs."""
    monkeypatch.chdir(tmp_path)
    make_photos()


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeApi]:
    with serve_api() as server:
        monkeypatch.setenv("ATELIER_URL", server.address)
        monkeypatch.setenv("ATELIER_KEY", KEY)
        read_settings.cache_clear()
        yield server


@pytest.fixture
def client(api: FakeApi) -> Iterator[Client]:
    with Client(api.address, KEY, timeout=5) as client:
        yield client


@pytest.fixture
def detect(api: FakeApi) -> FakeDetect:
    """The fake server answers the tasks on detectors and videos as well."""
    return FakeDetect(api)


@pytest.fixture
def faces(api: FakeApi) -> FakeFaces:
    """The fake server answers the tasks of faces as well."""
    return FakeFaces(api)


@pytest.fixture
def segment(api: FakeApi) -> FakeSegment:
    """The fake server answers the tasks on pixels as well."""
    return FakeSegment(api)


@pytest.fixture
def style(api: FakeApi) -> FakeStyle:
    """The fake server paints as well."""
    return FakeStyle(api)


@pytest.fixture
def text(api: FakeApi) -> FakeText:
    """The fake server answers the tasks on vocabularies as well."""
    return FakeText(api)


@pytest.fixture
def text_models(api: FakeApi) -> FakeTextModels:
    """The fake server answers the tasks on models of text as well."""
    return FakeTextModels(api)
