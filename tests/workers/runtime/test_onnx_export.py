"""Networks as ONNX files: what they take, and how a job writes one."""

from pathlib import Path

import numpy as np
import pytest
from onnxruntime import InferenceSession
from torch import Tensor, nn

from shared.contract import Message
from tests.workers.desk import Desk
from workers.runtime.onnx_export import make_file, make_pictures, write_onnx
from workers.runtime.run import Cancelled


class Invert(nn.Module):
    def forward(self, pictures: Tensor) -> Tensor:
        return 1 - pictures


@pytest.mark.parametrize("least", [None, 4], ids=["one size", "any size"])
def test_a_file_is_for_one_size_or_for_all_from_the_least_on(least: int | None, tmp_path: Path):
    path = tmp_path / "one.onnx"
    write_onnx(
        Invert().eval(), (8, 12), ["inverted"], {"model": "invert"}, path, least, least is not None
    )
    session = InferenceSession(path)
    [given], [answered] = session.get_inputs(), session.get_outputs()
    sides = [8, 12] if least is None else ["height", "width"]
    assert given.shape == answered.shape == ["batch", 3, *sides]
    assert session.get_modelmeta().custom_metadata_map["model"] == "invert"
    for count, *size in [(1, 8, 12), (3, 8, 12)] + [(2, 4, 30)] * (least is not None):
        pictures = np.random.default_rng(0).random((count, 3, *size), np.float32)
        [found] = session.run(None, {"pictures": pictures})
        np.testing.assert_allclose(found, 1 - pictures)


def test_pictures_to_compare_on_are_of_all_brightnesses():
    for pictures in make_pictures((20, 30)):
        assert pictures.shape[1:] == (3, 20, 30)
        assert 0 <= pictures.min() < 0.1 < 0.9 < pictures.max() <= 1


def write(path: Path) -> None:
    path.write_bytes(b"a network")


def test_a_job_gets_the_file_and_what_the_check_says_of_it():
    desk = Desk(worker=None)
    content, checked = make_file(desk.make(Message()), write, lambda path: path.read_bytes()[:1])
    assert (content, checked) == (b"a network", b"a")
    assert [step["step"] for step in desk.steps] == ["tracing", "checking in onnxruntime", "saving"]
    fractions = [step["fraction"] for step in desk.steps]
    assert fractions == sorted(fractions)


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_a_job_that_was_cancelled_makes_no_file(steps):
    desk, done = Desk(worker=None), list[str]()
    desk.stops = lambda: len(desk.steps) == steps
    with pytest.raises(Cancelled):
        make_file(
            desk.make(Message()), lambda _: done.append("write"), lambda _: done.append("check")
        )
    assert done == ["write", "check"][: steps - 1]
