"""What is deleted is gone with all that hangs on it, whoever else is at it."""

from functools import partial

import pytest
from sqlalchemy import select, text

from shared.db import Sessions, open_db
from shared.face_tables import (
    Face,
    FaceAudit,
    FaceConsent,
    FaceDeletion,
    FacePurge,
    FaceSubject,
)
from tests.races import do_in_turn
from tests.workers.faces.erased import delete
from tests.workers.faces.site import (
    ANN,
    CONSENT,
    KEY,
    add_collection,
    add_faces,
    count,
    make_faces,
    reread,
)
from workers.faces import deletion
from workers.faces.deletion import (
    delete_collection,
    delete_faces,
)
from workers.faces.enrolment import store_faces
from workers.faces.refusals import UnknownFace


def test_a_deleted_face_goes_with_its_subject_and_consent(sessions: Sessions):
    collection = add_collection(sessions)
    ann, bob, ann2 = add_faces(sessions, collection, "ann", "bob", "ann").numbers
    deleted = delete(sessions, collection, bob, ann)
    assert (deleted.faces, deleted.seq) == (2, 2)
    with sessions.read() as session:
        assert session.scalars(select(Face.number)).all() == [ann2]
        assert session.scalars(select(FaceSubject.name)).all() == ["ann"]
        gone = session.scalars(select(FaceDeletion.number).order_by(FaceDeletion.number)).all()
    assert count(sessions, FaceConsent) == 1
    assert gone == [ann, bob]
    assert (reread(sessions, collection).faces, reread(sessions, collection).seq) == (1, 2)


def test_a_consent_stays_as_long_as_a_face_rests_on_it(sessions: Sessions):
    collection = add_collection(sessions)
    first = add_faces(sessions, collection, "ann", "ann").numbers
    second = add_faces(sessions, collection, "ann").numbers
    for numbers, left in (([first[0]], 2), ([first[1]], 1), (second, 0)):
        delete(sessions, collection, *numbers)
        assert count(sessions, FaceConsent) == left
        assert count(sessions, FaceSubject) == (1 if left else 0)


def test_without_such_a_face_nothing_changes(sessions: Sessions):
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    add_faces(sessions, staff, "ann")
    theirs = add_faces(sessions, guests, "bob", "carl").numbers
    for numbers in ([10**9], [theirs[1] + 10], []):
        with pytest.raises(UnknownFace, match="nothing was deleted"):
            delete(sessions, staff, *numbers)
    assert reread(sessions, staff).seq == 1
    assert count(sessions, FacePurge) == count(sessions, FaceAudit, action="delete") == 0


def test_faces_of_the_same_number_in_other_collections_stay(sessions: Sessions):
    staff, guests = add_collection(sessions), add_collection(sessions, "guests")
    numbers = add_faces(sessions, staff, "ann", "bob").numbers
    assert add_faces(sessions, guests, "ann", "bob").numbers == numbers
    delete(sessions, staff, *numbers)
    assert reread(sessions, guests).faces == count(sessions, Face, collection_id=guests.id) == 2
    assert count(sessions, FaceSubject) == count(sessions, FaceConsent) == 2


def test_thousands_of_faces_are_deleted_in_one_change(sqlite_database_url: str, monkeypatch):
    monkeypatch.setattr(deletion, "AT_ONCE", 7)
    sessions = open_db(sqlite_database_url)
    collection, names = add_collection(sessions), [str(number) for number in range(100)]
    numbers = add_faces(sessions, collection, *names, *names).numbers
    with sessions.begin() as session:
        delete_faces(session, KEY, ANN, collection, Face.number <= numbers[149])
    assert (
        count(sessions, Face) == count(sessions, FaceSubject) == count(sessions, FaceConsent) == 50
    )
    sessions.engine.dispose()


@pytest.mark.parametrize("database_url", ["postgresql"], indirect=True)
@pytest.mark.parametrize("how", [delete_collection, partial(delete_faces, where=Face.number > 0)])
def test_postgres_has_the_time_to_delete_millions(sessions: Sessions, how):
    """200,000 take it 4 to 20 seconds, and a statement may take 10."""
    collection = add_collection(sessions)
    add_faces(sessions, collection, "ann")
    with sessions.begin() as session:
        how(session, KEY, ANN, collection)
        assert session.scalar(text("SHOW statement_timeout")) == "10min"
    with sessions.begin() as session:
        assert session.scalar(text("SHOW statement_timeout")) == "10s"


def test_a_face_enrolled_while_its_subject_is_deleted_is_deleted_too_or_stays_whole(
    sessions: Sessions,
):
    collection = add_collection(sessions)
    add_faces(sessions, collection, "ann")
    of_ann = Face.subject_number.in_(
        select(FaceSubject.number).where(FaceSubject.name == "ann").scalar_subquery()
    )

    def enrol(session) -> None:
        store_faces(session, KEY, ANN, collection, make_faces(["ann"]), CONSENT)

    def erase(session) -> None:
        delete_faces(session, KEY, ANN, collection, of_ann)

    assert do_in_turn(sessions, enrol, erase) == []
    assert (
        count(sessions, Face) == count(sessions, FaceSubject) == count(sessions, FaceConsent) == 0
    )
    add_faces(sessions, collection, "ann")
    assert do_in_turn(sessions, erase, enrol) == []
    assert (
        count(sessions, Face) == count(sessions, FaceSubject) == count(sessions, FaceConsent) == 1
    )
    assert reread(sessions, collection).faces == 1
