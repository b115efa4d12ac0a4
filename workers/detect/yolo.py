"""YOLO by preset: a picture to the numbers of a grid, and those to boxes."""

from collections.abc import Callable

from torch import Tensor, nn

from workers.detect.yolo_config import Preset, YoloConfig
from workers.detect.yolo_grid import decode
from workers.detect.yolo_small import build_efficientnet_lite0, build_small_yolo
from workers.detect.yolo_v1 import build_fast_yolo, build_yolo_v1

# Each makes the trunk and the head: (N, 3, side, side) -> (N, B * 5 + C, S, S).
BUILDERS: dict[Preset, Callable[[YoloConfig], tuple[nn.Sequential, nn.Sequential]]] = {
    "yolo-v1": build_yolo_v1,
    "fast-yolo": build_fast_yolo,
    "small": build_small_yolo,
    "efficientnet-lite0": build_efficientnet_lite0,
}


class Yolo(nn.Module):
    """You Only Look Once (Redmon et al., 2016): boxes and classes from one pass."""

    def __init__(self, config: YoloConfig | None = None) -> None:
        super().__init__()
        self.config = config or YoloConfig()
        self.trunk, self.head = BUILDERS[self.config.preset](self.config)

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, side, side) RGB in [0, 1] -> (N, S, S, B * 5 + C), laid out as in YoloConfig."""
        cells: Tensor = self.head(self.trunk(x))
        return cells.permute(0, 2, 3, 1)

    def predict(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """(N, 3, side, side) -> boxes (N, S * S * B, 4) as xyxy in pixels, their scores (.., C)."""
        return decode(self(x), self.config)
