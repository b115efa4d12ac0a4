"""Database sessions on SQLite or PostgreSQL, the database's clock, and schema upgrades."""

import sys
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from threading import RLock
from typing import Any

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, Engine, Float, create_engine, event
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.engine import make_url
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.orm import Session
from sqlalchemy.sql.functions import GenericFunction

BUSY_TIMEOUT = 10_000  # milliseconds SQLite waits for another process's lock
MIGRATIONS = Path(__file__).parent / "migrations"

# Fail fast: a waiting request is worth less than an honest 503.
POSTGRES_TIMEOUTS = (
    "-c statement_timeout=10000 -c lock_timeout=5000 -c idle_in_transaction_session_timeout=15000"
)


class db_now(GenericFunction[float]):  # noqa: N801  (reads as SQL)
    """Seconds since 1970 on the database's clock, the only clock leases are compared with."""

    type = Float()
    inherit_cache = True


@compiles(db_now, "sqlite")
def _sqlite_now(*_: Any, **__: Any) -> str:
    return "((julianday('now') - 2440587.5) * 86400.0)"


@compiles(db_now, "postgresql")
def _postgres_now(*_: Any, **__: Any) -> str:
    # One instant per statement, as on SQLite: clock_timestamp() moves on between the rows of one
    # UPDATE, and no index can be searched for it.
    return "extract(epoch from statement_timestamp())::double precision"


class Sessions:
    """Opens transactions: `begin` to write, `read` for a consistent view."""

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        # On PostgreSQL one snapshot has to be asked for; on SQLite every transaction has one.
        snapshot = {"isolation_level": "REPEATABLE READ"} if engine.name == "postgresql" else {}
        self._readers = engine.execution_options(read_only=True, **snapshot)
        # SQLite has one writer; threads of a process queue here, fairly, not in its busy loop.
        self._writing: AbstractContextManager[Any] = (
            RLock() if engine.dialect.name == "sqlite" else nullcontext()
        )

    @contextmanager
    def begin(self) -> Iterator[Session]:
        with (
            self._writing,
            Session(self.engine, expire_on_commit=False) as session,
            session.begin(),
        ):
            yield session

    @contextmanager
    def read(self) -> Iterator[Session]:
        with Session(self._readers, expire_on_commit=False) as session:
            yield session


def open_db(url: str, pool_size: int = 10) -> Sessions:
    return Sessions(make_engine(url, pool_size))


def make_engine(url: str, pool_size: int = 10) -> Engine:
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite":
        engine = create_engine(
            parsed, pool_size=pool_size, max_overflow=pool_size, connect_args={"timeout": 10}
        )
        event.listen(engine, "connect", _prepare_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
        return engine
    return create_engine(
        parsed.set(drivername="postgresql+psycopg"),
        pool_size=pool_size,
        max_overflow=pool_size,
        pool_timeout=5,
        pool_pre_ping=True,
        pool_recycle=300,
        connect_args={"options": POSTGRES_TIMEOUTS, "connect_timeout": 3},
    )


def _prepare_sqlite(connection: Any, _: Any) -> None:
    connection.isolation_level = None  # transactions are begun below, not by the driver
    for pragma in (
        "journal_mode=WAL",
        "synchronous=FULL",  # 202 survives a power cut
        f"busy_timeout={BUSY_TIMEOUT}",
        "foreign_keys=ON",
        "secure_delete=ON",  # what is deleted is overwritten: faces must be gone from the file
    ):
        connection.execute(f"PRAGMA {pragma}")


def _begin_sqlite(connection: Connection) -> None:
    # IMMEDIATE: a transaction that reads first and writes later would fail with "locked".
    reading = connection.get_execution_options().get("read_only")
    connection.exec_driver_sql("BEGIN" if reading else "BEGIN IMMEDIATE")


def insert_into(session: Session, table: Any) -> Any:
    """An INSERT that has `on_conflict_do_update` and `excluded` on either database."""
    dialect = session.get_bind().dialect.name
    return sqlite.insert(table) if dialect == "sqlite" else postgresql.insert(table)


def migrate(url: str, revision: str = "head") -> None:
    """Bring the schema to `revision`; safe to run by several processes at once."""
    parsed = make_url(url)
    if parsed.get_backend_name() == "sqlite" and parsed.database:
        Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["engine"] = engine = make_engine(url, pool_size=1)
    try:
        command.upgrade(config, revision)
    finally:
        engine.dispose()


if __name__ == "__main__":
    from shared.settings import read_settings

    migrate(read_settings().database)
    sys.stdout.write("The database schema is up to date.\n")
