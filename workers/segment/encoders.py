"""The networks below an FCN: they see a picture and make maps of 1/2 to 1/32 of its size."""

from pathlib import Path

from torch import Tensor, nn
from torch.nn import functional as F

from shared.weights import locate
from workers.runtime.efficientnet_lite import STAGES, build_trunk, read_pretrained
from workers.runtime.vgg16 import MEAN, VGG16
from workers.runtime.vgg16_weights import FILE, load_vgg16
from workers.segment.fcn_config import ORIGINAL, FcnConfig
from workers.segment.fields import Encoder


class EfficientNetEncoder(nn.Module):
    """EfficientNet-Lite0 without its classifier, in five stages that each halve the picture."""

    def __init__(self) -> None:
        super().__init__()
        layers = iter(build_trunk(32))
        next(layers)  # `Normalise`: pixels come as VGG16's
        depths = [2 + STAGES[0][0]]  # with the convolution, and its ReLU, that sees the picture
        for blocks, _, step, *_ in STAGES[1:]:
            if step == 2:
                depths.append(0)
            depths[-1] += blocks
        self.stages = nn.ModuleList(
            nn.Sequential(*(next(layers) for _ in range(depth))) for depth in depths
        )

    def forward(self, pixels: Tensor) -> list[Tensor]:
        """What each stage gives, from 1/2 to 1/32 of the size, of VGG16's pixels (N, 3, H, W)."""
        height, width = pixels.shape[2:]
        mean = pixels.new_tensor(MEAN).view(3, 1, 1) * 255
        # its border is grey; sizes that are no multiples of 32 would leave out the last cells
        pixels = F.pad((pixels + mean - 127) / 128, (0, -width % 32, 0, -height % 32))
        maps: list[Tensor] = []
        for stage in self.stages:
            pixels = stage(pixels)
            maps.append(pixels)
        return maps


def make_encoder(config: FcnConfig) -> VGG16 | EfficientNetEncoder:
    """Of weights drawn by chance."""
    if config.encoder == "efficientnet-lite0":
        return EfficientNetEncoder()
    # the original's border is the padding of its first convolution
    border = ORIGINAL if config.fc6_padding == ORIGINAL else 1
    return VGG16(config.shape.widths, config.shape.norm, border)


def read_encoder(encoder: Encoder, folder: Path) -> dict[str, Tensor] | None:
    """The weights learned on ImageNet that it can start with; None if there are none.

    Raises WeightsError if the file is not in the folder of pulled weights, or damaged.
    """
    if encoder == "thin":
        return None
    if encoder == "efficientnet-lite0":
        made = EfficientNetEncoder()
        own = zip(made.state_dict(), read_pretrained(folder).values(), strict=True)
        return dict(own)  # its layers come in the same order
    vgg16 = VGG16()
    load_vgg16(vgg16, locate(FILE, folder))
    return vgg16.state_dict()
