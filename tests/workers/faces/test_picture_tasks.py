"""Jobs on pictures alone: find, encode, verify; and every picture that has no face in it."""

import numpy as np
import pytest
from PIL import Image
from pydantic import ValidationError

from tests.workers.faces.desk import D, Desk, put_side_by_side, to_png
from tests.workers.faces.site import make_vectors
from workers.faces.picture_contract import (
    EncodeRequest,
    EncodeResult,
    FindRequest,
    FindResult,
    VerifyRequest,
    VerifyResult,
)
from workers.faces.picture_tasks import encode, find, verify
from workers.runtime.images import decode
from workers.runtime.run import Cancelled, InvalidInput, JobError

SIZES = [(1, 1), (1, 3000), (3000, 1), (11, 11), (12, 12)]


def make_blank(size: tuple[int, int]) -> bytes:
    return to_png(Image.new("RGB", size, "grey"))


def test_the_faces_of_a_picture_are_found_cut_out_and_drawn(desk: Desk, photo_file):
    picture = desk.add(photo_file("obama.jpg"))
    result = desk.do(find, FindRequest(picture=picture, crops=True, annotate=True))
    [face] = result.faces
    assert face.xyxy == pytest.approx([367.5, 79.0, 616.4, 428.3], abs=25)
    assert face.score > 0.99
    assert len(face.landmarks) == 5
    assert min(face.quality.model_dump().values()) > 0.5
    assert decode(desk.files[face.crop]).size == (150, 150)
    assert decode(desk.files[result.annotated]).size == (result.width, result.height)
    assert FindResult.model_validate_json(result.model_dump_json()) == result


def test_only_as_many_faces_are_kept_as_asked_for_the_largest_first(desk: Desk, photo):
    face = photo("astronaut.png").crop((100, 0, 400, 300))
    scene = put_side_by_side(face.resize((200, 200)), face, face.resize((250, 250)))
    picture = desk.add(to_png(scene))
    every, two, largest, certain = desk.do_all(
        find,
        FindRequest(picture=picture),
        FindRequest(picture=picture, max_faces=2),
        FindRequest(picture=picture, largest=True),
        FindRequest(picture=picture, score_threshold=1.0),
    )
    assert [round(face.xyxy[0] // 100) for face in every.faces] == [2, 5, 0]
    assert two.faces == every.faces[:2]
    assert largest.faces == every.faces[:1]
    assert certain.faces == []


@pytest.mark.parametrize("size", SIZES)
def test_a_picture_of_any_shape_has_an_answer(desk: Desk, size: tuple[int, int]):
    request = FindRequest(
        picture=desk.add(make_blank(size)), annotate=True, crops=True, score_threshold=0
    )
    result = desk.do(find, request)
    assert (result.width, result.height) == size
    assert decode(desk.files[result.annotated])  # a small one is drawn larger


@pytest.mark.parametrize("content", [b"", b"no picture", b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_a_file_that_is_no_picture_is_refused_with_what_to_do(desk: Desk, content: bytes):
    name = desk.add(content)
    embedding = make_vectors(1, dimensions=D)[0].tolist()
    for method, request in (
        (find, FindRequest(picture=name)),
        (encode, EncodeRequest(pictures=[name])),
        (verify, VerifyRequest(first=name, second_embedding=embedding)),
    ):
        code, text = desk.refuse(method, request)
        assert code == "invalid_input"
        assert "convert it" in text or "save it again" in text


def test_a_picture_over_the_pixel_limit_is_refused(desk: Desk, monkeypatch):
    monkeypatch.setattr(desk.worker.settings, "max_pixels", 1000)
    code, text = desk.refuse(find, FindRequest(picture=desk.add(make_blank((40, 40)))))
    assert (code, "make it smaller" in text) == ("invalid_input", True)


def test_a_bad_job_costs_the_others_of_its_batch_nothing(desk: Desk, photo_file):
    good, bad = desk.add(photo_file("obama.jpg")), desk.add(b"nothing")
    first, second, third = desk.do_all(find, *[FindRequest(picture=p) for p in (good, bad, good)])
    assert isinstance(second, InvalidInput)
    assert first == third


def test_each_picture_has_an_embedding_or_none(desk: Desk, photo_file):
    names = ["obama.jpg", "coffee.png", "obama2.jpg", "biden.jpg"]
    pictures = [desk.add(photo_file(name)) for name in names]
    result = desk.do(encode, EncodeRequest(pictures=pictures))
    assert result.model == "dlib-resnet@1"
    assert [face is None for face in result.faces] == [False, True, False, False]
    assert result.embeddings[1] is None
    barack, again, joe = (np.array(result.embeddings[place]) for place in (0, 2, 3))
    for vector in (barack, again, joe):
        assert vector.shape == (D,)
        assert np.linalg.norm(vector) == pytest.approx(1, abs=2e-3)
    assert barack @ again > barack @ joe
    assert desk.progress == [0.25, 0.5, 0.75, 1.0]
    assert EncodeResult.model_validate_json(result.model_dump_json()) == result


def test_pictures_without_a_face_have_no_embeddings(desk: Desk):
    pictures = [desk.add(make_blank(size)) for size in SIZES[:2]]
    result = desk.do(encode, EncodeRequest(pictures=pictures))
    assert result.embeddings == result.faces == [None, None]


def test_an_encoding_can_be_cancelled(desk: Desk):
    run = desk.make(EncodeRequest(pictures=[desk.add(make_blank((1, 1)))]))
    run.stop_requested = lambda: True
    with pytest.raises(Cancelled):
        encode(desk.worker, [run])


def test_two_pictures_show_one_person_or_two(desk: Desk, photo_file):
    barack, again, joe = (
        desk.add(photo_file(name)) for name in ("obama.jpg", "obama2.jpg", "biden.jpg")
    )
    same, other = desk.do_all(
        verify,
        VerifyRequest(first=barack, second=again, scores=True),
        VerifyRequest(first=barack, second=joe),
    )
    assert (same.same, other.same) == (True, False)
    assert same.band in ("likely", "very likely")
    assert other.band == "unlikely"
    assert same.score >= same.threshold
    assert (other.score, same.target_fmr, same.method) == (None, 1e-3, "distance")
    assert [face.xyxy is not None for face in same.faces] == [True, True]
    assert VerifyResult.model_validate_json(same.model_dump_json()) == same


@pytest.mark.parametrize("method", ["distance", "classifier", "chi2"])
def test_a_picture_and_its_embedding_are_the_same(desk: Desk, photo_file, method: str):
    picture = desk.add(photo_file("biden.jpg"))
    [embedding] = desk.do(encode, EncodeRequest(pictures=[picture])).embeddings
    request = VerifyRequest(
        first=picture, second_embedding=embedding, method=method, target_fmr=1e-6, scores=True
    )
    result = desk.do(verify, request)
    assert result.same
    assert (result.faces[0] is None, result.faces[1] is None) == (False, True)


def test_a_threshold_of_the_clients_own_decides(desk: Desk):
    one, other = (vector.tolist() for vector in make_vectors(2, dimensions=D))
    for threshold, same in ((-1.0, True), (1.0, False)):
        request = VerifyRequest(first_embedding=one, second_embedding=other, threshold=threshold)
        result = desk.do(verify, request)
        assert (result.same, result.threshold, result.target_fmr) == (same, threshold, None)


def test_a_picture_without_a_face_is_refused_by_its_name(desk: Desk, photo_file):
    face, none = desk.add(photo_file("biden.jpg")), desk.add(make_blank((1, 1)))
    for first, second, which in ((none, face, "first"), (face, none, "second")):
        code, text = desk.refuse(verify, VerifyRequest(first=first, second=second))
        assert code == "no_face"
        assert f"the {which} picture" in text


@pytest.mark.parametrize(
    ("vector", "code", "text"),
    [
        ([1.0, 2.0], "wrong_model", "have 128"),
        ([1.0] * (D + 1), "wrong_model", "have 128"),
        ([0.0] * D, "invalid_input", "direction"),
        ([5e-324] * D, "invalid_input", "direction"),
    ],
)
def test_an_embedding_that_cannot_be_compared_is_refused(desk: Desk, vector, code, text):
    good = make_vectors(1, dimensions=D)[0].tolist()
    for first, second in ((vector, good), (good, vector)):
        request = VerifyRequest(first_embedding=first, second_embedding=second)
        refused, why = desk.refuse(verify, request)
        assert (refused, text in why) == (code, True), why


def test_embeddings_of_huge_numbers_are_compared(desk: Desk):
    request = VerifyRequest(first_embedding=[1e308] * D, second_embedding=[1e-9] * D, scores=True)
    assert desk.do(verify, request).score == pytest.approx(1.0)


@pytest.mark.parametrize("model", ["net@1", "net", "dlib-resnet@2", "dlib-resnet@999999999"])
def test_a_model_that_is_not_here_is_refused(desk: Desk, photo_file, model: str):
    picture = desk.add(photo_file("biden.jpg"))
    for method, request in (
        (encode, EncodeRequest(pictures=[picture], model=model)),
        (verify, VerifyRequest(first=picture, second=picture, model=model)),
    ):
        code, text = desk.refuse(method, request)
        assert code == "wrong_model"
        assert "faces.models" in text


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"first": "0" * 64},
        {"first": "0" * 64, "second": "0" * 64, "second_embedding": [1.0, 2.0]},
        {"first_embedding": [float("nan")] * D, "second_embedding": [1.0] * D},
        {"first_embedding": [], "second_embedding": [1.0] * D},
        {"first_embedding": [1.0] * 4097, "second_embedding": [1.0] * D},
        {"first": "0" * 64, "second": "0" * 64, "target_fmr": 1e-7},
        {"first": "0" * 64, "second": "0" * 64, "model": "x" * 10_000},
    ],
)
def test_a_request_that_makes_no_sense_never_becomes_a_job(values):
    with pytest.raises(ValidationError):
        VerifyRequest.model_validate(values)


def test_a_file_that_is_gone_is_refused(desk: Desk):
    [answer] = desk.do_all(find, FindRequest(picture="0" * 64))
    assert isinstance(answer, JobError)
    assert "Upload it again" in str(answer)
