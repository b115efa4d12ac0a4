"""torchvision's FCN on ResNet-50, of weights drawn by chance, against torchvision itself."""

import hashlib
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
import torch
from torch import nn
from torchvision.models.segmentation import FCN_ResNet50_Weights, fcn_resnet50

from shared import weights as catalogue
from shared.weights import Catalog, DamagedWeights, MissingWeights, load_catalog
from workers.segment.classes import VOC_NAMES
from workers.segment.resnet_fcn import FILE, ResNetFcn, load_resnet_fcn

PUBLISHED = FCN_ResNet50_Weights.COCO_WITH_VOC_LABELS_V1


@pytest.fixture(scope="module")
def theirs() -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True).eval()


@pytest.fixture(scope="module")
def folder(theirs: nn.Module) -> Iterator[Path]:
    """The network as torchvision publishes it: a state dict, the head for training in it."""
    with TemporaryDirectory() as made:  # 141 MB, which pytest would keep
        torch.save(theirs.state_dict(), Path(made) / FILE)
        yield Path(made)


@pytest.fixture
def pinned(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same folder, and a catalogue that wants that very file."""
    path = folder / FILE
    with path.open("rb") as content:
        sha256 = hashlib.file_digest(content, "sha256").hexdigest()
    update = {"sha256": sha256, "bytes": path.stat().st_size}
    entry = load_catalog().find(FILE).model_copy(update=update)
    monkeypatch.setattr(catalogue, "load_catalog", lambda: Catalog(files=(entry,)))
    return folder


def test_scores_equal_torchvisions(theirs, pinned):
    ours = load_resnet_fcn(pinned)
    pixels = torch.rand(2, 3, 65, 98, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        scores = ours(pixels)
        expected = theirs(PUBLISHED.transforms(resize_size=None)(pixels))["out"]
    assert scores.shape == (2, 21, 65, 98)
    assert expected.std() > 0.01
    assert torch.allclose(scores, expected, rtol=1e-5, atol=1e-5)


def test_the_head_for_training_is_not_kept(pinned):
    ours = load_resnet_fcn(pinned)
    # torchvision counts 35,322,218 with those 2,365,205 of the other head
    assert sum(one.numel() for one in ours.parameters()) == 35_322_218 - 2_365_205
    assert not ours.training


def test_another_file_is_refused_before_it_is_opened(folder):
    with pytest.raises(DamagedWeights, match=f"atelier weights pull {FILE}"):
        load_resnet_fcn(folder)


def test_a_file_that_was_not_fetched_is_missing(tmp_path):
    with pytest.raises(MissingWeights, match=f"atelier weights pull {FILE}"):
        load_resnet_fcn(tmp_path)


def test_the_published_file_is_that_of_torchvision():
    entry = load_catalog().find(FILE)
    [source] = entry.sources
    assert str(source) == PUBLISHED.url
    assert PUBLISHED.url.endswith(f"-{entry.sha256[:8]}.pth")  # as torch.hub names files
    assert entry.bytes / 2**20 == pytest.approx(PUBLISHED.meta["_file_size"], abs=5e-4)
    assert entry.optional


def test_the_classes_are_those_of_pascal_voc():
    assert PUBLISHED.meta["categories"][1:] == VOC_NAMES.split()[1:]
    with torch.device("meta"):
        assert ResNetFcn().network.classifier[-1].out_channels == len(VOC_NAMES.split())
