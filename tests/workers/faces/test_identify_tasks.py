"""Whose face it is: as a plain loop finds it, at the moment of asking, and within the quota."""

import time

import numpy as np
import pytest
from pydantic import ValidationError
from sqlalchemy import select

from shared.face_tables import FaceAudit
from tests.workers.faces.desk import D, Desk, put_side_by_side, to_png
from tests.workers.faces.site import make_vectors, set_expiry
from workers.faces.gallery import count_searches
from workers.faces.gallery_contract import EnrollRequest, IdentifyRequest, IdentifyResult
from workers.faces.gallery_tasks import enroll
from workers.faces.identify_tasks import identify
from workers.runtime.run import JobError

PEOPLE = make_vectors(30, dimensions=D)


def ask(*places: int, vectors: np.ndarray = PEOPLE, **values: object) -> IdentifyRequest:
    """To look for the people of these places."""
    default = {"collection": "staff", "embeddings": vectors[list(places)].tolist()}
    return IdentifyRequest.model_validate({**default, **values})


def fill(desk: Desk) -> list[int]:
    """Everybody of PEOPLE, p0 to p29."""
    desk.create()
    return desk.enroll(*[f"p{place}" for place in range(30)], vectors=PEOPLE)


def used(desk: Desk) -> int:
    with desk.worker.sessions.read() as session:
        return count_searches(session, desk.tenant)


def test_everybody_is_found_as_whoever_they_are(each_desk: Desk):
    numbers = fill(each_desk)
    result = each_desk.do(identify, ask(*range(30), scores=True))
    assert [probe.subject for probe in result.probes] == [f"p{place}" for place in range(30)]
    for probe, number in zip(result.probes, numbers, strict=True):
        best = probe.candidates[0]
        assert (probe.decision, best.face_id, best.band) == ("match", number, "very likely")
        assert best.score == pytest.approx(1.0, abs=1e-3)
        assert best.mean_score == pytest.approx(1.0, abs=1e-3)
    assert (result.searched, result.seq, result.model) == (30, 1, "dlib-resnet@1")


def test_a_stranger_is_unknown(desk: Desk):
    fill(desk)
    stranger = make_vectors(1, seed=77, dimensions=D)
    [probe] = desk.do(identify, ask(0, vectors=stranger)).probes
    assert (probe.decision, probe.subject, probe.candidates) == ("unknown", None, [])


def test_an_empty_collection_knows_nobody(desk: Desk):
    desk.create()
    [probe] = desk.do(identify, ask(0)).probes
    assert probe.decision == "unknown"
    investigated = desk.do(identify, ask(0, investigate=True))
    assert investigated.probes[0].candidates == []


def test_an_investigation_lists_the_nearest_whatever_they_score_and_matches_nobody(desk: Desk):
    fill(desk)
    result = desk.do(identify, ask(3, investigate=True, scores=True, max_candidates=100))
    [probe] = result.probes
    scores = PEOPLE.astype(np.float64) @ PEOPLE[3].astype(np.float64)
    order = np.argsort(-scores)
    assert [candidate.subject for candidate in probe.candidates] == [f"p{place}" for place in order]
    assert [candidate.score for candidate in probe.candidates] == pytest.approx(
        scores[order], abs=1e-6
    )
    assert (probe.decision, probe.subject) == ("investigation", None)


def test_a_number_is_told_only_if_asked_for(desk: Desk):
    fill(desk)
    [probe] = desk.do(identify, ask(3)).probes
    assert (probe.candidates[0].score, probe.candidates[0].mean_score) == (None, None)


@pytest.mark.parametrize("threshold", [-1.0, 0.0, 0.15, 0.999, 1.0])
def test_a_threshold_of_the_clients_own_decides_alone(desk: Desk, threshold: float):
    fill(desk)
    result = desk.do(identify, ask(3, threshold=threshold, scores=True, max_candidates=100))
    scores = np.sort((PEOPLE.astype(np.float64) @ PEOPLE[3].astype(np.float64)).round(6))[::-1]
    found = [candidate.score for candidate in result.probes[0].candidates]
    assert found == pytest.approx(scores[scores >= threshold])
    assert (result.threshold, result.target_fpir, result.calibrated) == (threshold, None, False)


def test_a_stricter_rate_asks_for_a_higher_score(desk: Desk):
    fill(desk)
    results = desk.do_all(identify, *[ask(0, target_fpir=rate) for rate in (0.3, 0.01, 1e-4)])
    thresholds = [result.threshold for result in results]
    assert thresholds == sorted(thresholds)
    assert thresholds[0] < thresholds[2]
    assert [result.target_fpir for result in results] == [0.3, 0.01, 1e-4]


def test_a_batch_answers_each_job_as_if_it_were_alone(each_desk: Desk):
    """Whatever the others of the batch ask for."""
    fill(each_desk)
    crowd = make_vectors(1, seed=8, dimensions=D) + 0.3 * make_vectors(90, seed=9, dimensions=D)
    each_desk.enroll(*[f"c{place % 6}" for place in range(90)], vectors=crowd)
    each_desk.create("guests")
    each_desk.enroll("guest", collection="guests", vectors=PEOPLE[:1])
    requests = [
        ask(0, vectors=crowd, scores=True),
        ask(1, 2, investigate=True, scores=True, max_candidates=50),
        ask(0, collection="guests", scores=True),
        ask(4, threshold=-1.0, scores=True, max_candidates=3),
        ask(0, collection="none"),
        ask(0, vectors=crowd, scores=True, max_candidates=100, threshold=-1.0),
    ]
    together = each_desk.do_all(identify, *requests)
    alone = [each_desk.do_all(identify, request)[0] for request in requests]
    assert [repr(answer) for answer in together] == [repr(answer) for answer in alone]


def test_tenants_with_collections_of_one_name_find_their_own_people(desk: Desk):
    fill(desk)
    other = Desk(desk.worker)
    other.create()
    other.enroll("somebody else", vectors=PEOPLE[:1])
    runs = [desk.make(ask(0)), other.make(ask(0)), desk.make(ask(1)), other.make(ask(1))]
    answers = identify(desk.worker, runs)
    assert [answer.probes[0].subject for answer in answers] == ["p0", "somebody else", "p1", None]


@pytest.mark.parametrize(
    ("values", "code", "text"),
    [
        ({"collection": "none"}, "unknown_collection", "faces.collections"),
        ({"model": "net@1"}, "wrong_model", "cannot be compared"),
        ({"embeddings": [[1.0, 2.0]]}, "wrong_model", "have 128"),
        ({"embeddings": [[1.0] * (D + 1)]}, "wrong_model", "have 128"),
        ({"embeddings": [[0.0] * D]}, "invalid_input", "direction"),
        ({"min_seq": 2}, "stale_database", "Try again"),
        ({"picture": "0" * 64, "embeddings": None}, "invalid_input", "Upload it again"),
    ],
)
def test_a_search_that_cannot_be_made_is_refused_and_not_charged(desk, values, code, text):
    fill(desk)
    refused, why = desk.refuse(identify, ask(0, **values))
    assert (refused, text in why) == (code, True), why
    assert used(desk) == 0


@pytest.mark.parametrize(
    "values",
    [
        {"embeddings": [[float("nan")] * D]},
        {"embeddings": [[float("-inf")] * D]},
        {"embeddings": []},
        {"embeddings": None},
        {"picture": "0" * 64},
        {"embeddings": [[1.0] * D] * 65},
        {"threshold": 1.1},
        {"max_candidates": 0},
        {"model": "net@" + "9" * 99},
    ],
)
def test_a_request_that_makes_no_sense_never_becomes_a_job(values):
    with pytest.raises(ValidationError):
        ask(0, **values)


def test_embeddings_of_any_length_are_compared_by_direction(desk: Desk):
    fill(desk)
    for factor in (1e-6, 1e9, 1e300):
        [probe] = desk.do(identify, ask(5, vectors=PEOPLE.astype(np.float64) * factor)).probes
        assert probe.subject == "p5"


def test_what_is_enrolled_is_found_and_what_is_deleted_is_not(each_desk: Desk):
    """In the very next search, also by a process that has the collection open."""
    each_desk.create()
    for place in range(5):
        [number] = each_desk.enroll(f"p{place}", vectors=PEOPLE[place : place + 1])
        seq = each_desk.find().seq
        [probe] = each_desk.do(identify, ask(place, min_seq=seq)).probes
        assert probe.subject == f"p{place}"
        each_desk.delete(face_ids=[number])
        [probe] = each_desk.do(identify, ask(place)).probes
        assert probe.subject is None


def test_a_face_that_expired_is_not_found_though_it_is_not_deleted_yet(each_desk: Desk):
    numbers = fill(each_desk)
    sessions = each_desk.worker.sessions
    set_expiry(sessions, each_desk.find(), time.time() - 1, numbers[0])
    set_expiry(sessions, each_desk.find(), time.time() + 3600, numbers[1])
    first, second = each_desk.do(identify, ask(0, 1)).probes
    assert (first.decision, first.candidates) == ("unknown", [])
    assert second.subject == "p1"
    investigated = each_desk.do(identify, ask(0, investigate=True, max_candidates=100)).probes[0]
    assert "p0" not in [candidate.subject for candidate in investigated.candidates]


def test_a_collection_deleted_between_look_and_search_is_unknown(each_desk: Desk, monkeypatch):
    fill(each_desk)
    search = each_desk.worker.indexes.search

    def delete_first(*arguments):
        each_desk.delete(whole_collection=True)
        monkeypatch.undo()
        return search(*arguments)

    monkeypatch.setattr(each_desk.worker.indexes, "search", delete_first)
    assert each_desk.refuse(identify, ask(0))[0] == "unknown_collection"


def test_a_face_deleted_while_it_is_searched_is_not_named(desk: Desk, monkeypatch):
    numbers = fill(desk)
    search = desk.worker.indexes.search

    def search_first(*arguments):
        found = search(*arguments)
        monkeypatch.undo()
        desk.delete(face_ids=numbers[:1])
        return found

    monkeypatch.setattr(desk.worker.indexes, "search", search_first)
    [probe] = desk.do(identify, ask(0)).probes
    assert (probe.decision, probe.candidates) == ("unknown", [])


def test_every_face_that_is_looked_for_counts_up_to_the_quota(desk: Desk):
    """200 a day here; see conftest.py."""
    fill(desk)
    for _ in range(6):
        desk.do(identify, ask(*range(30)))
    assert used(desk) == 180
    code, text = desk.refuse(identify, ask(*range(30)))
    assert (code, "ATELIER_SEARCH_QUOTA" in text) == ("quota_exceeded", True)
    assert used(desk) == 180
    answers = desk.do_all(identify, ask(*range(15)), ask(*range(15)), ask(*range(5)))
    assert [isinstance(answer, JobError) for answer in answers] == [False, True, False]
    assert used(desk) == 200
    assert desk.refuse(identify, ask(0))[0] == "quota_exceeded"
    fresh = Desk(desk.worker)
    fill(fresh)
    fresh.do(identify, ask(0))


def test_every_search_leaves_a_line_without_names(each_desk: Desk):
    fill(each_desk)
    each_desk.do(identify, ask(0, 1))
    each_desk.do(identify, ask(0, investigate=True))
    stranger = make_vectors(1, seed=77, dimensions=D)
    each_desk.do(identify, ask(0, vectors=stranger))
    with each_desk.worker.sessions.read() as session:
        lines = session.scalars(
            select(FaceAudit)
            .where(FaceAudit.tenant == each_desk.tenant)
            .order_by(FaceAudit.position)
        ).all()
    assert [(line.action, line.detail) for line in lines[2:]] == [
        ("identify", {"probes": 2, "matches": 2}),
        ("investigate", {"probes": 1, "matches": 0}),
        ("identify", {"probes": 1, "matches": 0}),
    ]


def test_the_largest_or_every_face_of_a_picture_is_looked_for(desk: Desk, photo, photo_file):
    desk.create()
    for name, file in (("barack", "obama2.jpg"), ("eileen", "astronaut.png")):
        request = {"collection": "staff", "consent": {"purpose": "door", "text_sha256": "0" * 64}}
        picture = desk.add(photo_file(file))
        desk.do(enroll, EnrollRequest(subjects=[name], pictures=[picture], **request))
    together = put_side_by_side(photo("obama.jpg"), photo("astronaut.png"))
    picture = desk.add(to_png(together))
    one, every, nobody = desk.do_all(
        identify,
        IdentifyRequest(collection="staff", picture=picture),
        IdentifyRequest(collection="staff", picture=picture, all_faces=True),
        IdentifyRequest(collection="staff", picture=desk.add(photo_file("coffee.png"))),
    )
    assert isinstance(one, IdentifyResult)
    assert [probe.subject for probe in one.probes] == ["barack"]
    assert [probe.subject for probe in every.probes] == ["barack", "eileen"]
    assert every.probes[0].face.xyxy == one.probes[0].face.xyxy
    assert (nobody.code, "upright" in str(nobody)) == ("no_face", True)
