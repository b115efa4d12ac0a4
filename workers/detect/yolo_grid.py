"""Between boxes in pixels and the cells of YOLOv1's grid: the targets, and the answers."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from workers.detect.yolo_config import YoloConfig

NOTHING = -1  # the class of a cell in which no object has its centre


@dataclass(frozen=True)
class GridTruth:
    """The objects of N pictures as the network should see them: one in a cell at most."""

    boxes: Tensor  # (N, S, S, 4) float32: x, y in the cell; width, height as shares of the picture
    classes: Tensor  # (N, S, S) int64, NOTHING in an empty cell
    lost: int = 0  # objects left out, because their cell was taken

    def to(self, device: torch.device) -> "GridTruth":
        return GridTruth(self.boxes.to(device), self.classes.to(device), self.lost)


def encode(boxes: Sequence[Tensor], classes: Sequence[Tensor], config: YoloConfig) -> GridTruth:
    """N times boxes (K, 4) as xyxy in pixels of the square, and classes (K,) -> their cells.

    An object belongs to the cell that its centre is in. The paper does not say which of two objects
    gets the cell; as in Darknet it is the first. Darknet shuffles them anew for every epoch, so
    that none is hidden for good; a training that does not will always lose the same ones.
    Every box must have an area and its centre on the square.
    """
    shape = (len(boxes), config.grid**2)
    cells = torch.zeros(*shape, 4)
    labels = torch.full(shape, NOTHING)
    lost = 0
    for picture, (xyxy, numbers) in enumerate(zip(boxes, classes, strict=True)):
        scaled = xyxy.float() / config.side
        size = scaled[:, 2:] - scaled[:, :2]
        centre = (scaled[:, :2] + scaled[:, 2:]) / 2 * config.grid  # in cells
        corner = centre.long().clamp(max=config.grid - 1)  # a centre on the far edge is inside
        places = corner[:, 1] * config.grid + corner[:, 0]
        kept = first_of_each(places, config.grid**2)
        cells[picture, places[kept]] = torch.cat([centre - corner, size], dim=1)[kept]
        labels[picture, places[kept]] = numbers[kept]
        lost += len(places) - len(kept)
    square = (len(boxes), config.grid, config.grid)
    return GridTruth(cells.view(*square, 4), labels.view(square), lost)


def first_of_each(places: Tensor, count: int) -> Tensor:
    """The rows (U,) at which each place below `count` occurs first in places (K,)."""
    rows = torch.full((count,), len(places))
    rows.scatter_reduce_(0, places, torch.arange(len(places)), "amin")
    return rows[rows < len(places)]


def split(cells: Tensor, boxes: int) -> tuple[Tensor, Tensor, Tensor]:
    """(..., B * 5 + C) -> x, y, √w, √h (..., B, 4), confidences (..., B), classes (..., C)."""
    predictors = cells[..., : boxes * 5].reshape(*cells.shape[:-1], boxes, 5)
    return predictors[..., :4], predictors[..., 4], cells[..., boxes * 5 :]


def decode(output: Tensor, config: YoloConfig) -> tuple[Tensor, Tensor]:
    """(N, S, S, B * 5 + C) -> boxes (N, S * S * B, 4) as xyxy in pixels, and their scores.

    A score, of (N, S * S * B, C) in [0, 1], is Pr(class | object) * confidence (paper, equation 1).
    Both are clamped to [0, 1] first: the last layer is linear, and two negative numbers would make
    a positive score. A box may reach over the border of the picture.
    """
    predicted, confidences, classes = split(output, config.boxes)  # (N, S, S, B, 4), ...
    steps = torch.arange(config.grid, dtype=output.dtype, device=output.device)
    columns, rows = torch.meshgrid(steps, steps, indexing="xy")  # (S, S) each
    corner = torch.stack([columns, rows], dim=-1).unsqueeze(2)  # (S, S, 1, 2)
    centre = (predicted[..., :2] + corner) * config.stride
    half = predicted[..., 2:].square() * config.side / 2
    boxes = torch.cat([centre - half, centre + half], dim=-1)
    scores = confidences.clamp(0, 1).unsqueeze(-1) * classes.clamp(0, 1).unsqueeze(3)
    return boxes.flatten(1, 3), scores.flatten(1, 3)
