"""A one-pass network as an ONNX file: what other programs paint with it, and what it tells."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnxruntime import InferenceSession

from tests.workers.style.desk import draw_scene
from tests.workers.style.painters import make_painter
from workers.runtime.onnx_export import Checked, NotEqual
from workers.runtime.run import Cancelled
from workers.style.onnx_file import check_onnx, write_onnx
from workers.style.pictures import to_tensor
from workers.style.served import Served, serve

CPU = torch.device("cpu")


@dataclass(frozen=True)
class Exported:
    path: Path
    before: dict[str, torch.Tensor]  # the weights of what was exported
    served: Served
    checked: Checked


def open_served() -> Served:
    return serve("mine@3", make_painter(), CPU)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Written once, which takes some seconds."""
    path, served = tmp_path_factory.mktemp("exported") / "one.onnx", open_served()
    before = {name: one.clone() for name, one in served.network.state_dict().items()}
    write_onnx(served, path)
    return Exported(path, before, served, check_onnx(served, path, lambda: None))


def test_the_file_paints_any_number_of_pictures_of_any_size(exported: Exported):
    assert exported.checked.inputs == {"pictures": ["batch", 3, "height", "width"]}
    assert exported.checked.outputs == {"painted": ["batch", 3, "height", "width"]}
    assert exported.checked.difference < 1e-4


@pytest.mark.parametrize("size", [(16, 16), (17, 130), (203, 98)])
def test_other_sizes_than_those_it_was_compared_at_are_painted_alike(size, exported: Exported):
    pictures = torch.cat([to_tensor(draw_scene(*size)), to_tensor(draw_scene(*size)).flip(3)])
    session = InferenceSession(exported.path)
    [found] = session.run(None, {"pictures": pictures.contiguous().numpy()})
    assert found.shape == (2, 3, size[1], size[0])
    assert np.abs(found - exported.served.paint(pictures).numpy()).max() < 1e-3


def test_the_file_tells_how_to_use_it(exported: Exported):
    told = {one.key: one.value for one in onnx.load(exported.path).metadata_props}
    assert told["model"] == "mine@3"
    assert "RGB divided by 255" in told["preprocessing"]


def test_the_file_tells_nothing_about_the_machine_it_was_written_on(exported: Exported):
    content = exported.path.read_bytes()
    for folder in (Path(__file__).parents[3], Path(torch.__file__).parent):
        assert str(folder).encode() not in content


def test_the_network_that_is_served_stays_as_it_is(exported: Exported):
    network = exported.served.network
    for name, tensor in network.state_dict().items():
        assert torch.equal(tensor, exported.before[name])
    assert network.get_parameter("encoder.3.weight").is_contiguous(
        memory_format=torch.channels_last
    )
    assert not network.training


@pytest.mark.parametrize(("change", "why"), [(1.0, "differ by up to"), (np.nan, "train it again")])
def test_a_file_that_paints_otherwise_is_refused(change, why, exported: Exported):
    other = open_served()
    other.network.get_parameter("head.bias").data[1] += change
    with pytest.raises(NotEqual, match=why):
        check_onnx(other, exported.path, lambda: None)


def test_the_comparison_can_be_stopped(exported: Exported):
    def stop() -> None:
        raise Cancelled

    with pytest.raises(Cancelled):
        check_onnx(exported.served, exported.path, stop)
