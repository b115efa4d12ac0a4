"""A receipt tells when no copy is left, be it a snapshot, a picture or bytes in the database."""

import time
from pathlib import Path

import pytest
from sqlalchemy import select, update

from shared.blobs import Blobs
from shared.db import Sessions, open_db
from shared.face_tables import (
    Face,
    FaceCollection,
    FaceConsent,
    FaceDeletion,
    FacePurge,
    FaceReplica,
    FaceSubject,
)
from tests.workers.faces.erased import (
    add_blobs,
    add_pictured,
    delete,
    drop,
    kept_blobs,
    read_receipt,
)
from tests.workers.faces.site import (
    add_collection,
    add_faces,
    count,
)
from workers.faces.deletion import (
    Deleted,
    erase_pictures,
    find_receipt,
    list_holders,
    settle_receipts,
)
from workers.faces.gallery import Collection
from workers.faces.refusals import UnknownCollection


def waits_for(sessions: Sessions, deleted: Deleted) -> list[str]:
    with sessions.read() as session:
        return list_holders(session, session.get_one(FacePurge, deleted.receipt))


def set_replica(sessions: Sessions, collection: Collection, name: str, clean_seq: int) -> None:
    key = {"collection_id": collection.id, "replica": name}
    with sessions.begin() as session:
        row = session.get(FaceReplica, tuple(key.values()))
        if row is None:
            row = FaceReplica(**key, applied_seq=clean_seq, seen_at=time.time())
            session.add(row)
        row.clean_seq = clean_seq


def test_a_picture_goes_with_the_last_face_that_was_found_in_it(sessions: Sessions):
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    add_blobs(sessions, "a", "b", "c")
    first, second, third = add_pictured(sessions, staff, "a", "a", "b")
    add_pictured(sessions, guests, "b", "c")
    delete(sessions, staff, first)
    assert kept_blobs(sessions) == {"a", "b", "c"}
    deleted = delete(sessions, staff, second, third)
    assert kept_blobs(sessions) == {"b", "c"}
    assert read_receipt(sessions, deleted).blobs == ["ann/a"]
    drop(sessions, guests)
    assert kept_blobs(sessions) == set()


def test_a_picture_sent_again_while_the_old_one_goes_stays(sessions: Sessions, tmp_path: Path):
    collection = add_collection(sessions)
    blobs = Blobs(f"file://{tmp_path}/blobs", sessions)
    picture = blobs.add("ann", [b"picture"], keep=3600, limit=100)
    delete(sessions, collection, *add_pictured(sessions, collection, picture.id))
    blobs.add("ann", [b"picture"], keep=3600, limit=100)
    erase_pictures(sessions, blobs)
    assert blobs.read("ann", picture.id) == b"picture"


def test_another_tenants_file_of_the_same_content_stays(sessions: Sessions):
    mine, theirs = add_collection(sessions), add_collection(sessions, tenant="bob")
    for collection in (mine, theirs):
        add_blobs(sessions, "a", tenant=collection.tenant)
        add_pictured(sessions, collection, "a")
    drop(sessions, mine)
    assert kept_blobs(sessions) == set()
    assert kept_blobs(sessions, "bob") == {"a"}


def test_a_deleted_collection_leaves_only_its_receipt(sessions: Sessions):
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    numbers = add_faces(sessions, staff, "ann", "bob", "ann").numbers
    add_faces(sessions, guests, "ann")
    delete(sessions, staff, numbers[1])
    deleted = drop(sessions, staff)
    assert deleted.faces == 2
    for table in (FaceConsent, FaceSubject, FaceDeletion, Face):
        assert count(sessions, table, collection_id=staff.id) == 0
    assert count(sessions, FaceCollection) == count(sessions, Face) == 1
    assert read_receipt(sessions, deleted).whole
    with pytest.raises(UnknownCollection):
        drop(sessions, staff)
    with pytest.raises(UnknownCollection):
        delete(sessions, staff, *numbers)
    add_faces(sessions, add_collection(sessions), "ann")
    assert count(sessions, Face) == 2


def test_a_receipt_is_its_tenants_own(sessions: Sessions):
    collection = add_collection(sessions)
    deleted = delete(sessions, collection, *add_faces(sessions, collection, "ann").numbers)
    with sessions.read() as session:
        assert find_receipt(session, "ann", deleted.receipt) is not None
        assert find_receipt(session, "bob", deleted.receipt) is None
        assert find_receipt(session, "ann", "0" * 32) is None


def test_a_receipt_waits_for_every_copy_and_is_settled_once(sessions: Sessions, tmp_path: Path):
    collection = add_collection(sessions)
    blobs = Blobs(f"file://{tmp_path}/blobs", sessions)
    picture = blobs.add("ann", [b"picture"], keep=3600, limit=100)
    [number] = add_pictured(sessions, collection, picture.id)
    for name in ("m1", "m2"):
        set_replica(sessions, collection, name, 1)
    deleted = delete(sessions, collection, number)
    file, *snapshots = sorted(waits_for(sessions, deleted))
    assert file.startswith("picture ann/")
    assert snapshots == ["snapshots m1", "snapshots m2"]
    set_replica(sessions, collection, "m1", 2)
    assert settle_receipts(sessions) == 0
    assert [path for path in tmp_path.rglob(f"{picture.id}*") if path.is_file()]
    for _ in range(2):
        erase_pictures(sessions, blobs)
        assert not [path for path in tmp_path.rglob(f"{picture.id}*") if path.is_file()]
    assert settle_receipts(sessions) == 0
    assert waits_for(sessions, deleted) == ["snapshots m2"]
    set_replica(sessions, collection, "m2", 5)
    assert settle_receipts(sessions) == 1
    settled = read_receipt(sessions, deleted).purged_at
    assert settled == pytest.approx(time.time(), abs=60)
    assert settle_receipts(sessions) == 0
    assert read_receipt(sessions, deleted).purged_at == settled


def test_the_receipt_of_a_collection_waits_until_no_copy_is_listed(sessions: Sessions):
    collection = add_collection(sessions)
    add_faces(sessions, collection, "ann")
    set_replica(sessions, collection, "m1", 10**6)
    deleted = drop(sessions, collection)
    assert settle_receipts(sessions) == 0
    with sessions.begin() as session:
        session.delete(session.get_one(FaceReplica, (collection.id, "m1")))
    assert settle_receipts(sessions) == 1
    assert read_receipt(sessions, deleted).purged_at


def test_deletions_are_remembered_until_every_snapshot_has_taken_them_in(sessions: Sessions):
    collection = add_collection(sessions)
    first, second, third = add_faces(sessions, collection, *"abc").numbers
    set_replica(sessions, collection, "m1", 1)
    delete(sessions, collection, first)
    delete(sessions, collection, second)
    set_replica(sessions, collection, "m1", 2)
    long_ago(sessions)
    assert settle_receipts(sessions) == 1
    with sessions.read() as session:
        assert session.scalars(select(FaceDeletion.number)).all() == [second]
    set_replica(sessions, collection, "m1", 9)
    delete(sessions, collection, third)
    assert settle_receipts(sessions) == 2
    with sessions.read() as session:  # a process may follow that has not seen it yet
        assert session.scalars(select(FaceDeletion.number)).all() == [third]


def test_sqlite_keeps_nothing_of_a_face_once_its_receipt_is_settled(sqlite_database_url: str):
    sessions = open_db(sqlite_database_url)
    collection = add_collection(sessions)
    numbers = add_faces(sessions, collection, *["Ann Smith"] * 20).numbers
    with sessions.read() as session:
        sealed = session.scalars(select(Face.embedding)).all()
    path = Path(sqlite_database_url.removeprefix("sqlite:///"))

    def content() -> bytes:
        return b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))

    assert all(embedding in content() for embedding in sealed)
    delete(sessions, collection, *numbers)
    assert settle_receipts(sessions) == 1
    assert not any(embedding in content() for embedding in sealed)
    assert b"Ann Smith" not in content()
    sessions.engine.dispose()


def test_a_receipt_waits_for_a_reader_that_still_sees_the_face(sqlite_database_url: str):
    """SQLite keeps old pages in its log as long as somebody may read them."""
    sessions = open_db(sqlite_database_url)
    collection = add_collection(sessions)
    numbers = add_faces(sessions, collection, "ann").numbers
    with sessions.read() as reader:
        assert reader.scalars(select(Face.number)).all() == numbers
        delete(sessions, collection, *numbers)
        assert settle_receipts(sessions) == 0
    assert settle_receipts(sessions) == 1
    sessions.engine.dispose()


def long_ago(sessions: Sessions) -> None:
    with sessions.begin() as session:
        session.execute(update(FacePurge).values(requested_at=FacePurge.requested_at - 7200))
