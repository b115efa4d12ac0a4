"""The Siamese network: one trunk encodes both faces of a pair to points on the unit sphere."""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.faces.align import DLIB_SIDE, DLIB_TEMPLATE
from workers.runtime.tensors import read_tensors, write_tensors

FORMAT = "siamese-1"
STAGES = 4  # each halves the side
CHUNK = 128  # faces in one pass
GREY = (0.299, 0.587, 0.114)  # ITU-R 601, as Pillow's convert("L")


@dataclass(frozen=True)
class Architecture:
    """Everything that fixes the shapes of the weights."""

    side: int = 64  # pixels of the square chip, a multiple of 16
    channels: int = 1  # 1: grey, 3: RGB
    dimensions: int = 128  # d of f(x)
    width: int = 16  # filters of the first stage; every later stage doubles them

    def __post_init__(self) -> None:
        if self.side < 2**STAGES or self.side % 2**STAGES:
            raise ValueError(f"The side must be a multiple of {2**STAGES}, not {self.side}.")
        if self.channels not in (1, 3):
            raise ValueError(f"A chip has 1 or 3 channels, not {self.channels}.")


class ConvBlock(nn.Sequential):
    """Convolution, group normalisation, ReLU, 2 x 2 max pool.

    A group norm looks at one picture, never at the batch: a face has the same code in training
    and in use, and a batch split over processes gives the gradients of the whole.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, 3, padding=1, bias=False),
            nn.GroupNorm(8, outputs),
            nn.ReLU(),
            nn.MaxPool2d(2),
        )


class SiameseNet(nn.Module):
    """f(x) in R^d with |f(x)| = 1 (FaceNet, Schroff et al. 2015, section 3)."""

    def __init__(self, architecture: Architecture | None = None) -> None:
        super().__init__()
        self.architecture = architecture or Architecture()
        widths = [self.architecture.width * 2**stage for stage in range(STAGES)]
        inputs = [self.architecture.channels, *widths]
        self.level = nn.InstanceNorm2d(self.architecture.channels)  # takes out brightness, contrast
        self.trunk = nn.Sequential(*map(ConvBlock, inputs, widths))
        cells = (self.architecture.side // 2**STAGES) ** 2
        self.head = nn.Linear(widths[-1] * cells, self.architecture.dimensions)

    def forward(self, x: Tensor) -> Tensor:
        """(B, channels, side, side) in [0, 1] -> (B, d), unit length."""
        x = self.trunk(self.level(x))  # (B, 8 * width, side / 16, side / 16)
        return F.normalize(self.head(x.flatten(1)), dim=1)

    def compare(self, left: Tensor, right: Tensor) -> Tensor:
        """Both pictures of B pairs -> d(x1, x2) = |f(x1) - f(x2)|^2, (B,) in [0, 4]."""
        distances: Tensor = (self(left) - self(right)).square().sum(dim=1)
        return distances

    @torch.inference_mode()
    def encode(self, faces: Tensor) -> np.ndarray:
        """(N, channels, side, side) uint8 -> (N, d) float32, a chunk at a time."""
        device = next(self.parameters()).device
        was_training = self.training
        self.eval()
        points = np.empty((len(faces), self.architecture.dimensions), np.float32)
        for start in range(0, len(faces), CHUNK):
            chunk = to_unit(faces[start : start + CHUNK].to(device))
            points[start : start + CHUNK] = self(chunk).float().cpu().numpy()
        self.train(was_training)
        return points


def to_faces(chips: np.ndarray, channels: int) -> Tensor:
    """(N, side, side, 3) uint8 RGB -> (N, channels, side, side) uint8."""
    pixels = torch.from_numpy(chips).permute(0, 3, 1, 2)
    if channels == 3:
        return pixels.contiguous()
    weights = torch.tensor(GREY)[:, None, None]
    return (pixels * weights).sum(dim=1, keepdim=True).round().to(torch.uint8)


def to_unit(faces: Tensor) -> Tensor:
    """uint8 -> float in [0, 1], channels last in memory: a quarter less time on a CPU."""
    return faces.float().div_(255).contiguous(memory_format=torch.channels_last)


def save_network(network: SiameseNet, path: Path) -> None:
    """Weights and architecture in one safetensors file, replaced as a whole."""
    about = {"format": FORMAT, **asdict(network.architecture)}
    write_tensors(path, network.state_dict(), about)


def load_network(path: Path) -> SiameseNet:
    """A network on the CPU, as it was saved; raises ValueError if the file holds no such one."""
    tensors, about = read_tensors(path)
    if about.pop("format", None) != FORMAT:
        raise ValueError(f"{path} holds no network of the format {FORMAT}.")
    network = SiameseNet(Architecture(**about))
    network.load_state_dict(tensors)
    return network.eval()


class SiameseEncoder:
    """A trained network as the encoder of a collection."""

    name = "siamese"

    def __init__(self, path: Path, device: torch.device) -> None:
        self.network = load_network(path).to(device).to(memory_format=torch.channels_last)
        self.version = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
        self.side = self.network.architecture.side
        self.dimensions = self.network.architecture.dimensions
        self.template = DLIB_TEMPLATE * np.float32(self.side / DLIB_SIDE)

    def encode(self, chips: Sequence[np.ndarray]) -> np.ndarray:
        """B faces (side, side, 3) uint8 RGB -> (B, dimensions) float32, each one long.

        Raises ValueError for a face of another size or type.
        """
        for chip in chips:
            if chip.shape != (self.side, self.side, 3) or chip.dtype != np.uint8:
                raise ValueError(f"a face of {chip.shape} {chip.dtype} is not {self.side} pixels")
        if not chips:
            return np.empty((0, self.dimensions), np.float32)
        return self.network.encode(to_faces(np.stack(chips), self.network.architecture.channels))
