"""Tiles: they give what the whole picture gives, and hold only a band of it."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn

from workers.segment.fcn import FCN
from workers.segment.fcn_config import ORIGINAL, FcnConfig
from workers.segment.tiles import Tiling, place_tiles, score_bands, weigh

SMALL = Tiling(side=128, overlap=64, margin=16)


def join(score, pixels: Tensor, tiling: Tiling) -> Tensor:
    """The scores (C, H, W) of all bands; each pixel comes once."""
    whole = torch.empty(0)
    for rows, columns, scores in score_bands(score, pixels, tiling):
        if not len(whole):
            whole = torch.full((len(scores), *pixels.shape[1:]), torch.nan)
        assert whole[:, rows, columns].isnan().all()
        whole[:, rows, columns] = scores
    assert not whole.isnan().any()
    return whole


@pytest.mark.parametrize("size", [(300, 200), (200, 300), (128, 128), (129, 500), (40, 10)])
def test_tiles_equal_the_whole_where_the_network_reaches_no_further_than_the_margin(size):
    torch.manual_seed(0)
    network = nn.Sequential(*[nn.Conv2d(3, 3, 5, padding=2) for _ in range(8)])  # reaches 16
    pixels = torch.randn(3, *size)
    with torch.inference_mode():
        assert torch.allclose(
            join(network, pixels, SMALL), network(pixels[None])[0], rtol=0, atol=1e-5
        )


@pytest.mark.parametrize("padding", [0, 1, ORIGINAL])
@torch.inference_mode()
def test_so_they_do_for_the_thin_network(padding):
    torch.manual_seed(0)
    network = FCN(FcnConfig(4, "thin", fc6_padding=padding)).eval()
    for layer in [network.score, *network.skips.values()]:
        nn.init.normal_(layer.weight)
    pixels = torch.randn(3, 800, 96)
    whole = network(pixels[None])[0]
    tiling = Tiling(side=704, overlap=352, margin=network.config.reach)
    assert torch.allclose(join(network, pixels, tiling), whole, rtol=0, atol=1e-4)


@torch.inference_mode()
def test_the_reach_is_as_far_as_scores_change():
    """With weights that only add, a pixel is felt wherever it can be."""
    network = FCN(FcnConfig(1, "thin", fc6_padding=1, stride=32)).eval()
    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.constant_(layer.weight, 1 / layer.in_channels)
    pixels = torch.zeros(1, 3, 32, 1000)
    pixels[..., 512] = 1
    felt = torch.nonzero(network(pixels)[0, 0, 16])
    reach = network.config.reach
    assert reach - 32 <= 512 - felt.min() <= reach
    assert reach - 32 <= felt.max() - 512 <= reach


def test_where_tiles_overlap_they_are_averaged_smoothly():
    """Tiles that disagree: what each says fades within the overlap."""
    count = iter(range(10))
    pixels = torch.zeros(3, 192, 32)
    scores = join(lambda tile: torch.full_like(tile[:, :1], next(count)), pixels, SMALL)[0, :, 0]
    assert scores[: 64 + 16].unique().tolist() == [0]
    assert scores[128 - 16 :].unique().tolist() == [1]
    assert (scores.diff() >= 0).all()
    assert scores.diff().max() < 0.05


@given(st.integers(1, 3000))
def test_tiles_cover_a_side_and_count_one_together(length):
    spans = place_tiles(length, SMALL)
    weights = torch.zeros(length)
    for span in spans:
        assert span.start % 32 == 0
        assert span.stop - span.start <= SMALL.side
        weights[span] += weigh(span, length, SMALL)
    assert torch.allclose(weights, torch.ones(length))
    assert spans[-1].stop == length


@pytest.mark.parametrize("size", [(64, 5000), (5000, 64)])
def test_scores_are_held_of_a_band_alone(size):
    held = [
        scores.numel() for _, _, scores in score_bands(lambda t: t, torch.rand(3, *size), SMALL)
    ]
    assert max(held) <= 3 * 128 * 64
    assert sum(held) == 3 * 64 * 5000


def test_a_picture_within_a_tile_is_seen_at_once():
    seen = []
    join(lambda tile: seen.append(tile.shape) or tile, torch.rand(3, 128, 100), SMALL)
    assert seen == [(1, 3, 128, 100)]


@pytest.mark.parametrize(
    "change",
    [{"side": 100}, {"overlap": 40}, {"margin": 32}, {"overlap": 96}, {"margin": -1}],
)
def test_tiles_that_cannot_be_are_refused(change):
    with pytest.raises(ValueError, match="ust"):
        replace(SMALL, **change)
