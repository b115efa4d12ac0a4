"""MediaPipe's Selfie Segmentation (Google, 2020): a small network that tells people from the rest.

It is a MobileNetV3 (Howard et al., 2019) whose normalisation is folded into the convolutions,
with a decoder of its own. It was made for people less than two metres away.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIDE = 256  # pixels, of the square picture; larger ones are scaled down to it
NAMES = ("background", "person")  # the classes, in the order of their scores
# 1 / 6 as published, in half precision; the whole 1 / 6 moves some probabilities by 0.1
SIXTH = 0.1666259765625


class Around(nn.Conv2d):
    """A depthwise convolution, padded as TensorFlow's "SAME": at stride 2 more behind."""

    def __init__(self, channels: int, kernel: int, stride: int = 1) -> None:
        super().__init__(channels, channels, kernel, stride, groups=channels)

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(pad_same(x, self.kernel_size[0], self.stride[0]))


class Gate(nn.Module):
    """Squeeze and excitation (Hu et al., 2018): what is seen on average weights the channels."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, width, 1)
        self.excite = nn.Conv2d(width, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C, 1, 1) in [0, 1]."""
        weights: Tensor = self.excite(F.relu(self.squeeze(average(x))))
        return weights.sigmoid()


class InvertedResidual(nn.Module):
    """A block of MobileNetV3: to more channels, over the neighbours, and back to few."""

    def __init__(
        self, inputs: int, width: int, outputs: int, kernel: int, stride: int = 1, gate: int = 0
    ) -> None:
        """`gate`: channels that the squeezed average has; 0 is without a gate."""
        super().__init__()
        self.residual = stride == 1 and inputs == outputs
        self.activate = hard_swish if kernel == 5 else F.relu
        self.widen = nn.Conv2d(inputs, width, 1)
        self.look = Around(width, kernel, stride)
        self.gate = Gate(width, gate) if gate else None
        self.narrow = nn.Conv2d(width, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.activate(self.look(self.activate(self.widen(x))))
        few: Tensor = self.narrow(y * self.gate(y) if self.gate else y)
        return x + few if self.residual else few


class Pyramid(nn.Module):
    """The coarsest maps beside their average: LR-ASPP of MobileNetV3."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.maps = nn.Conv2d(inputs, outputs, 1)
        self.gate = nn.Conv2d(inputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        weights: Tensor = self.gate(average(x))
        return F.relu(self.maps(x)) * weights.sigmoid()


class Decoder(nn.Module):
    """Doubles the size of coarse maps and adds those that the encoder saw at that size."""

    def __init__(self, inputs: int, outputs: int, gate: int) -> None:
        super().__init__()
        self.enter = nn.Conv2d(inputs, outputs, 1)
        self.gate = Gate(outputs, gate)
        self.mix = nn.Conv2d(outputs, outputs, 1)
        self.look = Around(outputs, 3)

    def forward(self, coarse: Tensor, fine: Tensor) -> Tensor:
        """(N, inputs, H / 2, W / 2) and (N, outputs, H, W) -> (N, outputs, H, W)."""
        large = F.interpolate(coarse, scale_factor=2.0, mode="bilinear", align_corners=False)
        coarse = self.enter(large)
        y = F.relu(self.mix(fine * self.gate(fine + coarse) + coarse))
        return y + F.relu(self.look(y))


class Selfie(nn.Module):
    """The general model, for square pictures."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 16, 3, stride=2)
        self.quarter = InvertedResidual(16, 16, 16, kernel=3, stride=2, gate=8)
        self.eighth = nn.Sequential(
            InvertedResidual(16, 72, 24, kernel=3, stride=2),
            InvertedResidual(24, 88, 24, kernel=3),
        )
        self.sixteenth = nn.Sequential(
            InvertedResidual(24, 96, 32, kernel=5, stride=2, gate=24),
            InvertedResidual(32, 128, 32, kernel=5, gate=32),
            InvertedResidual(32, 128, 32, kernel=5, gate=32),
            InvertedResidual(32, 96, 32, kernel=5, gate=24),
            InvertedResidual(32, 96, 32, kernel=5, gate=24),
        )
        self.pyramid = Pyramid(32, 128)
        self.decoders = nn.ModuleList(
            [Decoder(128, 24, gate=24), Decoder(24, 16, gate=16), Decoder(16, 16, gate=16)]
        )
        self.score = nn.ConvTranspose2d(16, 1, 2, stride=2)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, 256, 256) RGB in [0, 1] -> scores of background and person, (N, 2, 256, 256).

        Their softmax is the published probability: the background scores 0, a person its logit.
        """
        half = hard_swish(self.stem(pad_same(pixels, 3, 2)))
        quarter = self.quarter(half)
        eighth = self.eighth(quarter)
        x = self.pyramid(self.sixteenth(eighth))
        for decoder, fine in zip(self.decoders, (eighth, quarter, half), strict=True):
            x = decoder(x, fine)
        person = self.score(x)
        return torch.cat([torch.zeros_like(person), person], dim=1)


def hard_swish(x: Tensor) -> Tensor:
    return x * SIXTH * F.relu6(x + 3)


def average(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, C, 1, 1)."""
    return x.mean(dim=(2, 3), keepdim=True)


def pad_same(x: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around even sizes, so that a convolution gives 1 / stride of them."""
    before, behind = (kernel - stride) // 2, (kernel - stride + 1) // 2
    return F.pad(x, (before, behind, before, behind))
