"""Scores at the picture's own size: what an interpolation of all at once gives, band by band."""

from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional as F

from workers.segment.restore import restore_bands
from workers.segment.tiles import Tiling, score_bands

TILING = Tiling(side=128, overlap=64, margin=16)
Size = tuple[int, int]

sides = st.integers(1, 40)


def cut(scores: Tensor, step: int) -> Iterator[tuple[slice, slice, Tensor]]:
    """Bands along the shorter side, whose memory is used again for the next."""
    height, width = scores.shape[1:]
    if width > height:
        for rows, columns, band in cut(scores.mT, step):
            yield columns, rows, band.mT
        return
    for start in range(0, height, step):
        rows = slice(start, min(start + step, height))
        band = scores[:, rows].clone()
        yield rows, slice(0, width), band
        band.fill_(torch.nan)


def copy(band: tuple[slice, slice, Tensor]) -> tuple[slice, slice, Tensor]:
    """Whose memory is its own."""
    return band[0], band[1], band[2].clone()


def join(bands: Iterator[tuple[slice, slice, Tensor]], classes: int, size: Size) -> Tensor:
    """The scores (C, H, W) of all bands; each pixel comes once."""
    whole = torch.full((classes, *size), torch.nan)
    for rows, columns, band in bands:
        assert whole[:, rows, columns].isnan().all()
        whole[:, rows, columns] = band
    assert not whole.isnan().any()
    return whole


@given(st.tuples(sides, sides), st.tuples(sides, sides), st.integers(1, 40), st.integers(1, 900))
def test_bands_are_what_the_whole_is(seen, size, step, most):
    scores = torch.rand(3, *seen, generator=torch.Generator().manual_seed(0))
    found = join(restore_bands(cut(scores, step), seen, size, most), 3, size)
    wanted = F.interpolate(scores[None], size, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(found, wanted, rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    ("seen", "size"),
    [
        ((300, 200), (690, 460)),
        ((200, 300), (460, 690)),
        ((300, 200), (240, 160)),
        ((1, 1), (1, 1)),
        ((1, 1), (7, 5)),
        ((1, 500), (1, 4000)),
        ((500, 1), (4000, 1)),
        ((200, 200), (201, 199)),
        ((199, 200), (300, 299)),
    ],
)
def test_so_they_are_of_tiles(seen, size):
    pixels = torch.rand(3, *seen, generator=torch.Generator().manual_seed(0))
    bands = score_bands(lambda tile: tile, pixels, TILING)
    found = join(restore_bands(bands, seen, size), 3, size)
    wanted = F.interpolate(pixels[None], size, mode="bilinear", align_corners=False)[0]
    assert torch.allclose(found, wanted, rtol=0, atol=5e-5)  # places are numbers of 32 bits there


@given(st.tuples(sides, sides), st.integers(1, 40), st.integers(1, 900))
def test_bands_of_the_size_that_is_wanted_are_cut_alone(size, step, most):
    scores = torch.rand(3, *size, generator=torch.Generator().manual_seed(0))
    given = list(restore_bands(map(copy, cut(scores, step)), size, size, most))
    assert torch.equal(join(iter(given), 3, size), scores)
    assert max(band.numel() for *_, band in given) <= max(most, 3 * min(size))


@pytest.mark.parametrize("seen", [(250, 160), (160, 250)])
def test_bands_are_small_however_many_classes_there_are(seen):
    """Of 40 megapixels and 256 classes, no band has more than 64 MiB."""
    size = (seen[0] * 32, seen[1] * 32)  # 40 megapixels
    bands = restore_bands(cut(torch.zeros(256, *seen), 128), seen, size)
    rows, columns, band = next(bands)
    assert 2**23 < band.numel() <= 2**24
    assert band.shape == (256, rows.stop - rows.start, columns.stop - columns.start)
    following = next(bands)
    assert (rows.stop, columns.start) == (following[0].start, 0) or (
        (rows.start, columns.stop) == (0, following[1].start)
    )
