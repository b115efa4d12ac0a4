"""What fixes the shapes of a fully convolutional network: its encoder, its strides, its border."""

from dataclasses import dataclass

from workers.runtime.vgg16 import WIDTHS
from workers.segment.fields import Encoder, Stride

ORIGINAL = 100  # as `fc6_padding`: the border is zeros around the picture, as the authors had it


@dataclass(frozen=True)
class Shape:
    """The numbers of an encoder and of the layers that were fully connected once."""

    widths: tuple[int, ...]  # channels of the encoder's five stages
    wide: int  # channels of fc6 and fc7
    kernel: int  # fc6's height and width
    dropout: float  # of fc6 and fc7
    sees: int  # pixels that a cell of the last stage sees, in each direction
    norm: bool = True  # batch normalisation after the convolutions of the encoder
    norm_heads: bool = True  # and after fc6 and fc7, and before the scores of the skips


SHAPES: dict[Encoder, Shape] = {
    "vgg16": Shape(WIDTHS, 4096, 7, dropout=0.5, sees=212, norm=False, norm_heads=False),
    # ImageNet's convolutions, and layers beyond them that a few hundred pictures can teach
    "vgg16-slim": Shape(WIDTHS, 256, 3, dropout=0.1, sees=212, norm=False),
    "efficientnet-lite0": Shape((16, 24, 40, 112, 320), 256, 3, dropout=0.1, sees=851),
    # for machines without a GPU: 1.3 million parameters
    "thin": Shape((16, 32, 64, 128, 128), 256, 3, dropout=0.0, sees=212),
}


@dataclass(frozen=True)
class FcnConfig:
    """A network of Long, Shelhamer and Darrell (2015); the defaults are their best one for VOC."""

    classes: int = 21
    encoder: Encoder = "vgg16"
    stride: Stride = 8  # pixels a step of the finest score map is wide: FCN-32s, 16s or 8s
    # Zeros around what fc6 sees. 0: none, but the picture gets a border of so many cells;
    # half its kernel: the map keeps its size; ORIGINAL: 100 pixels around the picture.
    fc6_padding: int = 3
    at_once: bool = False  # trained with its skips from the start, so VGG16's are scaled down
    learn_upsampling: bool = False  # else the bilinear kernels stay as they are

    def __post_init__(self) -> None:
        if self.classes < 1:
            raise ValueError("There must be a class at least.")
        if self.encoder not in SHAPES or self.stride not in (32, 16, 8):
            raise ValueError(
                f"There is no encoder {self.encoder!r} of stride {self.stride}: choose one of "
                f"{', '.join(SHAPES)} and 32, 16 or 8."
            )
        if self.encoder == "efficientnet-lite0" and self.fc6_padding == ORIGINAL:
            raise ValueError("The original border is of VGG16: choose another padding of fc6.")
        if self.fc6_padding not in (0, self.shape.kernel // 2, ORIGINAL):
            raise ValueError(
                f"The padding of fc6 must be 0, {self.shape.kernel // 2} or {ORIGINAL} with this "
                f"encoder, not {self.fc6_padding}."
            )

    @property
    def shape(self) -> Shape:
        return SHAPES[self.encoder]

    @property
    def shift(self) -> int:
        """The cell of pool5 that lies in the middle of what fc6 sees first."""
        return 0 if self.fc6_padding == self.shape.kernel // 2 else self.shape.kernel // 2

    @property
    def border(self) -> int:
        """Pixels of zeros around the picture: what the first cell of pool1 sees left of it."""
        return ORIGINAL - 1 if self.fc6_padding == ORIGINAL else 32 * self.shift

    @property
    def reach(self) -> int:
        """How far away a pixel may be on which a score depends, in each direction.

        fc6 sees as many cells of the last stage as its kernel is wide. A pixel is scored by cells
        whose middle is less than 32 away; that of EfficientNet-Lite0 lies half a cell aside.
        """
        aside = 16 if self.encoder == "efficientnet-lite0" else 0
        return (self.shape.sees + 32 * (self.shape.kernel - 1)) // 2 + 32 + aside
