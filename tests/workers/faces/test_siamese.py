"""The network, its files, and the encoder made of it."""

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file

from workers.faces.siamese import (
    Architecture,
    SiameseEncoder,
    SiameseNet,
    load_network,
    save_network,
    to_faces,
    to_unit,
)
from workers.runtime.tensors import read_tensors, write_tensors

SMALL = Architecture(side=32, channels=1, dimensions=24, width=8)
CPU = torch.device("cpu")


def make_chips(count: int, side: int = 32, seed: int = 0) -> list[np.ndarray]:
    chance = np.random.default_rng(seed)
    return list(chance.integers(0, 256, (count, side, side, 3), np.uint8))


def make_network(architecture: Architecture = SMALL) -> SiameseNet:
    torch.manual_seed(0)
    return SiameseNet(architecture).eval()


@pytest.fixture
def encoder(tmp_path) -> SiameseEncoder:
    save_network(make_network(), tmp_path / "network.safetensors")
    return SiameseEncoder(tmp_path / "network.safetensors", CPU)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("side", [16, 48, 64])
def test_a_face_becomes_a_point_of_unit_length(channels, side):
    network = make_network(Architecture(side, channels, dimensions=128, width=8))
    points = network(torch.rand(3, channels, side, side))
    assert points.shape == (3, 128)
    assert torch.allclose(points.norm(dim=1), torch.ones(3))


def test_both_sides_of_a_pair_pass_the_same_weights():
    network = make_network()
    left, right = torch.rand(2, 4, 1, 32, 32)
    assert torch.equal(network.compare(left, right), network.compare(right, left))
    assert torch.all(network.compare(left, left) == 0)
    cosines = (network(left) * network(right)).sum(dim=1)
    assert torch.allclose(network.compare(left, right), 2 - 2 * cosines, atol=1e-6)


def test_brightness_and_contrast_do_not_move_a_point():
    network = make_network()
    faces = torch.rand(4, 1, 32, 32)
    assert torch.allclose(network(faces), network(0.3 + 0.5 * faces), atol=1e-3)


def test_a_face_has_the_same_point_in_training_and_in_any_batch():
    network = make_network()
    faces = torch.rand(4, 1, 32, 32)
    assert torch.allclose(network.train()(faces)[:1], network.eval()(faces[:1]), atol=1e-6)


@pytest.mark.parametrize("wrong", [{"side": 50}, {"side": 8}, {"channels": 2}])
def test_an_impossible_architecture_is_refused(wrong):
    with pytest.raises(ValueError, match=r"must be a multiple|has 1 or 3"):
        Architecture(**wrong)


def test_grey_is_pillows_grey():
    (chip,) = make_chips(1)
    expected = np.asarray(Image.fromarray(chip).convert("L")).astype(int)
    grey = to_faces(chip[None], 1)[0, 0].numpy().astype(int)
    assert np.abs(grey - expected).max() <= 1
    assert np.array_equal(to_faces(chip[None], 3)[0].permute(1, 2, 0).numpy(), chip)


def test_a_saved_network_comes_back_with_its_shapes(tmp_path):
    network = make_network()
    save_network(network, tmp_path / "network.safetensors")
    loaded = load_network(tmp_path / "network.safetensors")
    faces = torch.rand(2, 1, 32, 32)
    assert loaded.architecture == SMALL
    assert torch.equal(loaded(faces), network(faces))


def test_other_files_are_no_networks(tmp_path):
    path = tmp_path / "network.safetensors"
    path.write_bytes(b"\x80\x04 a pickle, say")
    with pytest.raises(ValueError, match="damaged or no safetensors"):
        load_network(path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not written by Atelier"):
        load_network(path)
    write_tensors(path, {"x": torch.zeros(1)}, {"format": "another"})
    with pytest.raises(ValueError, match="no network of the format"):
        load_network(path)


def test_a_write_that_fails_leaves_the_old_file(tmp_path):
    path = tmp_path / "network.safetensors"
    write_tensors(path, {"x": torch.ones(2)}, {"step": 1})
    with pytest.raises(TypeError):
        write_tensors(path, {"x": torch.zeros(2)}, {"step": object()})
    tensors, about = read_tensors(path)
    assert about == {"step": 1}
    assert torch.equal(tensors["x"], torch.ones(2))
    assert list(tmp_path.iterdir()) == [path]


def test_the_encoder_gives_the_networks_points(encoder):
    chips = make_chips(300)  # more than one chunk
    points = encoder.encode(chips)
    assert points.shape == (300, 24)
    assert points.dtype == np.float32
    with torch.inference_mode():
        expected = make_network()(to_unit(to_faces(np.stack(chips[290:]), 1))).numpy()
    assert np.allclose(points[290:], expected, atol=1e-5)
    assert np.allclose(np.linalg.norm(points, axis=1), 1, atol=1e-5)


def test_no_faces_have_no_points(encoder):
    assert encoder.encode([]).shape == (0, 24)


@pytest.mark.parametrize("wrong", [np.zeros((16, 16, 3), np.uint8), np.zeros((32, 32, 3))])
def test_a_chip_of_another_kind_is_refused(encoder, wrong):
    with pytest.raises(ValueError, match="is not 32 pixels"):
        encoder.encode([wrong])


def test_the_encoder_says_what_it_needs_and_which_weights_it_has(encoder, tmp_path):
    assert (encoder.name, encoder.side, encoder.dimensions) == ("siamese", 32, 24)
    assert encoder.template.shape == (5, 2)
    assert 0 < encoder.template.min() < encoder.template.max() < encoder.side
    network = make_network()
    with torch.no_grad():
        network.head.bias += 1
    save_network(network, tmp_path / "other.safetensors")
    assert SiameseEncoder(tmp_path / "other.safetensors", CPU).version != encoder.version
