"""Answers the jobs that take a segmentation network out, as a file for other programs."""

from collections.abc import Sequence

from shared.models import ModelName
from workers.runtime.answers import answer_each
from workers.runtime.onnx_export import make_file
from workers.runtime.run import InvalidInput, JobError, Run
from workers.segment import networks
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.loaded import SegmentWorker
from workers.segment.model_contract import ExportRequest, ExportResult
from workers.segment.onnx_file import check_onnx, choose_size, write_onnx
from workers.segment.served import Served


def export(
    worker: SegmentWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: SegmentWorker, run: Run[ExportRequest]) -> ExportResult:
    segmenters, request = worker.segmenters, run.request
    if request.format == "onnx":
        return _write_onnx(run, segmenters.open(run.tenant, request.model))
    if (request.height, request.width) != (None, None):
        raise InvalidInput("height and width are of onnx: a file of Atelier is for all sizes.")
    asked = request.model
    name = segmenters.choice.find_in_use(run.tenant) if asked is None else asked
    if name in segmenters.published:
        check_own(name)
        served = segmenters.published[name]
        return _save(run, name, networks.CAMVID.read_bytes(), served.labels)
    # One of the tenant's own: the file as it was registered, with its metrics.
    row, content = worker.models.read_file(run.tenant, name)
    return _save(run, str(ModelName(row.name, row.version)), content, row.origin["classes"])


def check_own(name: str) -> None:
    """Raises InvalidInput for one that comes with Atelier and is not of its own making."""
    if name != DEFAULT_MODEL:
        raise InvalidInput(
            f"Files of Atelier are for networks that it trains, and {name} comes with it: export "
            "it as onnx."
        )


def _write_onnx(run: Run[ExportRequest], served: Served) -> ExportResult:
    size = choose_size(served, run.request.height, run.request.width)
    content, checked = make_file(
        run,
        lambda path: write_onnx(served, size, path),
        lambda path: check_onnx(served, size, path, run.raise_if_cancelled),
    )
    return _save(run, served.name, content, served.labels).model_copy(update=vars(checked))


def _save(
    run: Run[ExportRequest], name: str, content: bytes, classes: Sequence[str]
) -> ExportResult:
    return ExportResult(
        model=name,
        format=run.request.format,
        file=run.save(content),
        bytes=len(content),
        classes=list(classes),
        inputs={},
        outputs={},
    )
