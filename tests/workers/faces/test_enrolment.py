"""Faces are stored sealed, with their consent, as one change, whoever else is at it."""

import time
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select, text

from shared.db import Sessions, open_db
from shared.face_tables import Face, FaceAudit, FaceConsent, FaceSubject
from shared.sealing import Tampered, TenantKey
from tests.races import do_at_once, do_in_turn
from tests.workers.faces.site import (
    ANN,
    CONSENT,
    KEY,
    add_collection,
    add_faces,
    count,
    make_faces,
    make_vectors,
    reread,
)
from workers.faces.deletion import delete_collection
from workers.faces.enrolment import store_faces
from workers.faces.index.backend import open_vector
from workers.faces.refusals import UnknownCollection

HOUR, DAY = 3600.0, 86_400.0


def read_faces(sessions: Sessions) -> list[Face]:
    with sessions.read() as session:
        return list(session.scalars(select(Face).order_by(Face.number)))


def enrol(collection, *subjects: str):
    """A change to make in a transaction."""
    faces = make_faces(subjects)
    return lambda session: store_faces(session, KEY, ANN, collection, faces, CONSENT)


def test_faces_are_numbered_in_the_order_they_are_given(sessions: Sessions):
    collection, vectors = add_collection(sessions), make_vectors(4)
    stored = add_faces(sessions, collection, "b", "a", "b", "c", vectors=vectors)
    faces = read_faces(sessions)
    assert stored.numbers == [face.number for face in faces] == sorted(stored.numbers)
    assert {face.seq for face in faces} == {stored.seq} == {1}
    for face, vector in zip(faces, vectors, strict=True):
        assert (open_vector(KEY, collection.id, face.number, face.embedding) == vector).all()
    after = reread(sessions, collection)
    assert (after.faces, after.seq) == (4, 1)


def test_a_subject_known_before_gets_more_faces_and_another_consent(sessions: Sessions):
    collection = add_collection(sessions)
    add_faces(sessions, collection, "ann", "bob")
    add_faces(sessions, collection, "carl", "ann", "ann")
    with sessions.read() as session:
        rows = session.execute(select(FaceSubject.number, FaceSubject.name)).all()
    names = dict(rows)
    assert sorted(names.values()) == ["ann", "bob", "carl"]
    faces = read_faces(sessions)
    owners = [names[face.subject_number] for face in faces]
    assert owners == ["ann", "bob", "carl", "ann", "ann"]
    assert len({face.consent_id for face in faces}) == 4
    assert count(sessions, FaceConsent) == 4


def test_a_number_is_never_given_twice(sessions: Sessions):
    collection, seen = add_collection(sessions), set[int]()
    for _ in range(3):
        numbers = add_faces(sessions, collection, "ann", "bob").numbers
        with sessions.read() as session:
            numbers += session.scalars(select(FaceSubject.number)).all()
        with sessions.begin() as session:
            session.execute(text("DELETE FROM faces"))
            session.execute(text("DELETE FROM face_subjects"))
        assert not seen & set(numbers)
        seen |= set(numbers)


@pytest.mark.parametrize(
    ("retention", "agreed", "kept"),  # seconds from now
    [
        (None, None, None),
        (None, DAY, DAY),
        (HOUR, None, HOUR),
        (HOUR, DAY, HOUR),
        (DAY, HOUR, HOUR),
    ],
)
def test_a_face_is_kept_as_long_as_both_consent_and_retention_allow(
    sqlite_database_url: str, retention: float | None, agreed: float | None, kept: float | None
):
    sessions, now = open_db(sqlite_database_url), time.time()
    ends = None if agreed is None else now + agreed
    consent = CONSENT.model_copy(update={"expires_at": ends})
    add_faces(sessions, add_collection(sessions, retention=retention), "ann", consent=consent)
    [face] = read_faces(sessions)
    assert face.expires_at == (None if kept is None else pytest.approx(now + kept, abs=60))
    sessions.engine.dispose()


def test_the_consent_says_what_was_agreed_and_in_which_job(sessions: Sessions):
    consent = CONSENT.model_copy(update={"given_at": 5.0, "expires_at": time.time() + DAY})
    add_faces(sessions, add_collection(sessions), "ann", consent=consent)
    with sessions.read() as session:
        [stored] = session.scalars(select(FaceConsent)).all()
    assert (stored.given_at, stored.purpose, stored.job_id) == (5.0, "door", ANN.job_id)
    assert stored.text_sha256 == "0" * 64
    assert stored.recorded_at == pytest.approx(time.time(), abs=60)


def test_an_embedding_opens_only_in_its_place_and_with_its_tenants_key(sessions: Sessions):
    collection = add_collection(sessions)
    add_faces(sessions, collection, "ann", "bob")
    first, second = read_faces(sessions)
    for key, where, number in (
        (KEY, collection.id, second.number),
        (KEY, "0" * 32, first.number),
        (TenantKey(bytes([1]) * 32), collection.id, first.number),
    ):
        with pytest.raises(Tampered):
            open_vector(key, where, number, first.embedding)


def test_the_database_file_holds_no_vector_in_clear(sqlite_database_url: str):
    sessions, vectors = open_db(sqlite_database_url), make_vectors(50)
    add_faces(sessions, add_collection(sessions), *["ann"] * 50, vectors=vectors)
    sessions.engine.dispose()
    path = Path(sqlite_database_url.removeprefix("sqlite:///"))
    content = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert read_faces(sessions)[0].embedding in content
    for vector in vectors:
        for kind in ("<f2", "<f4", "<f8"):
            assert vector[:8].astype(kind).tobytes() not in content
    sessions.engine.dispose()


def test_thousands_of_people_are_stored_in_one_change(sqlite_database_url: str):
    sessions, names = open_db(sqlite_database_url), [f"person {number}" for number in range(2500)]
    collection, vectors = add_collection(sessions), np.tile(make_vectors(1), (2500, 1))
    add_faces(sessions, collection, *names, vectors=vectors)
    add_faces(sessions, collection, *names, vectors=vectors)
    assert count(sessions, FaceSubject) == 2500
    assert reread(sessions, collection).faces == count(sessions, Face) == 5000
    sessions.engine.dispose()


def test_a_transaction_that_is_tried_again_stores_its_faces_once(sessions: Sessions):
    collection = add_collection(sessions)
    change = enrol(collection, "ann", "ann", "bob")

    def fail_late() -> None:
        with sessions.begin() as session:
            change(session)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_late()
    assert count(sessions, Face) == count(sessions, FaceAudit) == 0
    with sessions.begin() as session:
        change(session)
    assert reread(sessions, collection).faces == count(sessions, Face) == 3
    assert count(sessions, FaceSubject) == 2
    assert count(sessions, FaceAudit) == 1


def test_two_changes_at_once_make_one_subject_of_one_name(sessions: Sessions):
    collection = add_collection(sessions)
    change = enrol(collection, "ann", "ann")
    assert do_in_turn(sessions, change, change) == []
    assert count(sessions, FaceSubject) == 1
    faces = read_faces(sessions)
    assert len({face.subject_number for face in faces}) == 1
    assert [face.seq for face in faces] == [1, 1, 2, 2]


def test_many_changes_at_once_lose_nothing(sessions: Sessions):
    collection = add_collection(sessions)
    assert do_at_once(sessions, *[enrol(collection, "ann", str(n)) for n in range(8)]) == []
    faces = read_faces(sessions)
    assert len(faces) == reread(sessions, collection).faces == 16
    assert {face.seq for face in faces} == set(range(1, 9))
    assert [face.seq for face in faces] == sorted(face.seq for face in faces)
    assert count(sessions, FaceSubject) == 9


def test_nothing_is_stored_in_a_collection_that_is_gone(sessions: Sessions):
    collection = add_collection(sessions)
    [error] = do_in_turn(
        sessions,
        lambda session: delete_collection(session, KEY, ANN, collection),
        enrol(collection, "ann"),
    )
    assert isinstance(error, UnknownCollection)
    assert count(sessions, Face) == count(sessions, FaceSubject) == 0
    assert count(sessions, FaceAudit, action="enroll") == 0
