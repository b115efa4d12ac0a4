"""The port of dlib's face network and of its file, against dlib itself and by definition."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from shared.weights import locate
from workers.faces.dlib_dat import DlibFile, load_dlib
from workers.faces.dlib_resnet import SIDE, Block, DlibResNet

# What dlib 20.0.1's face_recognition_model_v1 says of `pattern()`.
GOLDEN = [
    *(-0.09370448440313339, 0.1310247927904129, 0.09261692315340042),
    *(-0.02020309492945671, -0.09014972299337387, -0.05359841138124466),
]
GOLDEN_LENGTH = 1.3111327606212184
EMPTY = [2, 0, 0, 0, 0]  # a tensor of no size


@pytest.fixture(scope="module")
def content(weights) -> bytes:
    return locate("dlib-face-resnet.dat", weights).read_bytes()


@pytest.fixture(scope="module")
def network(weights) -> DlibResNet:
    loaded = DlibResNet()
    load_dlib(loaded, locate("dlib-face-resnet.dat", weights))
    return loaded.eval()


def pattern() -> torch.Tensor:
    """(1, 3, 150, 150), made without a random generator."""
    y, x, channel = np.mgrid[0:SIDE, 0:SIDE, 0:3]
    pixels = ((x * y // 7 + x * 3 + y * 5 * channel) % 256).astype(np.uint8)
    return torch.from_numpy(pixels).permute(2, 0, 1)[None].float()


def write(*items: int | bytes) -> bytes:
    """As dlib/serialize.h: a count of bytes with the sign, then the bytes; names as they are."""
    parts = []
    for item in items:
        if isinstance(item, bytes):
            parts.append(item)
            continue
        size = (abs(item).bit_length() + 7) // 8 or 1
        parts.append(bytes([size | (0x80 if item < 0 else 0)]) + abs(item).to_bytes(size, "little"))
    return b"".join(parts)


def write_file(*layers: bytes) -> bytes:
    start = write(1, 13, b"loss_metric_2", 3, -26, 3, -24, 2, 1, 2, 3)
    return start + write(21, b"input_rgb_image_sized", 1, -2, 3, -4, 5, -6, 150, 150, *layers)


def test_the_network_says_what_dlib_says(network):
    with torch.inference_mode():
        point = network(pattern())[0]
    assert point[:6].tolist() == pytest.approx(GOLDEN, abs=2e-6)
    assert point.norm().item() == pytest.approx(GOLDEN_LENGTH, abs=1e-5)


def test_the_network_has_the_published_size():
    network = DlibResNet()
    assert len(network.convolutions()) == 29
    assert sum(tensor.numel() for tensor in network.parameters()) == 5_607_488


def test_a_batch_gives_what_its_faces_give_alone(network):
    faces = torch.cat([pattern(), pattern().flip(3), 255 - pattern()])
    with torch.inference_mode():
        together = network(faces)
        alone = torch.cat([network(face[None]) for face in faces])
    assert torch.allclose(together, alone, atol=1e-5)


def test_a_block_that_halves_adds_zeros_where_dlib_does():
    block = Block(2, 4, halve=True)
    x = torch.rand(1, 2, 8, 8)
    with torch.inference_mode():
        pooled, convolved = F.avg_pool2d(x, 2), block.second(F.relu(block.first(x)))
        y = block(x)
    assert convolved.shape == (1, 4, 3, 3)  # one row and column less than the pool
    assert torch.allclose(y[:, :2, 3, 3], pooled[..., 3, 3])  # only the pool
    assert torch.all(y[:, 2:, 3, :] == 0)  # neither
    assert torch.allclose(y[:, 2:, :3, :3], F.relu(convolved[:, 2:]))  # only the convolution


def test_every_number_of_a_layer_is_read_in_its_place():
    numbers = np.arange(5, dtype="<f4")
    layer = (5, b"con_4", 2, 5, 1, 1, 1, numbers.tobytes())
    rest = (*[7] * 25, b"110", *EMPTY, *EMPTY, *EMPTY, 1)
    fully = (4, b"fc_2", 128, 256, 2, 1, 3, 1, 1, numbers[:3].tobytes(), *[-300] * 19)
    content = write_file(write(*layer, *rest), write(*fully, b"110", *EMPTY, *EMPTY, *EMPTY))
    found = [tensor.tolist() for tensor in DlibFile(content).read()]
    assert found == [[0, 1, 2, 3, 4], [0, 1, 2]]


def test_scales_and_shifts_are_folded_into_the_convolution(content, network):
    filters, affine = list(DlibFile(content).read())[:2]
    scale, shift = affine.chunk(2)
    x = (pattern() - network.mean) / 256
    plain = F.conv2d(x, filters[:-32].view(32, 3, 7, 7), filters[-32:], stride=2)
    expected = plain * scale.view(-1, 1, 1) + shift.view(-1, 1, 1)
    with torch.inference_mode():
        assert torch.allclose(network.stem(x), expected, atol=1e-4)


@pytest.mark.parametrize("kept", [0, 1, 10, 300, 20_000, 22_000_000, 22_466_065])
def test_a_file_that_ends_early_is_refused(kept, content, tmp_path):
    (tmp_path / "net.dat").write_bytes(content[:kept])
    with pytest.raises(ValueError, match=r"ends too early|another network"):
        load_dlib(DlibResNet(), tmp_path / "net.dat")


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (write_file(write(4, b"bn_2")), "no layer .* is called b'bn_2'"),
        (write_file(), "another network"),
        (b"PK\x03\x04 a zip archive, not a network at all", "ends too early|no version"),
        (write(1, 1, b"x", 0, 0, 0, 0, 21, b"input_grey_image_size"), "does not begin"),
        (write_file(write(5, b"con_4", 3, 1, 1, 1, 1)), "no version 3 of a tensor"),
    ],
)
def test_a_file_of_something_else_is_refused(content, text, tmp_path):
    (tmp_path / "net.dat").write_bytes(content)
    with pytest.raises(ValueError, match=text):
        load_dlib(DlibResNet(), tmp_path / "net.dat")
