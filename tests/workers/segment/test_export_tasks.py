"""Jobs that take a segmentation network out: as ONNX, and as a file that can be brought in."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from onnxruntime import InferenceSession

from shared.models import ModelName, delete_model, promote_model
from tests.workers.segment.desk import Desk, make_segmenter
from workers.runtime import trained
from workers.runtime.run import Cancelled
from workers.segment import networks
from workers.segment.export_tasks import export
from workers.segment.import_tasks import bring_in
from workers.segment.loaded import WORKER
from workers.segment.model_contract import ExportRequest, ImportRequest
from workers.segment.segmenter_file import load_segmenter


def test_a_network_of_ones_own_is_taken_out_as_onnx(sqlite_desk: Desk):
    name = sqlite_desk.register(make_segmenter())
    result = sqlite_desk.do(export, ExportRequest(model="mine", height=48))
    content = sqlite_desk.read(result.file)
    assert (result.model, result.format, result.bytes) == (name, "onnx", len(content))
    assert result.classes == ["background", "red", "blue"]
    assert result.inputs == {"pictures": ["batch", 3, 48, 64]}
    assert result.outputs == {"probabilities": ["batch", 3, 48, 64]}
    assert 0 <= result.difference < 0.001
    session = InferenceSession(content)
    told = session.get_modelmeta().custom_metadata_map
    assert (told["model"], json.loads(told["classes"])) == (name, result.classes)
    grey = np.full((2, 3, 48, 64), 115 / 255, np.float32)  # the background's colour
    [found] = session.run(None, {"pictures": grey})
    assert (found.argmax(axis=1) == 0).all()
    assert len(sqlite_desk.steps) == 3


def test_the_network_in_use_is_taken_out_if_none_is_named(sqlite_desk: Desk):
    result = sqlite_desk.do(export, ExportRequest(format="atelier"))
    assert result.model == "fcn-8s-camvid"


def test_a_file_of_atelier_is_the_network_as_it_was_trained(desk: Desk, tmp_path: Path):
    segmenter = make_segmenter()
    desk.register(segmenter)
    result = desk.do(export, ExportRequest(model="mine", format="atelier"))
    path = tmp_path / "exported.safetensors"
    path.write_bytes(desk.read(result.file))
    found = load_segmenter(path)
    ours, theirs = found.network.state_dict(), segmenter.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    assert (found.names, found.palette) == (segmenter.names, segmenter.palette)
    assert (found.resolution, found.metrics) == (segmenter.resolution, segmenter.metrics)
    assert (result.inputs, result.outputs, result.difference) == ({}, {}, None)


def test_what_was_taken_out_can_be_brought_in_by_another_tenant(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter())
    taken = sqlite_desk.do(export, ExportRequest(model="mine", format="atelier"))
    other = Desk(sqlite_desk.worker)
    file = other.add(sqlite_desk.read(taken.file))
    brought = other.do(bring_in, ImportRequest(file=file, name="theirs"))
    assert (brought.model, brought.classes) == ("theirs@1", taken.classes)
    again = other.do(export, ExportRequest(model="theirs", format="atelier"))
    assert other.read(again.file) == sqlite_desk.read(taken.file)


def test_the_network_that_comes_with_atelier_can_be_brought_in_again(sqlite_desk: Desk):
    asked = ExportRequest(model="fcn-8s-camvid", format="atelier")
    taken = sqlite_desk.do(export, asked)
    assert sqlite_desk.read(taken.file) == networks.CAMVID.read_bytes()
    brought = sqlite_desk.do(bring_in, ImportRequest(file=taken.file))
    assert brought.classes == taken.classes


@pytest.mark.parametrize("model", ["selfie", "fcn-resnet50"])
def test_networks_of_others_are_offered_as_onnx(model, sqlite_desk: Desk):
    refusal = sqlite_desk.refuse(export, ExportRequest(model=model, format="atelier"))
    assert refusal[0] == "invalid_input"
    assert "export it as onnx" in refusal[1]


def test_a_network_whose_weights_are_not_there_says_how_to_get_them(
    sqlite_desk: Desk, monkeypatch, tmp_path: Path
):
    monkeypatch.setattr(networks, "CAMVID", tmp_path / "nothing")
    for wanted in ("onnx", "atelier"):
        asked = ExportRequest(model="fcn-8s-camvid", format=wanted)
        code, why = sqlite_desk.refuse(export, asked)
        assert (code, "Install Atelier again" in why) == ("missing_weights", True)


def test_sizes_that_cannot_be_are_refused(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter())
    code, why = sqlite_desk.refuse(export, ExportRequest(model="selfie", height=128))
    assert (code, "256 x 256" in why) == ("invalid_input", True)
    asked = ExportRequest(model="mine", format="atelier", width=64)
    code, why = sqlite_desk.refuse(export, asked)
    assert (code, "are of onnx" in why) == ("invalid_input", True)
    assert sqlite_desk.steps == []


def test_more_numbers_than_memory_holds_are_refused(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter(resolution=8192))
    code, why = sqlite_desk.refuse(export, ExportRequest(model="mine"))
    assert (code, "Choose a height and a width" in why) == ("too_large", True)


def test_a_file_of_atelier_is_taken_out_without_opening_it(sqlite_desk: Desk, monkeypatch):
    name = sqlite_desk.register(make_segmenter())
    sqlite_desk.change(
        lambda session: promote_model(session, sqlite_desk.tenant, WORKER, ModelName.parse(name))
    )
    monkeypatch.setattr(trained, "read_tensors", None)  # which opening needs
    result = sqlite_desk.do(export, ExportRequest(format="atelier"))
    assert (result.model, result.classes) == (name, ["background", "red", "blue"])
    with pytest.raises(TypeError):
        sqlite_desk.do(export, ExportRequest(format="onnx"))


@pytest.mark.parametrize("wanted", ["onnx", "atelier"])
def test_a_network_of_another_tenant_or_deleted_is_unknown(wanted, desk: Desk):
    name = desk.register(make_segmenter())
    asked = ExportRequest(model=name, format=wanted)
    assert Desk(desk.worker).refuse(export, asked)[0] == "unknown_model"
    desk.worker.segmenters.open(desk.tenant, name)  # so it is kept in memory
    desk.change(lambda session: delete_model(session, desk.tenant, WORKER, ModelName.parse(name)))
    assert desk.refuse(export, asked)[0] == "unknown_model"


def test_a_job_that_was_cancelled_writes_no_file(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter())
    sqlite_desk.stops = lambda: True
    with pytest.raises(Cancelled):
        sqlite_desk.do(export, ExportRequest(model="mine"))
    assert sqlite_desk.progress == [0.0]
