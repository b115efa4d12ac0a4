"""MTCNN's networks: golden values of facenet-pytorch 2.6.0, and windows by their definition."""

import pytest
import torch
from torch import Tensor, nn

from shared.weights import MissingWeights
from workers.faces.mtcnn import OutputNet, ProposalNet, RefineNet, flatten_by_column, load


def wave(height: int, width: int) -> Tensor:
    """A picture (1, 3, H, W) that is the same everywhere."""
    return torch.sin(torch.arange(3 * height * width) * 0.37).view(1, 3, height, width)


@pytest.fixture(scope="session")
def proposer(weights) -> ProposalNet:
    return load(ProposalNet(), "mtcnn-pnet.pt", weights)


@pytest.fixture(scope="session")
def refiner(weights) -> RefineNet:
    return load(RefineNet(), "mtcnn-rnet.pt", weights)


@pytest.fixture(scope="session")
def outputter(weights) -> OutputNet:
    return load(OutputNet(), "mtcnn-onet.pt", weights)


def near(golden: list[object]) -> object:
    return pytest.approx(torch.tensor(golden).numpy(), abs=2e-5)


@torch.inference_mode()
def test_the_proposal_network_gives_the_golden_values(proposer):
    scores, offsets = proposer(wave(12, 14))
    assert scores[0].numpy() == near([[0.02888, 0.00884]])
    left, top, right, bottom = offsets[0].numpy()
    assert left == near([[-0.00121, -0.03944]])
    assert top == near([[0.11226, 0.11005]])
    assert right == near([[0.01922, -0.01298]])
    assert bottom == near([[0.06878, 0.06343]])


@torch.inference_mode()
def test_the_refining_network_gives_the_golden_values(refiner):
    scores, offsets = refiner(wave(24, 24))
    assert scores.numpy() == near([0.00002])
    assert offsets.numpy() == near([[-0.12643, 0.11409, 0.24467, 0.66664]])


@torch.inference_mode()
def test_the_output_network_gives_the_golden_values(outputter):
    scores, offsets, landmarks = outputter(wave(48, 48))
    assert scores.numpy() == near([0.00327])
    assert offsets.numpy() == near([[-0.13973, -0.06318, 0.10095, 0.27158]])
    assert landmarks[0, :, 0].numpy() == near([0.23254, 0.68768, 0.36463, 0.21811, 0.60976])
    assert landmarks[0, :, 1].numpy() == near([0.29625, 0.2908, 0.46933, 0.84889, 0.87202])


@torch.inference_mode()
def test_every_cell_of_the_proposal_network_sees_one_window(proposer):
    picture = wave(31, 40)
    scores, offsets = proposer(picture)
    for row, column in [(0, 0), (3, 7), (scores.shape[1] - 2, scores.shape[2] - 2)]:
        window = picture[:, :, 2 * row : 2 * row + 12, 2 * column : 2 * column + 12]
        alone, alone_offsets = proposer(window)
        assert alone.shape == (1, 1, 1)
        assert torch.allclose(alone[0, 0, 0], scores[0, row, column], atol=1e-5)
        assert torch.allclose(alone_offsets[0, :, 0, 0], offsets[0, :, row, column], atol=1e-5)


@torch.inference_mode()
def test_a_batch_gives_what_its_windows_give_alone(refiner, outputter):
    for network, side in [(refiner, 24), (outputter, 48)]:
        windows = torch.cat([wave(side, side), -wave(side, side), wave(side, side) / 2])
        together = network(windows)
        for row in range(3):
            for one, all_rows in zip(network(windows[row : row + 1]), together, strict=True):
                assert torch.allclose(one[0], all_rows[row], atol=1e-5)


@pytest.mark.parametrize(
    ("network", "parameters"),
    [(ProposalNet(), 6632), (RefineNet(), 100_178), (OutputNet(), 389_040)],
)
def test_the_networks_have_the_published_sizes(network: nn.Module, parameters):
    assert sum(weights.numel() for weights in network.parameters()) == parameters


def test_a_map_is_flattened_column_by_column_with_the_channels_together():
    x = torch.arange(2 * 3 * 4).view(1, 2, 3, 4)  # two channels, three rows, four columns
    flat = flatten_by_column(x)[0]
    for channel, row, column in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (1, 2, 3), (0, 2, 1)]:
        assert flat[(column * 3 + row) * 2 + channel] == x[0, channel, row, column]


def test_a_machine_without_the_files_is_told_how_to_get_them(tmp_path):
    with pytest.raises(MissingWeights, match=r"atelier weights pull mtcnn-pnet\.pt"):
        load(ProposalNet(), "mtcnn-pnet.pt", tmp_path)
