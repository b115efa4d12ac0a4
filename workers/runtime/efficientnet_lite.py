"""EfficientNet-Lite0 (Tan & Le, 2019), which knows photographs: a classifier, and its trunk.

The lite variants have ReLU6 and no squeeze-and-excitation.
"""

from pathlib import Path

import torch
from torch import Tensor, nn

from shared.weights import locate

PUBLISHED = "efficientnet-lite0.pth"  # learned on ImageNet-1k, 1000 classes

STEM, LAST = 32, 1280  # filters of the first and of the classifier's last convolution
# Table 1 of the paper: blocks, size of the filters, stride, expansion, channels.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
DEEP = {16: STAGES[:5], 32: STAGES}  # how far a trunk of this stride goes


class Normalise(nn.Module):
    """As the network was taught: [0, 1] -> (pixel - 127) / 128 of pixels in [0, 255]."""

    def forward(self, x: Tensor) -> Tensor:
        return (x * 255 - 127) / 128


class ConvNorm(nn.Sequential):
    """Convolution and batch normalisation; the border is that of TensorFlow's "same".

    With a stride of 2 and an even picture it is a pixel wider on the right and below.
    """

    def __init__(
        self, inputs: int, outputs: int, size: int = 1, stride: int = 1, groups: int = 1
    ) -> None:
        border = size - stride  # both sides together
        before, after = border // 2, border - border // 2
        even = before == after
        convolution = nn.Conv2d(
            inputs, outputs, size, stride, before if even else 0, groups=groups, bias=False
        )
        # Published with a momentum of 0.01: too slow for trainings of some hundred steps.
        norm = nn.BatchNorm2d(outputs, eps=1e-3)
        pad = [] if even else [nn.ZeroPad2d((before, after, before, after))]
        super().__init__(*pad, convolution, norm)


class Block(nn.Module):
    """Inverted bottleneck (Sandler et al., 2018): widen, filter each channel alone, narrow."""

    def __init__(self, inputs: int, outputs: int, size: int, stride: int, expansion: int) -> None:
        super().__init__()
        wide = inputs * expansion
        widen = [ConvNorm(inputs, wide), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *widen,
            ConvNorm(wide, wide, size, stride, groups=wide),
            nn.ReLU6(inplace=True),
            ConvNorm(wide, outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        made: Tensor = self.layers(x)
        return x + made if self.adds else made


class EfficientNetLite0(nn.Module):
    """The classifier whose trunk is used."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.trunk = build_trunk(32)
        self.last = nn.Sequential(ConvNorm(STAGES[-1][-1], LAST), nn.ReLU6(inplace=True))
        self.head = nn.Linear(LAST, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) RGB in [0, 1] -> (N, classes), before softmax."""
        logits: Tensor = self.head(self.last(self.trunk(x)).mean(dim=(2, 3)))
        return logits


def build_trunk(stride: int) -> nn.Sequential:
    """(N, 3, H, W) RGB in [0, 1] -> at a stride of 16 (N, 112, H / 16, W / 16), at 32 (N, 320, ..).

    H and W are multiples of the stride. The trunk of 32 begins with that of 16.
    """
    layers: list[nn.Module] = [Normalise(), ConvNorm(3, STEM, 3, 2), nn.ReLU6(inplace=True)]
    channels = STEM
    for blocks, size, step, expansion, outputs in DEEP[stride]:
        for number in range(blocks):
            layers.append(Block(channels, outputs, size, 1 if number else step, expansion))
            channels = outputs
    return nn.Sequential(*layers)


def read_classifier(folder: Path) -> EfficientNetLite0:
    """The published one, in eval; raises MissingWeights or DamagedWeights."""
    published = torch.load(locate(PUBLISHED, folder), map_location="cpu", weights_only=True)
    with torch.device("meta"):
        network = EfficientNetLite0()
    # its layers have other names, but come in the same order
    own = dict(zip(network.state_dict(), published.values(), strict=True))
    network.load_state_dict(own, assign=True)
    return network.eval()


def read_pretrained(folder: Path) -> dict[str, Tensor]:
    """What a trunk can start with; raises MissingWeights or DamagedWeights."""
    return read_classifier(folder).trunk.state_dict()
