"""Faces whose time is over are deleted, once, and whatever fails is tried again."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from sqlalchemy import select, update
from structlog.testing import capture_logs

from shared.blobs import Blobs
from shared.db import Sessions, open_db
from shared.face_tables import Face, FaceAudit, FacePurge
from shared.sealing import Keyring
from shared.settings import Settings
from shared.tables import SealedKey
from tests.workers.faces.site import add_collection, add_faces, count, reread, set_expiry
from workers.faces import keeper as module
from workers.faces.indexes import Indexes
from workers.faces.keeper import Keeper, delete_expired

PAST, FUTURE = time.time() - 60, time.time() + 3600


@pytest.fixture
def keyring(sessions: Sessions, tmp_path: Path) -> Keyring:
    return Keyring(Settings(home=tmp_path), sessions)


@pytest.fixture
def keeper(sqlite_database_url: str, tmp_path: Path) -> Iterator[Keeper]:
    """Not started: a test lets it tick."""
    sessions, settings = open_db(sqlite_database_url), Settings(home=tmp_path)
    keyring = Keyring(settings, sessions)
    indexes, blobs = Indexes(settings, sessions, keyring), Blobs(settings.blobs, sessions)
    keeper = Keeper(sessions, keyring, indexes, blobs)
    yield keeper
    keeper.stopping.set()
    if keeper.is_alive():
        keeper.join(10)
    keeper.indexes.close()
    sessions.engine.dispose()


def test_only_faces_whose_time_is_over_are_deleted(sessions: Sessions, keyring: Keyring):
    staff, theirs = add_collection(sessions), add_collection(sessions, tenant="bob")
    old, young, _ = add_faces(sessions, staff, "a", "b", "c").numbers
    add_faces(sessions, theirs, "d", "e")
    set_expiry(sessions, staff, PAST, old)
    set_expiry(sessions, staff, FUTURE, young)
    set_expiry(sessions, theirs, PAST)
    assert delete_expired(sessions, keyring) == 3
    assert (reread(sessions, staff).faces, reread(sessions, theirs).faces) == (2, 0)
    assert count(sessions, Face) == 2
    with sessions.read() as session:
        lines = session.scalars(select(FaceAudit).where(FaceAudit.action == "retention")).all()
        receipts = session.scalars(select(FacePurge).order_by(FacePurge.faces)).all()
    assert {(line.tenant, line.key_id, line.job_id) for line in lines} == {
        ("ann", None, None),
        ("bob", None, None),
    }
    assert [(receipt.tenant, receipt.faces) for receipt in receipts] == [("ann", 1), ("bob", 2)]
    assert delete_expired(sessions, keyring) == 0
    assert count(sessions, FacePurge) == 2


def test_two_processes_that_delete_at_once_delete_each_face_once(
    sessions: Sessions, keyring: Keyring
):
    collection = add_collection(sessions)
    add_faces(sessions, collection, *"abcdef")
    set_expiry(sessions, collection, PAST)
    keyring.key("ann")
    with ThreadPoolExecutor() as pool:
        deleted = pool.map(lambda _: delete_expired(sessions, keyring), range(3))
    assert sorted(deleted) == [0, 0, 6]
    assert count(sessions, FacePurge) == 1
    assert reread(sessions, collection).faces == 0


def test_a_tenant_whose_key_is_damaged_does_not_keep_the_faces_of_others(
    sessions: Sessions, tmp_path: Path
):
    settings = Settings(home=tmp_path)
    for tenant in ("ann", "bob", "carl"):
        Keyring(settings, sessions).key(tenant)
        collection = add_collection(sessions, tenant=tenant)
        add_faces(sessions, collection, "x")
        set_expiry(sessions, collection, PAST)
    with sessions.begin() as session:
        damaged = update(SealedKey).where(SealedKey.tenant == "bob").values(sealed=bytes(60))
        session.execute(damaged)
    with capture_logs() as logs:
        assert delete_expired(sessions, Keyring(settings, sessions)) == 2
    assert "expired faces not deleted" in [entry["event"] for entry in logs]
    assert count(sessions, Face) == 1


def test_a_tick_deletes_forgets_and_settles(keeper: Keeper):
    collection = add_collection(keeper.sessions)
    add_faces(keeper.sessions, collection, "a", "b")
    set_expiry(keeper.sessions, collection, PAST)
    keeper.tick()
    assert count(keeper.sessions, Face) == 0
    with keeper.sessions.read() as session:
        assert session.scalars(select(FacePurge.purged_at)).one() is not None


def test_the_thread_outlives_a_tick_that_fails(keeper: Keeper, monkeypatch):
    monkeypatch.setattr(module, "TICK", 0.01)
    ticks: list[int] = []

    def fail() -> None:
        ticks.append(1)
        raise RuntimeError("the database is away")

    monkeypatch.setattr(keeper.indexes, "tend", fail)
    keeper.start()
    deadline = time.monotonic() + 10
    while len(ticks) < 3 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert keeper.is_alive()
    assert len(ticks) >= 3
