"""Jobs that take a one-pass network out: as ONNX, and as a file that can be brought in."""

from pathlib import Path

import pytest
from onnxruntime import InferenceSession

from shared.models import ModelName, delete_model, promote_model
from tests.workers.style.desk import Desk
from tests.workers.style.painters import make_painter, register
from workers.runtime import trained
from workers.style import served
from workers.style.export_tasks import export
from workers.style.fields import DEFAULT_MODEL
from workers.style.import_tasks import bring_in
from workers.style.loaded import WORKER
from workers.style.model_contract import ExportRequest, ImportRequest


def test_a_network_of_ones_own_is_taken_out_as_onnx(sqlite_desk: Desk):
    name = register(sqlite_desk, make_painter())
    result = sqlite_desk.do(export, ExportRequest(model="mine"))
    content = sqlite_desk.read(result.file)
    assert (result.model, result.format, result.bytes) == (name, "onnx", len(content))
    assert result.inputs == {"pictures": ["batch", 3, "height", "width"]}
    assert result.outputs == {"painted": ["batch", 3, "height", "width"]}
    assert 0 <= result.difference < 0.001
    told = InferenceSession(content).get_modelmeta().custom_metadata_map
    assert told["model"] == name
    assert [step["step"] for step in sqlite_desk.steps] == [
        "tracing", "checking in onnxruntime", "saving",
    ]  # fmt: skip


def test_what_was_taken_out_can_be_brought_in_by_another_tenant(desk: Desk):
    register(desk, make_painter(width=6))
    taken = desk.do(export, ExportRequest(model="mine", format="atelier"))
    assert (taken.inputs, taken.outputs, taken.difference) == ({}, {}, None)
    other = Desk(desk.worker)
    file = other.add(desk.read(taken.file))
    brought = other.do(bring_in, ImportRequest(file=file, name="theirs"))
    assert (brought.model, brought.width, brought.blocks) == ("theirs@1", 6, 1)
    again = other.do(export, ExportRequest(model="theirs", format="atelier"))
    assert other.read(again.file) == desk.read(taken.file)


def test_the_one_that_comes_with_atelier_is_taken_out_if_none_is_named(
    sqlite_desk: Desk, default_file: Path
):
    taken = sqlite_desk.do(export, ExportRequest(format="atelier"))
    assert taken.model == DEFAULT_MODEL
    assert sqlite_desk.read(taken.file) == default_file.read_bytes()
    assert sqlite_desk.do(bring_in, ImportRequest(file=taken.file)).width == 4


def test_a_network_whose_file_is_not_there_says_how_to_get_it(
    sqlite_desk: Desk, monkeypatch, tmp_path: Path
):
    monkeypatch.setattr(served, "FOLDER", tmp_path)
    for wanted in ("onnx", "atelier"):
        code, why = sqlite_desk.refuse(export, ExportRequest(model=DEFAULT_MODEL, format=wanted))
        assert (code, "Install Atelier again" in why) == ("missing_weights", True)


def test_a_file_of_atelier_is_taken_out_without_opening_it(sqlite_desk: Desk, monkeypatch):
    name = register(sqlite_desk, make_painter())
    sqlite_desk.change(
        lambda session: promote_model(session, sqlite_desk.tenant, WORKER, ModelName.parse(name))
    )
    monkeypatch.setattr(trained, "read_tensors", None)  # which opening needs
    assert sqlite_desk.do(export, ExportRequest(format="atelier")).model == name
    with pytest.raises(TypeError):
        sqlite_desk.do(export, ExportRequest(format="onnx"))


@pytest.mark.parametrize("wanted", ["onnx", "atelier"])
def test_a_network_of_another_tenant_or_deleted_is_unknown(wanted, desk: Desk):
    name = register(desk, make_painter())
    asked = ExportRequest(model=name, format=wanted)
    assert Desk(desk.worker).refuse(export, asked)[0] == "unknown_model"
    desk.worker.painters.open(desk.tenant, name)  # so it is kept in memory
    desk.change(lambda session: delete_model(session, desk.tenant, WORKER, ModelName.parse(name)))
    assert desk.refuse(export, asked)[0] == "unknown_model"
