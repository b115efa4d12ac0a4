"""The local user has one valid key, made once and kept."""

import stat
from pathlib import Path

import pytest

from services.local.database import prepare_database
from services.local.errors import StackError
from services.local.queues import count_queued
from shared.db import open_db
from shared.keys import find_key


def url_of(home: Path) -> str:
    return f"sqlite:///{home}/atelier.db"


def test_the_first_start_makes_a_valid_private_key(tmp_path: Path):
    prepare_database(url_of(tmp_path), tmp_path)
    path = tmp_path / "api-key"
    sessions = open_db(url_of(tmp_path))
    with sessions.read() as session:
        key = find_key(session, path.read_text().strip())
    sessions.engine.dispose()
    assert key is not None
    assert (key.tenant, key.scopes) == ("default", ["*"])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_later_starts_keep_the_key(tmp_path: Path):
    prepare_database(url_of(tmp_path), tmp_path)
    first = (tmp_path / "api-key").read_text()
    prepare_database(url_of(tmp_path), tmp_path)
    assert (tmp_path / "api-key").read_text() == first


def test_a_key_that_the_database_does_not_know_is_replaced(tmp_path: Path):
    (tmp_path / "api-key").write_text("atl_000000000000_unknown")
    prepare_database(url_of(tmp_path), tmp_path)
    assert (tmp_path / "api-key").read_text() != "atl_000000000000_unknown"


def test_a_database_that_cannot_be_reached_is_an_error_that_says_what_to_do(tmp_path: Path):
    with pytest.raises(StackError, match=r"cannot be used.*DATABASE_URL"):
        prepare_database("postgresql://nobody@127.0.0.1:1/none", tmp_path)


def test_an_empty_queue_counts_nothing(tmp_path: Path):
    prepare_database(url_of(tmp_path), tmp_path)
    assert count_queued(url_of(tmp_path)) == {}


def test_a_database_without_the_schema_counts_as_silent(tmp_path: Path):
    assert count_queued(url_of(tmp_path)) is None
