"""The networks of YOLOv1 (Redmon et al., 2016), and the classifier they are pre-trained as."""

from typing import TypeVar

from torch import Tensor, nn

from workers.detect.yolo_config import YoloConfig

SLOPE = 0.1  # of the leaky ReLU below 0; paper, equation 2
POOL = "pool"  # a 2 x 2 max pool

# Figure 3 of the paper: filters, size and stride of every convolution.
Layer = tuple[int, int, int] | str
PRETRAINED: list[Layer] = [  # 20 convolutions
    (64, 7, 2),
    POOL,
    (192, 3, 1),
    POOL,
    *[(128, 1, 1), (256, 3, 1), (256, 1, 1), (512, 3, 1)],
    POOL,
    *[(256, 1, 1), (512, 3, 1)] * 4,
    *[(512, 1, 1), (1024, 3, 1)],
    POOL,
    *[(512, 1, 1), (1024, 3, 1)] * 2,
]
ADDED: list[Layer] = [(1024, 3, 1), (1024, 3, 2), (1024, 3, 1), (1024, 3, 1)]  # for detection
# The paper only tells that Fast YOLO has 9 convolutions with fewer filters. These are the ones of
# the yolo-tiny.cfg in Darknet as of 2015; yolov1-tiny.cfg, later, has 8 and batch normalisation.
FAST: list[Layer] = [
    (16, 3, 1),
    POOL,
    (32, 3, 1),
    POOL,
    (64, 3, 1),
    POOL,
    (128, 3, 1),
    POOL,
    (256, 3, 1),
    POOL,
    (512, 3, 1),
    POOL,
    (1024, 3, 1),
    (1024, 3, 1),
    (1024, 3, 1),
]

M = TypeVar("M", bound=nn.Module)


class ImageClassifier(nn.Module):
    """The first 20 convolutions, average pool, fully connected: paper, section 2.2."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.trunk = initialise(nn.Sequential(*make_convolutions(PRETRAINED, 3)))
        self.head = nn.Linear(1024, classes)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, 224, 224) RGB in [0, 1] -> (N, classes), before softmax; any side from 32 on."""
        logits: Tensor = self.head(self.trunk(x).mean(dim=(2, 3)))
        return logits


def build_yolo_v1(config: YoloConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """24 convolutions, of which the last 4 are added for detection, and 2 fully connected layers.

    (N, 3, 64 S, 64 S) -> (N, 1024, S, S) -> (N, B * 5 + C, S, S).
    """
    trunk = nn.Sequential(
        *make_convolutions(PRETRAINED, 3),
        *make_convolutions(ADDED, 1024),
    )
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(1024 * config.grid**2, 4096),
        nn.LeakyReLU(SLOPE),
        *make_output(config),
    )
    return initialise(trunk), initialise(head)


def build_fast_yolo(config: YoloConfig) -> tuple[nn.Sequential, nn.Sequential]:
    """9 convolutions and 3 fully connected layers, the first without a ReLU as in Darknet.

    (N, 3, 64 S, 64 S) -> (N, 1024, S, S) -> (N, B * 5 + C, S, S).
    """
    head = nn.Sequential(
        nn.Flatten(),
        nn.Linear(1024 * config.grid**2, 256),
        nn.Linear(256, 4096),
        nn.LeakyReLU(SLOPE),
        *make_output(config),
    )
    return initialise(nn.Sequential(*make_convolutions(FAST, 3))), initialise(head)


def make_output(config: YoloConfig) -> list[nn.Module]:
    """(N, 4096) -> (N, B * 5 + C, S, S); the dropout keeps the layers from co-adapting."""
    square = (config.grid, config.grid)
    return [
        nn.Dropout(0.5),
        nn.Linear(4096, config.depth * config.grid**2),
        nn.Unflatten(1, (config.depth, *square)),
    ]


def make_convolutions(layers: list[Layer], channels: int) -> list[nn.Module]:
    """Convolutions with a bias and a leaky ReLU, and pools; there was no batch norm in 2016."""
    made: list[nn.Module] = []
    for layer in layers:
        if isinstance(layer, str):
            made.append(nn.MaxPool2d(2))
            continue
        filters, size, stride = layer
        made.append(nn.Conv2d(channels, filters, size, stride, padding=size // 2))
        made.append(nn.LeakyReLU(SLOPE, inplace=True))
        channels = filters
    return made


def initialise(network: M) -> M:
    """He et al. (2015): 24 layers pass the signal on; with torch's own default it fades away."""
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(module.weight, SLOPE, nonlinearity="leaky_relu")
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    return network
