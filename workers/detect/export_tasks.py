"""Answers the jobs that take a detector out, as a file for other programs."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.models import UnknownModel as NoSuchModel
from shared.models import find_version, read_model
from workers.detect.detector_file import Detector, save_detector
from workers.detect.loaded import WORKER, DetectWorker
from workers.detect.model_contract import ExportRequest, ExportResult
from workers.detect.nanodet import NanoDet
from workers.detect.onnx_file import check_onnx, write_onnx
from workers.detect.served import Served
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.trained import UnknownModel


def export(
    worker: DetectWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: DetectWorker, run: Run[ExportRequest]) -> ExportResult:
    served = worker.detectors.open(run.tenant, run.request.model)
    if run.request.format == "onnx":
        return _write_onnx(run, served)
    if served.name in worker.detectors.published:
        return _save(run, served, _pack(served))
    return _save(run, served, _read(worker, run.tenant, served.name))


def _write_onnx(run: Run[ExportRequest], served: Served) -> ExportResult:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "detector.onnx"
        run.progress(0.0, "tracing")
        write_onnx(served, path)
        run.progress(0.5, "checking in onnxruntime")
        checked = check_onnx(served, path)
        run.progress(0.9, "saving")
        return _save(run, served, path.read_bytes()).model_copy(
            update={
                "inputs": checked.inputs,
                "outputs": checked.outputs,
                "box_difference": checked.box_difference,
                "score_difference": checked.score_difference,
            }
        )


def _pack(served: Served) -> bytes:
    """One that comes with Atelier, in the form of a trained one."""
    if isinstance(served.network, NanoDet):
        raise InvalidInput(
            f"Files of Atelier are for networks that it trains or imports, and {served.name} comes "
            "with it: export it as onnx."
        )
    detector = Detector(served.network, served.labels, served.bordered, served.suppression)
    with TemporaryDirectory() as folder:
        path = Path(folder) / "detector.safetensors"
        save_detector(detector, path)
        return path.read_bytes()


def _read(worker: DetectWorker, tenant: str, name: str) -> bytes:
    """One of the tenant's own: the file as it was registered, with its metrics."""
    try:
        with worker.sessions.read() as session:
            row = find_version(session, tenant, WORKER, name)
        return read_model(worker.blobs, row)
    except NoSuchModel as error:  # it was deleted since it was opened
        raise UnknownModel(str(error)) from error


def _save(run: Run[ExportRequest], served: Served, content: bytes) -> ExportResult:
    return ExportResult(
        model=served.name,
        format=run.request.format,
        file=run.save(content),
        bytes=len(content),
        side=served.side,
        classes=list(served.labels),
        inputs={},
        outputs={},
    )
