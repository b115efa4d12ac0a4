"""Jobs that take a detector out: as ONNX, and as a file that can be brought in again."""

from pathlib import Path

import pytest
import torch
from onnxruntime import InferenceSession

from shared.models import ModelName, delete_model, promote_model
from tests.workers.detect.desk import Desk, make_detector
from workers.detect.detector_file import Detector, load_detector
from workers.detect.export_tasks import export
from workers.detect.import_tasks import bring_in
from workers.detect.loaded import WORKER
from workers.detect.model_contract import ExportRequest, ImportRequest
from workers.runtime import trained
from workers.runtime.run import Cancelled


def assert_same_network(one: Detector, other: Detector) -> None:
    ours, theirs = one.network.state_dict(), other.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def load(desk: Desk, blob_id: str, folder: Path) -> Detector:
    path = folder / "exported.safetensors"
    path.write_bytes(desk.read(blob_id))
    return load_detector(path)


def test_a_detector_of_ones_own_is_taken_out_as_onnx(sqlite_desk: Desk):
    name = sqlite_desk.register(make_detector("cat", "dog"))
    result = sqlite_desk.do(export, ExportRequest(model="mine"))
    content = sqlite_desk.read(result.file)
    assert (result.model, result.format, result.bytes) == (name, "onnx", len(content))
    assert (result.classes, result.inputs) == (
        ["cat", "dog"],
        {"pictures": ["batch", 3, result.side, result.side]},
    )
    assert list(result.outputs) == ["boxes", "scores"]
    assert 0 <= result.box_difference < 0.05
    assert 0 <= result.score_difference < 0.001
    told = InferenceSession(content).get_modelmeta().custom_metadata_map
    assert told["model"] == name
    assert len(sqlite_desk.steps) == 3


def test_a_file_of_atelier_is_the_detector_as_it_was_trained(desk: Desk, tmp_path: Path):
    trained = make_detector("cat", "dog")
    desk.register(trained)
    result = desk.do(export, ExportRequest(model="mine", format="atelier"))
    found = load(desk, result.file, tmp_path)
    assert_same_network(found, trained)
    assert (found.names, found.suppression) == (trained.names, trained.suppression)
    assert found.metrics == trained.metrics
    assert (result.inputs, result.outputs, result.box_difference) == ({}, {}, None)


def test_what_was_taken_out_can_be_brought_in_by_another_tenant(sqlite_desk: Desk):
    sqlite_desk.register(make_detector("cat", "dog"))
    taken = sqlite_desk.do(export, ExportRequest(model="mine", format="atelier"))
    other = Desk(sqlite_desk.worker)
    file = other.add(sqlite_desk.read(taken.file))
    brought = other.do(bring_in, ImportRequest(file=file, name="theirs"))
    assert (brought.model, brought.classes, brought.side) == (
        "theirs@1",
        ["cat", "dog"],
        taken.side,
    )
    again = other.do(export, ExportRequest(model="theirs", format="atelier"))
    assert other.read(again.file) == sqlite_desk.read(taken.file)


def test_a_published_network_that_can_be_imported_can_be_taken_out(
    sqlite_desk: Desk, tmp_path: Path
):
    asked = ExportRequest(model="yolov3-tiny", format="atelier")
    found = load(sqlite_desk, sqlite_desk.do(export, asked).file, tmp_path)
    served = sqlite_desk.worker.detectors.published["yolov3-tiny"]
    assert_same_network(found, Detector(served.network, served.labels, served.bordered))
    assert (found.names, found.bordered) == (served.labels, True)
    assert found.suppression == served.suppression


def test_a_published_network_that_cannot_be_imported_is_offered_as_onnx(sqlite_desk: Desk):
    for model in ("nanodet-g", None):  # None: it is in use
        refusal = sqlite_desk.refuse(export, ExportRequest(model=model, format="atelier"))
        assert refusal[0] == "invalid_input"
        assert "nanodet-g comes with it: export it as onnx" in refusal[1]


def test_a_file_of_atelier_is_taken_out_without_opening_it(sqlite_desk: Desk, monkeypatch):
    name = sqlite_desk.register(make_detector("cat"))
    sqlite_desk.change(
        lambda session: promote_model(session, sqlite_desk.tenant, WORKER, ModelName.parse(name))
    )
    monkeypatch.setattr(trained, "read_tensors", None)  # which opening needs
    result = sqlite_desk.do(export, ExportRequest(format="atelier"))
    assert (result.model, result.side, result.classes) == (name, 64, ["cat"])
    with pytest.raises(TypeError):
        sqlite_desk.do(export, ExportRequest(format="onnx"))


@pytest.mark.parametrize("wanted", ["onnx", "atelier"])
def test_a_detector_of_another_tenant_or_deleted_is_unknown(wanted, desk: Desk):
    name = desk.register(make_detector("cat"))
    asked = ExportRequest(model=name, format=wanted)
    assert Desk(desk.worker).refuse(export, asked)[0] == "unknown_model"
    desk.worker.detectors.open(desk.tenant, name)  # so it is kept in memory
    desk.change(lambda session: delete_model(session, desk.tenant, WORKER, ModelName.parse(name)))
    assert desk.refuse(export, asked)[0] == "unknown_model"


def test_a_job_that_was_cancelled_writes_no_file(sqlite_desk: Desk):
    sqlite_desk.register(make_detector("cat"))
    sqlite_desk.stops = lambda: True
    with pytest.raises(Cancelled):
        sqlite_desk.do(export, ExportRequest(model="mine"))
    assert sqlite_desk.progress == [0.0]
