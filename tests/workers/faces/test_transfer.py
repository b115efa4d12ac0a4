"""A collection goes through a file unchanged, and no further than its consents allow."""

import time
from collections.abc import Iterator

import pytest
from sqlalchemy import select

from shared.db import Sessions, open_db
from shared.face_tables import Face, FaceCollection, FaceConsent, FaceSubject
from shared.sealing import TenantKey
from tests.workers.faces.exported import change_about, export, fill, ignore
from tests.workers.faces.site import (
    CONSENT,
    KEY,
    add_collection,
    add_faces,
    count,
    reread,
    set_expiry,
)
from workers.faces.archive import Archive, read_archive
from workers.faces.gallery import Collection, plan_collection
from workers.faces.index.backend import open_vector
from workers.faces.refusals import CollectionExists
from workers.faces.transfer import store_archive, write_archive
from workers.runtime.run import Cancelled

OTHER = TenantKey(bytes([9]) * 32)


def store(sessions: Sessions, archive: Archive, key: TenantKey = KEY, name: str = "copy"):
    about = archive.about
    plan = plan_collection(
        "bob",
        name,
        description=about.description,
        model=about.model,
        dimensions=about.dimensions,
        retention=about.retention,
        target_fpir=about.target_fpir,
    )
    sealed = archive.seal(key, plan, ignore)
    with sessions.begin() as session:
        assert store_archive(session, plan, archive, sealed, "2" * 32) == 1
    return reread(sessions, plan)


def show(sessions: Sessions, collection: Collection, key: TenantKey) -> list[tuple]:
    """Everything about its faces that a client could see."""
    query = (
        select(Face, FaceSubject.name, FaceConsent)
        .join(FaceSubject, (FaceSubject.collection_id == Face.collection_id)
        & (FaceSubject.number == Face.subject_number))
        .join(FaceConsent, FaceConsent.id == Face.consent_id)
        .where(Face.collection_id == collection.id)
        .order_by(Face.number)
    )  # fmt: skip
    with sessions.read() as session:
        rows = session.execute(query).all()
    return [
        (
            name,
            open_vector(key, collection.id, face.number, face.embedding).tobytes(),
            face.quality,
            face.created_at,
            face.expires_at,
            face.model,
            (consent.purpose, consent.text_sha256, consent.given_at, consent.expires_at),
            consent.subject_number == face.subject_number,
        )
        for face, name, consent in rows
    ]


@pytest.fixture
def sqlite(sqlite_database_url: str) -> Iterator[Sessions]:
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


def test_a_collection_comes_back_as_it_was(sessions: Sessions):
    original = fill(sessions, retention=1e7)
    content = export(sessions, original)
    copy = store(sessions, read_archive(content, KEY), OTHER)
    assert show(sessions, copy, OTHER) == show(sessions, original, KEY)
    for name in ("description", "model", "dimensions", "retention", "target_fpir", "faces"):
        assert getattr(copy, name) == getattr(original, name)
    assert count(sessions, FaceSubject, collection_id=copy.id) == 3


def test_a_copy_can_be_changed_on(sessions: Sessions):
    copy = store(sessions, read_archive(export(sessions, fill(sessions)), KEY))
    stored = add_faces(sessions, copy, "ann", "new")
    assert stored.seq == 2
    assert count(sessions, FaceSubject, collection_id=copy.id) == 4
    with sessions.read() as session:
        numbers = session.scalars(select(Face.number).where(Face.collection_id == copy.id)).all()
        subjects = session.scalars(
            select(FaceSubject.number).where(FaceSubject.collection_id == copy.id)
        ).all()
    assert len({*numbers, *subjects}) == len(numbers) + len(subjects)


def test_an_empty_collection_comes_back_empty(sqlite: Sessions):
    copy = store(sqlite, read_archive(export(sqlite, add_collection(sqlite)), KEY))
    assert copy.faces == count(sqlite, Face) == 0


def test_a_taken_name_is_refused_and_nothing_is_stored(sqlite: Sessions):
    archive = read_archive(export(sqlite, fill(sqlite)), KEY)
    store(sqlite, archive)
    with pytest.raises(CollectionExists):
        store(sqlite, archive)
    assert count(sqlite, FaceCollection) == 2
    assert count(sqlite, Face) == 10


def test_a_face_in_a_file_is_kept_no_longer_than_its_consent(sqlite: Sessions):
    """The file in clear may have been edited."""
    plain = export(sqlite, fill(sqlite))
    ends = time.time() + 1000
    consents = [{**CONSENT.model_dump(), "expires_at": ends}] * 4
    copy = store(sqlite, read_archive(change_about(plain, consents=consents), KEY))
    with sqlite.read() as session:
        kept = session.scalars(select(Face.expires_at).where(Face.collection_id == copy.id)).all()
    assert kept == [pytest.approx(ends)] * 5


def test_faces_that_expired_in_the_file_are_expired_in_the_copy(sqlite: Sessions):
    collection = fill(sqlite)
    set_expiry(sqlite, collection, time.time() - 5)
    copy = store(sqlite, read_archive(export(sqlite, collection), KEY))
    with sqlite.read() as session:
        ends = session.scalars(select(Face.expires_at).where(Face.collection_id == copy.id)).all()
    assert len(ends) == 5
    assert max(ends) < time.time()


def test_an_export_can_be_cancelled(sqlite: Sessions):
    def stop(_: float) -> None:
        raise Cancelled

    collection = fill(sqlite)
    with sqlite.read() as session, pytest.raises(Cancelled):
        write_archive(session, KEY, collection, True, stop)
