"""Answers the jobs that take a one-pass network out, as a file for other programs."""

from collections.abc import Sequence

from shared.models import ModelName
from workers.runtime.answers import answer_each
from workers.runtime.onnx_export import make_file
from workers.runtime.run import JobError, Run
from workers.style.loaded import StyleWorker
from workers.style.model_contract import ExportRequest, ExportResult
from workers.style.onnx_file import check_onnx, write_onnx
from workers.style.served import Served, find_file


def export(
    worker: StyleWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: StyleWorker, run: Run[ExportRequest]) -> ExportResult:
    painters, asked = worker.painters, run.request.model
    if run.request.format == "onnx":
        return _write_onnx(run, painters.open(run.tenant, asked))
    name = painters.choice.find_in_use(run.tenant) if asked is None else asked
    if name in painters.published:
        return _save(run, painters.published[name].name, find_file(name).read_bytes())
    # One of the tenant's own: the file as it was registered, with its metrics.
    row, content = worker.models.read_file(run.tenant, name)
    return _save(run, str(ModelName(row.name, row.version)), content)


def _write_onnx(run: Run[ExportRequest], served: Served) -> ExportResult:
    content, checked = make_file(
        run,
        lambda path: write_onnx(served, path),
        lambda path: check_onnx(served, path, run.raise_if_cancelled),
    )
    return _save(run, served.name, content).model_copy(update=vars(checked))


def _save(run: Run[ExportRequest], name: str, content: bytes) -> ExportResult:
    return ExportResult(
        model=name,
        format=run.request.format,
        file=run.save(content),
        bytes=len(content),
        inputs={},
        outputs={},
    )
