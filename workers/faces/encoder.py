"""Turns aligned faces into points on the unit sphere."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workers.faces.dlib_dat import load_dlib
from workers.faces.dlib_resnet import DIMENSIONS, SIDE, DlibResNet

CHUNK = 32  # faces per pass: more are no faster and need more memory


class Encoder(Protocol):
    """What the faces worker needs of a network; another model is another class."""

    name: str
    version: str  # changes whenever the points do: points of two versions are not compared
    dimensions: int
    side: int  # pixels of the square face
    template: np.ndarray  # (5, 2) x, y in it of eyes, nose, corners of the mouth, left ones first

    def encode(self, chips: Sequence[np.ndarray]) -> np.ndarray:
        """B faces (side, side, 3) uint8 RGB -> (B, dimensions) float32, each one long.

        B may be 0, and it may be large. Raises ValueError for a face of another size or type.
        """


class DlibEncoder:
    """dlib's face network; the point of a face is the mean of its own and its mirror image's.

    dlib compares points of any length by their distance. Cosines of unit vectors, and the mirror
    image, each make fewer errors; see bench/results/faces_lfw.json.
    """

    name = "dlib-resnet"
    version = "1"
    dimensions = DIMENSIONS
    side = SIDE
    # Left and right are the viewer's.
    template = np.array(
        [[47.5, 46.6], [100.5, 46.6], [74.0, 76.6], [50.4, 103.0], [97.6, 103.0]], np.float32
    )

    def __init__(self, weights: Path, device: torch.device) -> None:
        network = DlibResNet()
        load_dlib(network, weights)
        self.device = device
        self.network = network.eval().to(device).to(memory_format=torch.channels_last)

    @torch.inference_mode()
    def encode(self, chips: Sequence[np.ndarray]) -> np.ndarray:
        points = np.empty((len(chips), self.dimensions), np.float32)
        for start in range(0, len(chips), CHUNK):
            faces = self._stack(chips[start : start + CHUNK])
            both = self.network(faces) + self.network(faces.flip(3))
            points[start : start + CHUNK] = F.normalize(both).cpu().numpy()
        return points

    def _stack(self, chips: Sequence[np.ndarray]) -> Tensor:
        """(B, 3, side, side) in [0, 255], channels last in memory as the faces are."""
        for chip in chips:
            if chip.shape != (self.side, self.side, 3) or chip.dtype != np.uint8:
                raise ValueError(f"a face of {chip.shape} {chip.dtype} is not {self.side} pixels")
        return torch.from_numpy(np.stack(chips)).to(self.device).permute(0, 3, 1, 2).float()
