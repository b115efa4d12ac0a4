"""The fully convolutional networks FCN-32s, 16s and 8s of Long, Shelhamer and Darrell (2015)."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workers.runtime.vgg16 import make_convolution
from workers.segment.encoders import make_encoder
from workers.segment.fcn_config import ORIGINAL, FcnConfig, Shape


class Skip(NamedTuple):
    """A pool whose finer cells are scored too."""

    stage: int  # of the encoder, from 0 on
    stride: int  # pixels a cell is wide
    scale: float  # of VGG16's, if the network is trained at once: its numbers are large


SKIPS = {"pool4": Skip(3, 16, 0.01), "pool3": Skip(2, 8, 0.0001)}


class FCN(nn.Module):
    """A classifier, whose fully connected layers became convolutions, and deconvolutions to pixels.

    A cell of a score map is `stride` pixels wide. Coarse scores are enlarged twice, finer ones
    are added, and at last they are enlarged to pixels; both times what lies beyond is cropped.
    """

    def __init__(self, config: FcnConfig) -> None:
        super().__init__()
        shape, classes = config.shape, config.classes
        wide = shape.wide
        self.config = config
        self.encoder = make_encoder(config)
        padding = 0 if config.shift else config.fc6_padding
        self.fc6 = nn.Sequential(
            *make_convolution(
                shape.widths[-1], shape.wide, shape.kernel, shape.norm_heads, padding
            ),
            nn.Dropout(shape.dropout),
        )
        self.fc7 = nn.Sequential(
            *make_convolution(wide, wide, 1, shape.norm_heads, 0),
            nn.Dropout(shape.dropout),
        )
        self.score = make_score(wide, classes)
        self.skips, self.twice = nn.ModuleDict(), nn.ModuleDict()
        self.scales: dict[str, float] = {}
        for name, skip in SKIPS.items():
            if config.stride <= skip.stride:
                self.skips[name] = make_skip(shape, skip.stage, classes)
                self.twice[name] = make_upsampling(classes, 2)
                large = config.at_once and not shape.norm_heads
                self.scales[name] = skip.scale if large else 1.0
        self.whole = make_upsampling(classes, config.stride)
        for layer in [*self.twice.values(), self.whole]:
            layer.requires_grad_(config.learn_upsampling)

    def forward(self, pixels: Tensor) -> Tensor:
        """`normalise`d pixels (N, 3, H, W) -> scores (N, C, H, W); H and W are 1 or more."""
        height, width = pixels.shape[2:]
        config = self.config
        if config.fc6_padding != ORIGINAL:
            pixels = F.pad(pixels, [config.border] * 4)
        pools = self.encoder(pixels)
        scores, place = self.classify(pools[-1]), config.shift
        for name, layer in self.skips.items():
            fine = layer(pools[SKIPS[name].stage] * self.scales[name])
            scores, place = add_skip(self.twice[name](scores), fine, 2 * place - 1)
        left = config.stride // 2 - config.stride * place + config.border
        pixelwise: Tensor = self.whole(scores)[..., left : left + height, left : left + width]
        return pixelwise

    def classify(self, pool5: Tensor) -> Tensor:
        """The score map (N, C, h, w) of what the encoder found: a cell is 32 pixels wide."""
        scores: Tensor = self.score(self.fc7(self.fc6(pool5)))
        return scores


def add_skip(coarse: Tensor, fine: Tensor, place: int) -> tuple[Tensor, int]:
    """(the sum where both are, the cell of `fine` it starts at).

    The first cell of `coarse` is the one at `place` in `fine`; -1 is a cell left of it.
    """
    coarse = coarse[..., max(0, -place) :, max(0, -place) :]
    place = max(0, place)
    fine = fine[..., place:, place:]
    height, width = (min(sizes) for sizes in zip(coarse.shape[2:], fine.shape[2:], strict=True))
    return coarse[..., :height, :width] + fine[..., :height, :width], place


def make_score(inputs: int, classes: int) -> nn.Conv2d:
    """A 1 x 1 convolution that scores every class 0 before it has learned."""
    layer = nn.Conv2d(inputs, classes, 1)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)  # type: ignore[arg-type]
    return layer


def make_skip(shape: Shape, stage: int, classes: int) -> nn.Module:
    """The scores of a pool, whose numbers are normalised first if the encoder's are not.

    The heads that the authors did not normalise are scaled instead: see `Skip`.
    """
    inputs = shape.widths[stage]
    score = make_score(inputs, classes)
    if shape.norm or not shape.norm_heads:
        return score
    return nn.Sequential(nn.BatchNorm2d(inputs), score)


def make_upsampling(classes: int, factor: int) -> nn.ConvTranspose2d:
    """A deconvolution that enlarges each class's map by itself, bilinear before it has learned."""
    layer = nn.ConvTranspose2d(classes, classes, 2 * factor, factor, groups=classes, bias=False)
    kernel = make_bilinear(2 * factor).expand_as(layer.weight)
    layer.weight.data.copy_(kernel)
    return layer


def make_bilinear(size: int) -> Tensor:
    """The kernel (size, size) that enlarges by half its size, or half of one more if it is odd."""
    factor = (size + 1) // 2
    centre = factor - 1 if size % 2 else factor - 0.5
    row = 1 - (torch.arange(size) - centre).abs() / factor
    return row[:, None] * row


def start_from(network: FCN, coarser: Mapping[str, Tensor]) -> None:
    """Let a network go on from the weights of the same one of a larger stride.

    Its new score layer adds nothing at first. Raises ValueError for weights of another network.
    """
    own, shared = network.state_dict(), dict(coarser)
    shared.pop("whole.weight", None)
    new = {"whole.weight"} | {name for name in own if name.startswith(("skips.", "twice."))}
    known = {name: one.shape for name, one in own.items() if name in shared or name not in new}
    if known != {name: one.shape for name, one in shared.items()}:
        raise ValueError("These are the weights of another network, or of a finer one.")
    network.load_state_dict(shared, strict=False)
