"""Jobs on collections: create, list, enroll, delete, and every way to ask for it wrongly."""

import time

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError
from sqlalchemy import select

from shared.face_tables import Face, FaceAudit
from tests.workers.faces.desk import CONSENT, D, Desk, put_side_by_side, to_png
from tests.workers.faces.site import count, make_vectors
from workers.faces.gallery_contract import (
    CollectionsRequest,
    Consent,
    CreateRequest,
    DeleteRequest,
    EnrollRequest,
)
from workers.faces.gallery_tasks import collections, create, delete, enroll
from workers.faces.index.backend import open_vector
from workers.runtime.run import JobError


def ask(**values: object) -> EnrollRequest:
    """To enroll one embedding of ann, but for these values."""
    default: dict[str, object] = {"collection": "staff", "subjects": ["ann"], "consent": CONSENT}
    if not {"pictures", "embeddings"} & set(values):
        default["embeddings"] = make_vectors(1, dimensions=D).tolist()
    return EnrollRequest.model_validate({**default, **values})


def list_names(desk: Desk) -> list[str]:
    return [item.collection for item in desk.do(collections, CollectionsRequest()).collections]


def test_a_new_collection_is_shown_as_it_is(each_desk: Desk):
    made = each_desk.create(description="é", retention=60.0, target_fpir=0.001)
    assert (made.collection, made.model, made.dimensions) == ("staff", "dlib-resnet@1", 128)
    assert (made.faces, made.subjects, made.seq, made.calibrated) == (0, 0, 0, False)
    each_desk.enroll("ann", "bob", "ann")
    [shown] = each_desk.do(collections, CollectionsRequest()).collections
    assert (shown.faces, shown.subjects, shown.seq, shown.description) == (3, 2, 1, "é")
    assert shown.threshold > made.threshold


def test_a_name_that_is_taken_is_refused(each_desk: Desk):
    answers = each_desk.do_all(create, *[CreateRequest(collection=name) for name in "aab"])
    assert [isinstance(answer, JobError) for answer in answers] == [False, True, False]
    assert answers[1].code == "collection_exists"
    assert list_names(each_desk) == ["a", "b"]
    assert count(each_desk.worker.sessions, FaceAudit, tenant=each_desk.tenant) == 2


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ({"model": "dlib-resnet@2"}, "wrong_model", "faces.models"),
        ({"model": "unheard-of"}, "wrong_model", "which version"),
        ({"model": "dlib-resnet@1", "dimensions": 512}, "wrong_model", "have 128 numbers"),
        ({"backend": "milvus"}, "invalid_input", "ATELIER_MILVUS_URI"),
    ],
)
def test_a_collection_that_cannot_be_searched_is_refused(desk: Desk, values, code: str, text: str):
    refused, why = desk.refuse(create, CreateRequest(collection="staff", **values))
    assert refused == code
    assert text in why
    assert list_names(desk) == []


@pytest.mark.parametrize(
    "values",
    [
        {"collection": ""},
        {"collection": "a" * 101},
        {"collection": "a/b"},
        {"collection": "a\n"},
        {"collection": "staff", "description": "a\0b"},
        {"collection": "staff", "description": "x" * 10_000},
        {"collection": "staff", "retention": 0},
        {"collection": "staff", "target_fpir": 0},
    ],
)
def test_a_collection_that_no_database_could_hold_never_becomes_a_job(values):
    with pytest.raises(ValidationError):
        CreateRequest.model_validate(values)


def test_embeddings_are_stored_as_they_were_given(each_desk: Desk):
    each_desk.create()
    vectors = make_vectors(3, dimensions=D)
    numbers = each_desk.enroll("ann", "bob", "ann", vectors=vectors.astype(np.float64) * 7)
    sessions, collection = each_desk.worker.sessions, each_desk.find()
    with sessions.read() as session:
        own = select(Face).where(Face.collection_id == collection.id).order_by(Face.number)
        faces = session.scalars(own).all()
    key = each_desk.worker.key(each_desk.tenant)
    assert [face.number for face in faces] == numbers
    for face, vector in zip(faces, vectors, strict=True):
        stored = open_vector(key, collection.id, face.number, face.embedding)
        np.testing.assert_allclose(stored, vector, atol=1e-3)
    assert collection.seq == 1


def test_an_answer_says_what_is_stored_where(desk: Desk):
    desk.create()
    vectors = make_vectors(2, dimensions=D).tolist()
    result = desk.do(enroll, ask(embeddings=vectors, subjects=["ann", "bob"], model="dlib-resnet"))
    assert [(face.item, face.subject) for face in result.faces] == [(0, "ann"), (1, "bob")]
    assert (result.seq, result.refused, result.model) == (1, [], "dlib-resnet@1")
    one_subject = desk.do(enroll, ask(embeddings=vectors))
    assert {face.subject for face in one_subject.faces} == {"ann"}


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ({"collection": "none"}, "unknown_collection", "faces.collections"),
        ({"model": "net@1"}, "wrong_model", "cannot be compared"),
        ({"embeddings": [[1.0, 2.0]]}, "wrong_model", "have 128"),
        ({"embeddings": [[0.0] * D]}, "invalid_input", "direction"),
        ({"embeddings": [[1e-300] * D]}, "invalid_input", "direction"),
        ({"consent": {**CONSENT, "expires_at": time.time() - 1}}, "invalid_input", "ended already"),
    ],
)
def test_faces_that_cannot_be_stored_are_refused(desk: Desk, values, code: str, text: str):
    desk.create()
    refused, why = desk.refuse(enroll, ask(**values))
    assert (refused, text in why) == (code, True), why
    assert desk.find().faces == desk.find().seq == 0


@pytest.mark.parametrize(
    "values",
    [
        {"embeddings": [[float("nan")] * D]},
        {"embeddings": [[float("inf")] * D]},
        {"embeddings": []},
        {"embeddings": [[]]},
        {"subjects": []},
        {"subjects": ["ann", "bob"]},
        {"subjects": ["x" * 10_000]},
        {"subjects": ["a\0b"]},
        {"subjects": [""]},
        {"consent": {**CONSENT, "purpose": "a\0b"}},
        {"consent": {**CONSENT, "purpose": "x" * 10_000}},
        {"consent": {"purpose": "door"}},
        {"pictures": ["0" * 64], "embeddings": [[1.0] * D]},
    ],
)
def test_a_request_that_makes_no_sense_never_becomes_a_job(values):
    with pytest.raises(ValidationError):
        ask(**values)


def test_another_tenants_collection_is_as_unknown_as_none(desk: Desk):
    desk.create()
    numbers = desk.enroll("ann")
    stranger = Desk(desk.worker)
    for method, request in (
        (enroll, ask()),
        (delete, DeleteRequest(collection="staff", face_ids=numbers)),
        (delete, DeleteRequest(collection="staff", subject="ann")),
        (delete, DeleteRequest(collection="staff", whole_collection=True)),
    ):
        code, text = stranger.refuse(method, request)
        assert code == "unknown_collection"
        assert text == str(Desk(desk.worker).refuse(method, request)[1])
    assert desk.find().faces == 1
    assert list_names(stranger) == []


def test_a_bad_job_costs_the_others_of_its_batch_nothing(each_desk: Desk):
    each_desk.create()
    bad = [ask(collection="none"), ask(embeddings=[[1.0, 2.0]])]
    answers = each_desk.do_all(enroll, ask(), bad[0], ask(), bad[1], ask())
    assert [isinstance(answer, JobError) for answer in answers] == [False, True, False, True, False]
    assert each_desk.find().faces == 3


def test_a_collection_deleted_while_faces_were_made_is_unknown(each_desk: Desk):
    each_desk.create()
    run = each_desk.make(ask())
    [answer] = enroll(each_desk.worker, [run])
    each_desk.delete(whole_collection=True)
    refusal = each_desk.finish(run, answer)
    assert isinstance(refusal, JobError)
    assert refusal.code == "unknown_collection"


def test_a_subject_faces_or_a_whole_collection_can_be_deleted(each_desk: Desk):
    each_desk.create()
    first, second, third, _ = each_desk.enroll("ann", "bob", "bob", "carl")
    assert each_desk.delete(subject="ann").deleted == 1
    assert each_desk.delete(face_ids=[second, first]).deleted == 1
    gone = each_desk.delete(face_ids=[third])
    assert (gone.deleted, gone.seq, len(gone.receipt)) == (1, 4, 32)
    assert each_desk.delete(whole_collection=True).deleted == 1
    assert list_names(each_desk) == []


@pytest.mark.parametrize("values", [{"subject": "nobody"}, {"face_ids": [1, 2**62]}])
def test_deleting_nothing_is_refused(each_desk: Desk, values):
    each_desk.create()
    each_desk.enroll("ann")
    each_desk.create("guests")
    code, text = each_desk.refuse(delete, DeleteRequest(collection="guests", **values))
    assert (code, "nothing was deleted" in text) == ("unknown_face", True)


def test_a_consent_reads_as_it_was_written():
    consent = Consent(purpose="Zutritt & Kantine 🙂", text_sha256="0" * 64)
    assert Consent.model_validate_json(consent.model_dump_json()) == consent


def test_the_face_of_a_picture_is_stored_with_its_quality(desk: Desk, photo_file):
    desk.create()
    picture = desk.add(photo_file("obama.jpg"))
    result = desk.do(enroll, ask(pictures=[picture], quality="high"))
    [face] = result.faces
    assert face.quality > 0.7
    assert face.xyxy == pytest.approx([367.5, 79.0, 616.4, 428.3], abs=25)
    assert desk.progress == [1.0]
    with desk.worker.sessions.read() as session:
        stored = session.get_one(Face, (desk.find().id, face.face_id))
    assert (stored.blob_id, stored.quality) == (picture, face.quality)


def test_good_pictures_are_stored_and_the_others_explained(desk: Desk, photo, photo_file):
    desk.create()
    astronaut = photo("astronaut.png").crop((100, 0, 400, 300))
    contents = [
        photo_file("astronaut.png"),
        photo_file("coffee.png"),
        b"no picture",
        to_png(Image.new("RGB", (1, 1))),
        to_png(put_side_by_side(astronaut, astronaut)),
        to_png(astronaut.resize((40, 40)).resize((300, 300))),
    ]
    names = ["ann", "b", "c", "d", "e", "f"]
    pictures = [desk.add(content) for content in contents]
    request = ask(pictures=[*pictures, "0" * 64], subjects=[*names, "g"], quality="high")
    result = desk.do(enroll, request)
    assert [(face.item, face.subject) for face in result.faces] == [(0, "ann")]
    assert [(face.item, face.subject) for face in result.refused] == [
        (place, name) for place, name in enumerate([*names, "g"]) if place
    ]
    for face, wanted in zip(
        result.refused,
        ["No face", "not a JPEG", "No face", "crowd=largest", "lower `quality`", "Upload it again"],
        strict=True,
    ):
        assert wanted in face.reason
    assert desk.find().faces == 1


def test_a_job_about_one_bad_picture_is_refused(desk: Desk, photo_file):
    desk.create()
    code, text = desk.refuse(enroll, ask(pictures=[desk.add(photo_file("coffee.png"))]))
    assert (code, "upright" in text) == ("no_face", True)
    assert desk.refuse(enroll, ask(pictures=[desk.add(b"nothing")]))[0] == "invalid_input"
    assert desk.find().seq == 0


def test_a_job_about_several_bad_pictures_says_what_is_wrong_with_each(desk: Desk, photo_file):
    desk.create()
    pictures = [desk.add(photo_file("coffee.png")), desk.add(b"nothing")]
    result = desk.do(enroll, ask(pictures=pictures))
    assert (result.faces, [face.item for face in result.refused], result.seq) == ([], [0, 1], None)
    assert desk.find().seq == 0


def test_a_picture_is_enrolled_once_for_each_subject(desk: Desk, photo_file):
    """So a job that was interrupted can be sent again as it was."""
    desk.create()
    picture = desk.add(photo_file("astronaut.png"))
    desk.do(enroll, ask(pictures=[picture]))
    code, text = desk.refuse(enroll, ask(pictures=[picture]))
    assert (code, "already" in text) == ("already_enrolled", True)
    twice = desk.do(enroll, ask(pictures=[picture] * 3, subjects=["bob", "bob", "carl"]))
    assert [face.subject for face in twice.faces] == ["bob", "carl"]
    assert [face.item for face in twice.refused] == [1]
    desk.delete(subject="ann")
    assert desk.do(enroll, ask(pictures=[picture])).faces


def test_of_several_faces_the_largest_is_taken_if_asked(desk: Desk, photo):
    desk.create()
    face = photo("astronaut.png").crop((100, 0, 400, 300))
    picture = desk.add(to_png(put_side_by_side(face.resize((220, 220)), face)))
    assert desk.refuse(enroll, ask(pictures=[picture]))[0] == "several_faces"
    [taken] = desk.do(enroll, ask(pictures=[picture], crowd="largest")).faces
    assert taken.xyxy[0] > 220
