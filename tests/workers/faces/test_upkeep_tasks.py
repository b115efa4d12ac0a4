"""Jobs that keep collections in order: look, list, receipts, calibration, files, the audit log."""

import time

import numpy as np
import pytest
from sqlalchemy import delete as delete_rows

from shared.face_tables import Face, FaceReplica
from tests.workers.faces.desk import D, Desk
from tests.workers.faces.site import count, make_vectors, set_expiry
from workers.faces.deletion import settle_receipts
from workers.faces.gallery_contract import IdentifyRequest
from workers.faces.identify_tasks import identify
from workers.faces.upkeep_contract import (
    AuditRequest,
    CalibrateRequest,
    ExportRequest,
    ImportRequest,
    ListRequest,
    ReceiptRequest,
    StatsRequest,
    UpdateRequest,
)
from workers.faces.upkeep_tasks import (
    audit,
    calibrate,
    export,
    import_file,
    list_all,
    receipt,
    stats,
    update,
)

PEOPLE = make_vectors(200, dimensions=D)
NAMES = [f"p{place}" for place in range(200)]
NAMED = [
    (stats, StatsRequest),
    (list_all, ListRequest),
    (calibrate, CalibrateRequest),
    (export, ExportRequest),
]


def fill(desk: Desk) -> list[int]:
    desk.create(retention=1e7)
    return desk.enroll(*NAMES, vectors=PEOPLE)


def ask(desk: Desk, collection: str = "staff") -> list[object]:
    """What a search for some of them says, but for the collection's own name."""
    strangers = make_vectors(10, seed=4, dimensions=D)
    vectors = np.concatenate([PEOPLE[:20], strangers]).tolist()
    request = IdentifyRequest(
        collection=collection, embeddings=vectors, scores=True, threshold=0.2, max_candidates=20
    )
    return [
        [(found.subject, found.score, found.mean_score, found.faces) for found in probe.candidates]
        for probe in desk.do(identify, request).probes
    ]


@pytest.mark.parametrize(("method", "request_of"), NAMED)
def test_what_is_not_the_tenants_own_is_unknown(desk: Desk, method, request_of):
    fill(desk)
    stranger = Desk(desk.worker)
    for collection in ("staff", "none"):
        code, text = stranger.refuse(method, request_of(collection=collection))
        assert (code, collection in text) == ("unknown_collection", True)


def test_stats_tell_how_a_collection_is(each_desk: Desk):
    numbers = fill(each_desk)
    sessions = each_desk.worker.sessions
    set_expiry(sessions, each_desk.find(), time.time() + 86_400, *numbers[:3])
    set_expiry(sessions, each_desk.find(), time.time() + 40 * 86_400, *numbers[3:])
    request = IdentifyRequest(collection="staff", embeddings=PEOPLE[:5].tolist())
    each_desk.do(identify, request)
    seen = each_desk.do(stats, StatsRequest(collection="staff"))
    assert (seen.faces, seen.subjects, seen.seq, seen.lag) == (200, 200, 1, 0)
    assert (seen.consents_expiring, seen.searches_today) == (3, 5)
    assert seen.search_quota == each_desk.worker.settings.search_quota
    assert seen.index["faces"] == 200


def test_pages_of_a_list_are_the_whole_list(each_desk: Desk):
    numbers = fill(each_desk)
    seen, cursor = [], 0
    while cursor is not None:
        page = each_desk.do(list_all, ListRequest(collection="staff", cursor=cursor, limit=70))
        seen += page.faces
        cursor = page.next
    assert [(face.face_id, face.subject) for face in seen] == list(zip(numbers, NAMES, strict=True))
    assert {face.purpose for face in seen} == {"door"}
    mine = each_desk.do(list_all, ListRequest(collection="staff", subject="p7"))
    assert ([face.face_id for face in mine.faces], mine.next) == ([numbers[7]], None)
    beyond = each_desk.do(list_all, ListRequest(collection="staff", cursor=2**62))
    assert (beyond.faces, beyond.next) == ([], None)


def test_a_receipt_is_pending_until_every_copy_is_gone(each_desk: Desk):
    numbers = fill(each_desk)
    collection = each_desk.find()
    copy = FaceReplica(
        collection_id=collection.id, replica="m1", applied_seq=1, clean_seq=1, seen_at=0.0
    )
    each_desk.change(lambda session: session.add(copy))
    name = each_desk.delete(face_ids=numbers[:2]).receipt
    pending = each_desk.do(receipt, ReceiptRequest(receipt=name))
    assert (pending.state, pending.faces, pending.purged_at) == ("pending", 2, None)
    assert pending.waiting_for == ["snapshots m1"]
    settle_receipts(each_desk.worker.sessions)
    assert each_desk.do(receipt, ReceiptRequest(receipt=name)).state == "pending"
    gone = delete_rows(FaceReplica).where(FaceReplica.collection_id == collection.id)
    each_desk.change(lambda session: session.execute(gone))
    settle_receipts(each_desk.worker.sessions)
    purged = each_desk.do(receipt, ReceiptRequest(receipt=name))
    assert (purged.state, purged.waiting_for) == ("purged", [])
    assert purged.requested_at <= purged.purged_at


def test_another_tenants_receipt_is_unknown(desk: Desk):
    numbers = fill(desk)
    name = desk.delete(face_ids=numbers[:1]).receipt
    for asker, asked in ((Desk(desk.worker), name), (desk, "0" * 32)):
        code, text = asker.refuse(receipt, ReceiptRequest(receipt=asked))
        assert (code, "faces.delete" in text) == ("unknown_receipt", True)


def test_a_calibrated_collection_uses_what_was_measured(each_desk: Desk):
    fill(each_desk)
    found = each_desk.do(calibrate, CalibrateRequest(collection="staff", target_fpir=0.2))
    assert found.measured_fpir == pytest.approx(0.2, abs=0.01)
    assert (found.probes, found.faces, found.target_fpir, found.fnir) == (200, 200, 0.2, None)
    seen = each_desk.do(stats, StatsRequest(collection="staff"))
    assert (seen.calibrated, seen.target_fpir) == (True, 0.2)
    assert seen.threshold == pytest.approx(found.threshold, abs=1e-6)
    strangers = make_vectors(64, seed=12, dimensions=D).tolist()
    request = IdentifyRequest(collection="staff", embeddings=strangers)
    probes = each_desk.do(identify, request).probes
    named = sum(probe.decision == "match" for probe in probes)
    assert 0.02 * 64 < named < 0.45 * 64  # 3.6 standard errors around a fifth
    assert each_desk.progress[-1] == 1.0


def test_too_few_people_cannot_be_calibrated(desk: Desk):
    desk.create()
    desk.enroll(*NAMES[:9], vectors=PEOPLE[:9])
    code, text = desk.refuse(calibrate, CalibrateRequest(collection="staff"))
    assert (code, "At least 10 people" in text) == ("invalid_input", True)


@pytest.mark.parametrize("encrypted", [True, False])
def test_an_imported_collection_answers_as_the_exported_one(each_desk: Desk, encrypted: bool):
    numbers = fill(each_desk)
    each_desk.delete(face_ids=numbers[5:8])
    exported = each_desk.do(export, ExportRequest(collection="staff", encrypted=encrypted))
    assert (exported.faces, exported.seq) == (197, 2)
    result = each_desk.do(import_file, ImportRequest(collection="copy", file=exported.file))
    assert (result.faces, result.subjects, result.seq) == (197, 197, 1)
    assert ask(each_desk, "copy") == ask(each_desk, "staff")
    first, second = (
        each_desk.do(stats, StatsRequest(collection=name)).model_dump()
        for name in ("staff", "copy")
    )
    for name in ("description", "model", "retention", "target_fpir", "faces", "subjects"):
        assert first[name] == second[name]


def test_only_a_file_in_clear_can_move_to_another_tenant(desk: Desk):
    fill(desk)
    stranger = Desk(desk.worker, files=desk.files)
    sealed = desk.do(export, ExportRequest(collection="staff")).file
    code, text = stranger.refuse(import_file, ImportRequest(collection="copy", file=sealed))
    assert (code, "encrypted=false" in text) == ("invalid_input", True)
    clear = desk.do(export, ExportRequest(collection="staff", encrypted=False)).file
    stranger.do(import_file, ImportRequest(collection="copy", file=clear))
    assert ask(stranger, "copy") == ask(desk)


def test_what_is_exported_is_the_collection_of_one_moment(desk: Desk):
    """Nothing of an enrolment that was not committed when it began."""
    fill(desk)
    first = desk.do(export, ExportRequest(collection="staff", encrypted=False))
    desk.enroll("late", vectors=make_vectors(1, seed=6, dimensions=D))
    again = desk.do(import_file, ImportRequest(collection="copy", file=first.file))
    assert again.faces == 200
    assert desk.find().faces == 201


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04", b"ATELIER-FACES-1\n" + bytes(50)])
def test_a_file_that_is_no_collection_is_refused(desk: Desk, content: bytes):
    request = ImportRequest(collection="copy", file=desk.add(content))
    assert desk.refuse(import_file, request)[0] == "invalid_input"
    assert desk.do(audit, AuditRequest()).lines == []


def test_an_import_needs_a_free_name_a_backend_and_the_encoder(desk: Desk):
    fill(desk)
    file = desk.do(export, ExportRequest(collection="staff")).file
    for values, code in (
        ({"collection": "staff"}, "collection_exists"),
        ({"collection": "copy", "backend": "milvus"}, "invalid_input"),
        ({"collection": "copy", "file": "0" * 64}, "invalid_input"),
    ):
        request = ImportRequest.model_validate({"file": file, **values})
        assert desk.refuse(import_file, request)[0] == code
    assert count(desk.worker.sessions, Face, collection_id=desk.find().id) == 200


def test_the_log_tells_everything_that_was_done(each_desk: Desk):
    numbers = fill(each_desk)
    ask(each_desk)
    each_desk.do(calibrate, CalibrateRequest(collection="staff", target_fpir=0.2))
    file = each_desk.do(export, ExportRequest(collection="staff")).file
    each_desk.do(import_file, ImportRequest(collection="copy", file=file))
    each_desk.delete(face_ids=numbers[:1])
    each_desk.delete(whole_collection=True)
    first = each_desk.do(audit, AuditRequest(limit=3))
    rest = each_desk.do(audit, AuditRequest(after=first.next))
    lines = first.lines + rest.lines
    assert [line.action for line in lines] == [
        "create", "enroll", "identify", "calibrate", "export", "import", "delete",
        "delete collection",
    ]  # fmt: skip
    assert [line.position for line in lines] == [*range(1, 9)]
    assert {line.key_id for line in lines} == {7}
    assert (first.intact, first.broken_at, rest.next) == (True, None, None)
    assert "p7" not in first.model_dump_json() + rest.model_dump_json()


def test_a_collection_is_changed_and_the_rest_of_it_stays(each_desk: Desk):
    made = each_desk.create(description="old", retention=60.0)
    changed = each_desk.do(
        update, UpdateRequest(collection="staff", description="new", target_fpir=0.1)
    )
    assert (changed.description, changed.target_fpir, changed.retention) == ("new", 0.1, 60.0)
    assert changed.threshold < made.threshold
    forever = each_desk.do(update, UpdateRequest(collection="staff", retention=0))
    assert (forever.description, forever.retention) == ("new", None)
    code, text = each_desk.refuse(update, UpdateRequest(collection="staff"))
    assert (code, "Say what to change" in text) == ("invalid_input", True)
    stranger = Desk(each_desk.worker)
    asked = UpdateRequest(collection="staff", description="mine")
    assert stranger.refuse(update, asked)[0] == "unknown_collection"


def test_the_log_is_its_tenants_own(desk: Desk):
    fill(desk)
    stranger = Desk(desk.worker)
    seen = stranger.do(audit, AuditRequest())
    assert (seen.lines, seen.intact, seen.next) == ([], True, None)
    assert len(desk.do(audit, AuditRequest()).lines) == 2


def test_a_page_beyond_the_log_is_empty(desk: Desk):
    desk.create()
    seen = desk.do(audit, AuditRequest(after=2**62))
    assert (seen.lines, seen.intact) == ([], True)


def test_faces_of_a_deleted_subject_are_in_no_export(desk: Desk):
    fill(desk)
    desk.enroll("secret person")
    desk.delete(subject="secret person")
    file = desk.do(export, ExportRequest(collection="staff", encrypted=False)).file
    assert b"secret person" not in desk.files[file]
    assert b"p199" in desk.files[file]
