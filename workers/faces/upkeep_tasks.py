"""Answers the jobs that keep collections in order: stats, receipts, calibration, files, audit."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy.orm import Session

from workers.faces.archive import read_archive
from workers.faces.audit import append_line, check_page, read_lines
from workers.faces.calibrate import calibrate as measure
from workers.faces.deletion import find_receipt, list_holders
from workers.faces.gallery import (
    change_collection,
    count_expiring,
    count_searches,
    count_subjects,
    find_collection,
    list_faces,
    plan_collection,
)
from workers.faces.gallery_contract import CollectionView
from workers.faces.loaded import FacesWorker, actor
from workers.faces.refusals import UnknownReceipt
from workers.faces.transfer import store_archive, write_archive
from workers.faces.upkeep_contract import (
    AuditLine,
    AuditRequest,
    AuditResult,
    CalibrateRequest,
    CalibrateResult,
    ExportRequest,
    ExportResult,
    ImportRequest,
    ImportResult,
    ListedFace,
    ListRequest,
    ListResult,
    ReceiptRequest,
    ReceiptResult,
    StatsRequest,
    StatsResult,
    UpdateRequest,
)
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run

SOON = 30 * 86_400.0  # seconds: faces that expire within are counted


def update(
    worker: FacesWorker, batch: Sequence[Run[UpdateRequest]]
) -> list[CollectionView | JobError]:
    return answer_each(batch, lambda run: _update(worker, run))


def _update(worker: FacesWorker, run: Run[UpdateRequest]) -> CollectionView:
    asked = run.request.model_dump(exclude={"collection"}, exclude_none=True)
    values: dict[str, Any] = {
        name: value or None if name == "retention" else value for name, value in asked.items()
    }
    key = worker.key(run.tenant)
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, run.request.collection)
        subjects = count_subjects(session, collection.id)
    if not values:
        raise InvalidInput("Say what to change: description, target_fpir or retention.")

    def store(session: Session) -> None:
        change_collection(session, collection, values)
        append_line(session, key, actor(run), "update", collection.name, values)

    run.effects.append(store)
    return worker.show(replace(collection, **values), subjects)


def stats(worker: FacesWorker, batch: Sequence[Run[StatsRequest]]) -> list[StatsResult | JobError]:
    return answer_each(batch, lambda run: _stats(worker, run))


def _stats(worker: FacesWorker, run: Run[StatsRequest]) -> StatsResult:
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, run.request.collection)
        subjects = count_subjects(session, collection.id)
        expiring = count_expiring(session, collection.id, SOON)
        searches = count_searches(session, run.tenant)
    index, lag = worker.indexes.describe(collection)
    return StatsResult(
        **worker.show(collection, subjects).model_dump(),
        index=index,
        lag=lag,
        consents_expiring=expiring,
        searches_today=searches,
        search_quota=worker.settings.search_quota,
    )


def list_all(worker: FacesWorker, batch: Sequence[Run[ListRequest]]) -> list[ListResult | JobError]:
    return answer_each(batch, lambda run: _list(worker, run))


def _list(worker: FacesWorker, run: Run[ListRequest]) -> ListResult:
    request = run.request
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, request.collection)
        rows = list_faces(
            session, collection.id, request.subject, request.cursor, request.limit + 1
        )
    page = rows[: request.limit]
    faces = [
        ListedFace(
            subject=row.name,
            face_id=row.number,
            quality=row.quality,
            purpose=row.purpose,
            enrolled_at=row.created_at,
            expires_at=row.expires_at,
        )
        for row in page
    ]
    return ListResult(faces=faces, next=page[-1].number if len(rows) > len(page) else None)


def receipt(
    worker: FacesWorker, batch: Sequence[Run[ReceiptRequest]]
) -> list[ReceiptResult | JobError]:
    def answer(run: Run[ReceiptRequest]) -> ReceiptResult:
        with worker.sessions.read() as session:
            purge = find_receipt(session, run.tenant, run.request.receipt)
            if purge is None:
                raise UnknownReceipt("There is no such receipt: `faces.delete` answers with one.")
            return ReceiptResult(
                state="pending" if purge.purged_at is None else "purged",
                faces=purge.faces,
                requested_at=purge.requested_at,
                purged_at=purge.purged_at,
                waiting_for=list_holders(session, purge) if purge.purged_at is None else [],
            )

    return answer_each(batch, answer)


def calibrate(
    worker: FacesWorker, batch: Sequence[Run[CalibrateRequest]]
) -> list[CalibrateResult | JobError]:
    return answer_each(batch, lambda run: _calibrate(worker, run))


def _calibrate(worker: FacesWorker, run: Run[CalibrateRequest]) -> CalibrateResult:
    key = worker.key(run.tenant)
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, run.request.collection)
    target = run.request.target_fpir or collection.target_fpir
    found = measure(
        worker.sessions,
        key,
        collection,
        worker.indexes.search,
        target,
        run.request.probes,
        lambda share, step: run.progress(share, step),
    )

    def store(session: Session) -> None:
        values = {
            "threshold": found.threshold,
            "target_fpir": target,
            "faces": found.faces,
            "enough": found.enough,
        }
        change_collection(session, collection, {"target_fpir": target, "calibration": values})
        append_line(session, key, actor(run), "calibrate", collection.name, values)

    run.effects.append(store)
    return found


def export(
    worker: FacesWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: FacesWorker, run: Run[ExportRequest]) -> ExportResult:
    key = worker.key(run.tenant)
    with worker.sessions.read() as session:
        collection = find_collection(session, run.tenant, run.request.collection)
        content = write_archive(
            session,
            key,
            collection,
            run.request.encrypted,
            lambda share: run.progress(share, "reading faces"),
        )
    file = run.save(content)

    def note(session: Session) -> None:
        detail = {"faces": collection.faces, "encrypted": run.request.encrypted, "file": file}
        append_line(session, key, actor(run), "export", collection.name, detail)

    run.effects.append(note)
    return ExportResult(file=file, faces=collection.faces, seq=collection.seq)


def import_file(
    worker: FacesWorker, batch: Sequence[Run[ImportRequest]]
) -> list[ImportResult | JobError]:
    return answer_each(batch, lambda run: _import(worker, run))


def _import(worker: FacesWorker, run: Run[ImportRequest]) -> ImportResult:
    request, key = run.request, worker.key(run.tenant)
    if request.backend == "milvus" and not worker.settings.milvus_uri:
        raise InvalidInput("No Milvus is configured here: set ATELIER_MILVUS_URI, or use `local`.")
    archive = read_archive(run.read(request.file), key)
    about = archive.about
    model = worker.encoders.choose(run.tenant, about.model)
    here = worker.encoders.has(run.tenant, model)
    if here and worker.encoders.open(run.tenant, model).dimensions != about.dimensions:
        raise InvalidInput(f"The file's embeddings are not of {model}.")
    collection = plan_collection(
        run.tenant,
        request.collection,
        description=about.description,
        model=model,
        dimensions=about.dimensions,
        backend=request.backend,
        retention=about.retention,
        target_fpir=about.target_fpir,
    )
    sealed = archive.seal(key, collection, lambda share: run.progress(share, "sealing faces"))
    detail = {"faces": len(sealed), "subjects": len(about.subjects)}

    def store(session: Session) -> dict[str, Any]:
        seq = store_archive(session, collection, archive, sealed, run.job_id)
        append_line(session, key, actor(run), "import", collection.name, detail)
        return {"seq": seq}

    run.effects.append(store)
    return ImportResult(collection=collection.name, **detail)


def audit(worker: FacesWorker, batch: Sequence[Run[AuditRequest]]) -> list[AuditResult | JobError]:
    return answer_each(batch, lambda run: _audit(worker, run))


def _audit(worker: FacesWorker, run: Run[AuditRequest]) -> AuditResult:
    after, limit = run.request.after, run.request.limit
    key = worker.key(run.tenant)
    with worker.sessions.read() as session:
        rows = read_lines(session, run.tenant, after, limit + 1)
        page = rows[:limit]
        broken_at = check_page(session, key, run.tenant, after, page)
        if broken_at is None and page and len(rows) == len(page):  # the last: is it the end?
            broken_at = check_page(session, key, run.tenant, page[-1].position, [])
        lines = [
            AuditLine(**{name: getattr(row, name) for name in AuditLine.model_fields})
            for row in page
        ]
    return AuditResult(
        lines=lines,
        next=lines[-1].position if len(rows) > limit else None,
        intact=broken_at is None,
        broken_at=broken_at,
    )
