"""3 x 3 convolutions of frozen weights in a quarter of the multiplications.

Winograd's minimal filtering (Lavin and Gray, 2016): 4 x 4 pixels of the result come from 6 x 6
pixels, transformed, times the transformed filter. The transforms are built by Toom and Cook's
method on the points 0, +-sqrt(1/2), +-sqrt(2) and infinity. Where x is one of them, so is 1/x:
a filter turned round, which the gradient takes, has the same transform in another order.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from workers.style.stops import Stop

STEP, TILE = 4, 6  # pixels of a side that a tile gives, and that it takes
TILES = 128  # in a block, for each thread: what is made of them stays in the cache of a core

POINTS = np.sqrt([0, 0.5, 0.5, 2, 2]) * [1, 1, -1, 1, -1]  # and infinity, the last
INVERSES = [5, 3, 4, 1, 2, 0]  # the place of each one's inverse


class Winograd:
    """A convolution by filters (O, I, 3, 3) and a bias (O,), on a border of zeros.

    It is differentiable in the pixels alone. Errors are about 1e-6 of the largest number.
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        change = torch.from_numpy(_build_transforms()[0])
        filters = torch.einsum("ai,ocij,bj->abco", change, weight.detach().double(), change)
        self.filters = filters.flatten(0, 1).to(weight.dtype).contiguous()  # (36, I, O)
        self.bias = bias.detach()

    def convolve(self, pixels: Tensor, rectify: bool, watch: Stop) -> Tensor:
        """(N, I, H, W) -> (N, O, H, W), channels_last; `rectify`: and what a ReLU makes of it.

        `watch` is called before every block of tiles, in the backward pass too, and may raise.
        """
        found: Tensor = _Convolve.apply(pixels, self, rectify, watch)
        return found


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, pixels: Tensor, layer: Winograd, rectify: bool, watch: Stop) -> Tensor:
        found = _filter(pixels, layer.filters, watch, bias=layer.bias, rectify=rectify)
        ctx.layer, ctx.watch = layer, watch
        ctx.save_for_backward(found if rectify else None)
        return found

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None, None, None]:
        (rectified,) = ctx.saved_tensors
        filters = ctx.layer.filters.mT
        return _filter(gradient, filters, ctx.watch, rectified=rectified), None, None, None


def _filter(
    pixels: Tensor,
    filters: Tensor,
    watch: Stop,
    *,
    bias: Tensor | None = None,
    rectify: bool = False,
    rectified: Tensor | None = None,
) -> Tensor:
    """Convolve by transformed filters (36, I, O), or, without a bias, by those turned round.

    `rectified`: where this is not above 0, pixels count as 0.
    """
    count, _, height, width = pixels.shape
    seen = pixels.permute(0, 2, 3, 1)
    passed = None if rectified is None else rectified.permute(0, 2, 3, 1)
    made = pixels.new_empty(count, height, width, filters.shape[2])
    blocks = list(_list_blocks(count, height, width))
    room = _Room.make(blocks[0], count, filters, bias)
    for block in blocks:
        watch()
        frame = room.frame_for(block, count, seen.shape[3])
        block.cut(seen, passed, frame)
        block.paste(room.convolve(frame, block, filters), made, rectify)
    return made.permute(0, 3, 1, 2)


@dataclass(frozen=True)
class _Block:
    """Tiles side by side: rows of them, and columns, whose first pixel is at (top, left)."""

    top: int
    left: int
    rows: int
    columns: int

    @property
    def tiles(self) -> int:
        return self.rows * self.columns

    @property
    def size(self) -> tuple[int, int]:
        """Rows and columns of pixels that its tiles take."""
        return STEP * self.rows + 2, STEP * self.columns + 2

    def cut(self, seen: Tensor, passed: Tensor | None, frame: Tensor) -> None:
        """Fill the frame with what its tiles take of (N, H, W, C): zeros beyond the border."""
        rows, above, below = _clip(self.top - 1, frame.shape[1], seen.shape[1])
        columns, left, right = _clip(self.left - 1, frame.shape[2], seen.shape[2])
        for margin in (frame[:, :above], frame[:, below:], frame[:, :, :left], frame[:, :, right:]):
            margin.zero_()
        inside, part = frame[:, above:below, left:right], seen[:, rows, columns]
        if passed is None:
            inside.copy_(part)
        else:
            torch.ops.aten.threshold_backward(part, passed[:, rows, columns], 0, grad_input=inside)

    def paste(self, found: Tensor, made: Tensor, rectify: bool) -> None:
        """Write results, (4, 4, N, rows, columns, O) of places in tiles, to their pixels."""
        found = found.permute(2, 3, 0, 4, 1, 5)
        for rows, high in _split(self.top, self.rows, made.shape[1]):
            for columns, wide in _split(self.left, self.columns, made.shape[2]):
                source = found[:, rows, :high, columns, :wide]
                _, down, _, across = source.shape[:4]
                top, left = self.top + STEP * rows.start, self.left + STEP * columns.start
                target = made[:, top : top + down * high, left : left + across * wide]
                target = target.view(source.shape)
                if rectify:
                    torch.clamp_min(source, 0, out=target)
                else:
                    target.copy_(source)


def _clip(start: int, length: int, size: int) -> tuple[slice, int, int]:
    """Of a stretch that may reach beyond both ends: the part inside, and from where to where."""
    part = slice(max(start, 0), min(start + length, size))
    return part, part.start - start, part.stop - start


def _split(start: int, tiles: int, size: int) -> Iterator[tuple[slice, int]]:
    """Of tiles in a row, those whole in the picture and the last, which may not be: how wide."""
    whole = min(tiles, (size - start) // STEP)
    if whole:
        yield slice(0, whole), STEP
    if whole < tiles:
        yield slice(whole, tiles), (size - start) % STEP


def _list_blocks(count: int, height: int, width: int) -> Iterator[_Block]:
    """All tiles of `count` pictures, in blocks; none is larger than the first."""
    rows, columns = -(-height // STEP), -(-width // STEP)
    best = max(1, TILES * torch.get_num_threads() // count)
    across = -(-columns // max(1, round(columns / best)))  # of parts about as large as each other
    along = -(-rows // max(1, round(rows * across / best)))
    for row in range(0, rows, along):
        for column in range(0, columns, across):
            size = min(along, rows - row), min(across, columns - column)
            yield _Block(STEP * row, STEP * column, *size)


@dataclass(frozen=True)
class _Room:
    """Memory for the steps of one block, which the next block takes again."""

    frame: Tensor
    into: Tensor  # (36, 36): tiles of pixels -> to be multiplied
    out_of: Tensor  # (16, 36), or (16, 37) with a bias: products -> tiles of results
    cut: Tensor  # 36 times tiles times I
    changed: Tensor
    products: Tensor  # 36 or 37 times tiles times O
    results: Tensor  # 16 times tiles times O
    bias: Tensor | None

    @classmethod
    def make(cls, block: _Block, count: int, filters: Tensor, bias: Tensor | None) -> "_Room":
        tiles = count * block.tiles
        into, out_of = _make_matrices(bias is None, filters.dtype)
        inputs, outputs = filters.shape[1:]
        cut, changed, products, results = (
            filters.new_empty(tiles * size)
            for size in (
                TILE**2 * inputs,
                TILE**2 * inputs,
                out_of.shape[1] * outputs,
                STEP**2 * outputs,
            )
        )
        frame = filters.new_empty(count * prod(block.size) * inputs)
        return cls(frame, into, out_of, cut, changed, products, results, bias)

    def frame_for(self, block: _Block, count: int, channels: int) -> Tensor:
        shape = count, *block.size, channels
        return self.frame[: prod(shape)].view(shape)

    def convolve(self, pixels: Tensor, block: _Block, filters: Tensor) -> Tensor:
        """Pixels that a block cut -> results (4, 4, N, rows, columns, O), until the next call."""
        count, inputs, outputs = len(pixels), *filters.shape[1:]
        shape = count, block.rows, block.columns, inputs
        picture, row, column, _ = pixels.stride()
        tiled = pixels.as_strided(
            (TILE, TILE, *shape), (row, column, picture, STEP * row, STEP * column, 1)
        )
        tiles = count * block.tiles
        cut = self.cut[: TILE**2 * tiles * inputs].view(TILE**2, -1)
        cut.view(TILE, TILE, *shape).copy_(tiled)
        changed = torch.mm(self.into, cut, out=self.changed[: cut.numel()].view_as(cut))
        products = self.products[: self.out_of.shape[1] * tiles * outputs].view(-1, tiles, outputs)
        torch.bmm(changed.view(-1, tiles, inputs), filters, out=products[: TILE**2])
        if self.bias is not None:
            products[-1] = self.bias  # which the last column of the matrix adds everywhere
        results = self.results[: STEP**2 * tiles * outputs].view(STEP**2, -1)
        torch.mm(self.out_of, products.flatten(1), out=results)
        return results.view(STEP, STEP, *shape[:3], outputs)


def _build_transforms() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Of a filter of three (6, 3), of six pixels (6, 6), and of six products (4, 6), in a row.

    Its results are last @ ((first @ filter) * (second @ pixels)): four of them.
    """
    filters, pixels, products = np.zeros((TILE, 3)), np.zeros((TILE, TILE)), np.zeros((STEP, TILE))
    for place, point in enumerate(POINTS):
        others = np.delete(POINTS, place)
        scale = point if place else 1.0  # 1 / point, 1, point: turned round, those of 1 / point
        filters[place] = (1 / point, 1, point) if place else (1, 0, 0)
        pixels[place, :-1] = np.poly(others)[::-1] * scale / np.prod(point - others)
        products[:, place] = point ** np.arange(STEP)
    filters[-1, -1] = products[-1, -1] = 1  # infinity
    pixels[-1] = np.poly(POINTS)[::-1]
    return filters, pixels, products


@lru_cache
def _make_matrices(turned: bool, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
    """The transforms of pixels and products in both directions at once, for `_Room`.

    `turned`: for filters that are turned round, whose transforms are in the order of inverses.
    """
    _, pixels, products = _build_transforms()
    if turned:
        pixels, products = pixels[INVERSES], products[:, INVERSES]
    into, out_of = np.kron(pixels, pixels), np.kron(products, products)
    if not turned:
        out_of = np.concatenate([out_of, np.ones((STEP**2, 1))], axis=1)  # adds the bias
    return torch.from_numpy(into).to(dtype), torch.from_numpy(out_of).to(dtype)


def is_faster(filters: torch.Size, maps: torch.Size) -> bool:
    """Than torch's for filters (O, I, 3, 3) and maps (N, I, H, W) on a CPU.

    Measured on a Xeon with AVX-512. For fewer channels transforms take longer than what they save;
    for fewer tiles, reading the filters does, which are four times as large.
    """
    channels = min(filters[:2])
    tiles = maps[0] * -(-maps[2] // STEP) * -(-maps[3] // STEP)
    return channels >= 64 and tiles * channels >= 2048
