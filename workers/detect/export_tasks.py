"""Answers the jobs that take a detector out, as a file for other programs."""

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from shared.models import ModelName
from workers.detect.detector_file import Detector, save_detector
from workers.detect.loaded import DetectWorker
from workers.detect.model_contract import ExportRequest, ExportResult
from workers.detect.nanodet import NanoDet
from workers.detect.onnx_file import check_onnx, write_onnx
from workers.detect.served import Served
from workers.runtime.answers import answer_each
from workers.runtime.onnx_export import make_file
from workers.runtime.run import InvalidInput, JobError, Run


def export(
    worker: DetectWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: DetectWorker, run: Run[ExportRequest]) -> ExportResult:
    detectors, asked = worker.detectors, run.request.model
    if run.request.format == "onnx":
        return _write_onnx(run, detectors.open(run.tenant, asked))
    name = detectors.choice.find_in_use(run.tenant) if asked is None else asked
    if name in detectors.published:
        served = detectors.published[name]
        return _save(run, name, _pack(served), served.side, served.labels)
    # One of the tenant's own: the file as it was registered, with its metrics.
    row, content = worker.models.read_file(run.tenant, name)
    facts = row.origin
    full_name = str(ModelName(row.name, row.version))
    return _save(run, full_name, content, facts["side"], facts["classes"])


def _write_onnx(run: Run[ExportRequest], served: Served) -> ExportResult:
    content, checked = make_file(
        run, lambda path: write_onnx(served, path), lambda path: check_onnx(served, path)
    )
    saved = _save(run, served.name, content, served.side, served.labels)
    return saved.model_copy(update=vars(checked))


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


def _save(
    run: Run[ExportRequest], name: str, content: bytes, side: int, classes: Sequence[str]
) -> ExportResult:
    return ExportResult(
        model=name,
        format=run.request.format,
        file=run.save(content),
        bytes=len(content),
        side=side,
        classes=list(classes),
        inputs={},
        outputs={},
    )
