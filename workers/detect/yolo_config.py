"""What fixes the shapes of a YOLOv1 network: its preset, its grid, its boxes and its classes."""

from dataclasses import dataclass
from typing import Literal

Preset = Literal["yolo-v1", "fast-yolo", "small", "efficientnet-lite0"]

# What a network may have at most, whoever asks for it: larger ones could fill a worker's memory.
MAX_SIDE, MAX_CLASSES, MAX_BOXES = 896, 1000, 10
MAX_GRID = 56  # cells along the side, of 16 pixels
MAX_ANCHOR = 4096  # pixels, of YOLOv3-tiny

# Pixels of the picture a cell may be wide: as often as the convolutions halve their input.
STRIDES: dict[Preset, tuple[int, ...]] = {
    "yolo-v1": (64,),
    "fast-yolo": (64,),
    "small": (16, 32),
    "efficientnet-lite0": (16, 32),
}


@dataclass(frozen=True)
class YoloConfig:
    """The numbers of the paper (Redmon et al., 2016); the defaults are its network for VOC.

    The output of every preset is a tensor (N, S, S, B * 5 + C), row by row of the picture. A cell
    has, for each of its B boxes, five numbers, and then the C classes once:

    x, y  the centre of the box in its cell: 0 is the cell's left or top edge, 1 the other edge
    √w, √h  the roots of its width and height as shares of the picture; only their squares count
    confidence  Pr(object) * IoU
    classes  Pr(class | object)
    """

    preset: Preset = "yolo-v1"
    classes: int = 20  # C
    side: int = 448  # pixels of the square picture
    grid: int = 7  # S, cells along a side
    boxes: int = 2  # B, in each cell

    def __post_init__(self) -> None:
        if self.preset not in STRIDES:
            raise ValueError(f"There is no preset {self.preset!r}; there are {', '.join(STRIDES)}.")
        if min(self.classes, self.grid, self.boxes) < 1:
            raise ValueError("There must be a class, a cell and a box in each cell at least.")
        if self.side > MAX_SIDE or self.classes > MAX_CLASSES or self.boxes > MAX_BOXES:
            raise ValueError(
                f"A network has at most {MAX_SIDE} pixels a side, {MAX_CLASSES} classes, and "
                f"{MAX_BOXES} boxes a cell."
            )
        strides = STRIDES[self.preset]
        if self.side not in [self.grid * stride for stride in strides]:
            allowed = " or ".join(str(stride) for stride in strides)
            raise ValueError(
                f"The side of {self.preset} is {allowed} pixels for each of its {self.grid} cells, "
                f"not {self.side} together."
            )

    @property
    def stride(self) -> int:
        """Pixels a cell is wide."""
        return self.side // self.grid

    @property
    def depth(self) -> int:
        """Numbers a cell has."""
        return self.boxes * 5 + self.classes
