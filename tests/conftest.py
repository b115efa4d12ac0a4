"""Fixtures for every test: servers that start when first asked for, and fresh databases.

Each pytest-xdist process has servers of its own.
"""

import os
import secrets
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psycopg
import pytest
from sqlalchemy.engine import make_url

from shared.db import Sessions, migrate, open_db
from tests.servers import Valkey, make_bucket, run_postgres, run_s3, run_valkey

hypothesis.settings.register_profile("default", deadline=None, print_blob=True)
hypothesis.settings.register_profile("nightly", deadline=None, print_blob=True, max_examples=2000)
hypothesis.settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The maintenance database of a PostgreSQL server; tests want `database_url`."""
    with run_postgres() as url:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("ALTER SYSTEM SET fsync = off")  # the data is thrown away
            connection.execute("SELECT pg_reload_conf()")
        yield url


@pytest.fixture(scope="session")
def valkey() -> Iterator[Valkey]:
    """A Valkey server for `redis_url`; a test that stops one runs its own."""
    with run_valkey() as server:
        yield server


@pytest.fixture
def redis_url(valkey: Valkey) -> str:
    """An empty Redis."""
    from redis import Redis

    with Redis.from_url(valkey.url) as redis:
        redis.flushall()
    return valkey.url


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """The http URL of an S3 server; tests want `s3_url`."""
    with run_s3() as url:
        yield url


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """An empty bucket as a blob_url, with what else it takes in the environment."""
    bucket = f"test-{secrets.token_hex(8)}"
    make_bucket(s3_server, bucket)
    for name, value in {
        "AWS_ENDPOINT": s3_server,
        "AWS_ALLOW_HTTP": "true",
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
    }.items():
        monkeypatch.setenv(name, value)
    return f"s3://{bucket}/blobs"


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A migrated SQLite file to copy."""
    path = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    migrate(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def migrated_postgres(postgres_url: str) -> str:
    """The name of a migrated database to make others from."""
    name = "migrated"
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    migrate(_name_database(postgres_url, name))
    return name


@pytest.fixture
def empty_postgres_url(postgres_url: str) -> Iterator[str]:
    """A new PostgreSQL database without a schema."""
    yield from _make_database(postgres_url, "template1")


@pytest.fixture
def postgres_database_url(postgres_url: str, migrated_postgres: str) -> Iterator[str]:
    """A new, migrated PostgreSQL database."""
    yield from _make_database(postgres_url, migrated_postgres)


@pytest.fixture
def sqlite_database_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """A new, migrated SQLite database."""
    path = tmp_path / "atelier.db"
    shutil.copy(migrated_sqlite, path)
    return f"sqlite:///{path}"


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """A database without a schema, of either kind: the test runs twice."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/empty.db"
    url: str = request.getfixturevalue("empty_postgres_url")
    return url


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest) -> str:
    """A new, migrated database of either kind: the test runs twice."""
    name = "sqlite" if request.param == "sqlite" else "postgres"
    url: str = request.getfixturevalue(f"{name}_database_url")
    return url


@pytest.fixture
def sessions(database_url: str) -> Iterator[Sessions]:
    """Sessions on a new, migrated database of either kind."""
    opened = open_db(database_url)
    yield opened
    opened.engine.dispose()


def _make_database(server: str, template: str) -> Iterator[str]:
    name = f"test_{secrets.token_hex(8)}"
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
    yield _name_database(server, name)
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _name_database(server: str, name: str) -> str:
    return make_url(server).set(database=name).render_as_string(hide_password=False)
