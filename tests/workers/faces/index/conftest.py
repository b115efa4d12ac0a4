"""Collections in an SQL database, indexes on disk, and random faces."""

import secrets
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.db import Sessions, open_db
from shared.sealing import TenantKey
from tests.workers.faces.index.stored import StoredGallery, open_local
from workers.faces.index.local import LocalBackend

D = 16


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def sqlite_sessions(sqlite_database_url: str) -> Iterator[Sessions]:
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def make_stored(sqlite_sessions: Sessions) -> Callable[[], StoredGallery]:
    """A new collection in SQL."""

    def make() -> StoredGallery:
        key = TenantKey(secrets.token_bytes(32))
        return StoredGallery(secrets.token_hex(16), D, key, sessions=sqlite_sessions)

    return make


@pytest.fixture
def stored(make_stored: Callable[[], StoredGallery]) -> StoredGallery:
    return make_stored()


@pytest.fixture
def open_here(tmp_path: Path) -> Iterator[Callable[..., LocalBackend]]:
    """An index as a process of its own would open it."""
    opened: list[LocalBackend] = []

    def make(gallery: StoredGallery, **options: Any) -> LocalBackend:
        opened.append(open_local(gallery, tmp_path, **options))
        return opened[-1]

    yield make
    for index in opened:
        index.close()
