"""Both databases get one schema, whoever migrates them; readers and writers keep out of the way."""

import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import func, inspect, select, text, update

import shared.face_tables
import shared.text_tables  # noqa: F401  (before any metadata is compared)
from shared.db import MIGRATIONS, db_now, insert_into, make_engine, migrate, open_db
from shared.tables import Base, Broker, Job
from tests.rows import make_job

INDEXES = {
    "sqlite": "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND sql IS NOT NULL",
    "postgresql": "SELECT indexname, indexdef FROM pg_indexes WHERE schemaname = 'public'",
}


@pytest.fixture
def empty_engine(empty_database_url):
    engine = make_engine(empty_database_url)
    yield engine
    engine.dispose()


def downgrade(engine):
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("path_separator", "os")
    config.attributes["engine"] = engine
    command.downgrade(config, "base")


def read_indexes(engine):
    with engine.connect() as connection:
        rows = connection.execute(text(INDEXES[engine.dialect.name]))
        return {name: definition for name, definition in rows if "alembic" not in name}


def count_jobs(session):
    return session.scalar(select(func.count()).select_from(Job))


def test_the_migrated_schema_equals_the_tables(sessions):
    with sessions.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, Base.metadata) == []


def test_the_migrated_indexes_equal_the_tables(empty_database_url, empty_engine):
    Base.metadata.create_all(empty_engine)
    wanted = read_indexes(empty_engine)
    Base.metadata.drop_all(empty_engine)
    migrate(empty_database_url)
    assert read_indexes(empty_engine) == wanted


def test_migrating_again_changes_nothing(empty_database_url, empty_engine):
    migrate(empty_database_url)
    with empty_engine.begin() as connection:
        connection.execute(Broker.__table__.insert().values(id=1, epoch="kept"))
    migrate(empty_database_url)
    with empty_engine.connect() as connection:
        assert connection.scalar(select(Broker.epoch)) == "kept"


def test_processes_that_migrate_at_once_all_succeed(empty_database_url, empty_engine):
    command_line = [sys.executable, "-m", "shared.db"]
    environment = {**os.environ, "DATABASE_URL": empty_database_url}
    root = Path(__file__).parents[2]
    starts = [
        subprocess.Popen(command_line, env=environment, cwd=root, stderr=subprocess.PIPE)
        for _ in range(3)
    ]
    errors = [process.communicate(timeout=60)[1].decode() for process in starts]
    assert [process.returncode for process in starts] == [0, 0, 0], errors
    assert inspect(empty_engine).has_table("jobs")


def test_a_downgrade_to_the_base_leaves_nothing_and_can_be_repeated(
    empty_database_url, empty_engine
):
    for _ in range(2):
        migrate(empty_database_url)
        assert set(inspect(empty_engine).get_table_names()) > set(Base.metadata.tables)
        downgrade(empty_engine)
        assert inspect(empty_engine).get_table_names() == ["alembic_version"]


def test_migrating_makes_the_folder_of_a_new_sqlite_file(tmp_path):
    migrate(f"sqlite:///{tmp_path}/new/folder/atelier.db")
    assert (tmp_path / "new/folder/atelier.db").exists()


def test_the_clock_counts_seconds_since_1970(sessions):
    before = time.time()
    with sessions.read() as session:
        times = [session.scalar(select(db_now())) for _ in range(3)]
    assert times == sorted(times)
    assert before - 0.01 < times[0] < times[-1] + 0.001 < time.time() + 0.01


def test_the_clock_goes_on_within_a_transaction(sessions):
    with sessions.begin() as session:
        first = session.scalar(select(db_now()))
        time.sleep(0.02)
        assert session.scalar(select(db_now())) >= first + 0.01


def test_the_clock_stands_within_a_statement(sessions):
    with sessions.begin() as session:
        session.add_all(make_job() for _ in range(500))
        session.flush()
        session.execute(update(Job).values(started_at=db_now()))
        assert session.scalar(select(func.count(Job.started_at.distinct()))) == 1


def test_an_open_read_does_not_block_a_write_and_does_not_see_it(sessions):
    with sessions.read() as reader:
        assert count_jobs(reader) == 0
        with sessions.begin() as writer:
            writer.add(make_job())
        assert count_jobs(reader) == 0
    with sessions.read() as reader:
        assert count_jobs(reader) == 1


def test_an_open_write_does_not_block_a_read(sessions):
    with sessions.begin() as writer:
        writer.add(make_job())
        writer.flush()
        with sessions.read() as reader:
            assert count_jobs(reader) == 0


def test_what_fails_is_rolled_back(sessions):
    def fail():
        with sessions.begin() as session:
            session.add(make_job())
            session.flush()
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    with sessions.read() as session:
        assert count_jobs(session) == 0


def test_writers_of_many_threads_and_processes_wait_for_each_other(database_url):
    """Each reads before it writes, which makes SQLite's deferred transactions fail."""
    opened = [open_db(database_url), open_db(database_url)]  # as in two processes
    with opened[0].begin() as session:
        session.add(make_job(id="counter"))

    def count_up(number):
        with opened[number % 2].begin() as session:
            locked = select(Job).where(Job.id == "counter").with_for_update()
            session.scalars(locked).one().fence += 1

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(count_up, range(200)))
    with opened[1].read() as session:
        assert session.get_one(Job, "counter").fence == 200
    for sessions in opened:
        sessions.engine.dispose()


def test_an_insert_can_update_on_conflict(sessions):
    for epoch in ("first", "second"):
        with sessions.begin() as session:
            row = insert_into(session, Broker).values(id=1, epoch=epoch)
            session.execute(
                row.on_conflict_do_update(index_elements=["id"], set_={"epoch": row.excluded.epoch})
            )
    with sessions.read() as session:
        assert session.get_one(Broker, 1).epoch == "second"


def test_sqlite_survives_a_power_cut(sqlite_database_url):
    engine = make_engine(sqlite_database_url)
    with engine.connect() as connection:
        pragmas = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    engine.dispose()
    assert pragmas == ["wal", 2, 1]


def test_postgres_ends_a_statement_that_takes_too_long(postgres_database_url):
    engine = make_engine(postgres_database_url)
    with engine.connect() as connection:
        limits = [
            connection.exec_driver_sql(f"SHOW {name}").scalar()
            for name in ("statement_timeout", "lock_timeout", "idle_in_transaction_session_timeout")
        ]
    engine.dispose()
    assert limits == ["10s", "5s", "15s"]
