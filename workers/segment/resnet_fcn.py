"""torchvision's FCN on a dilated ResNet-50: the 20 classes of Pascal VOC, learned on COCO.

It is no network of Long, Shelhamer and Darrell: one head scores maps of 1/8 of the size, which
are enlarged without skips. torchvision measured it, on pictures whose shorter side has 520 pixels.
"""

from pathlib import Path

import torch
from torch import Tensor, nn
from torchvision.models.segmentation import fcn_resnet50

from shared.weights import locate

FILE = "fcn-resnet50.pth"  # its name in the catalogue of pretrained files
# of ImageNet's pictures, red, green, blue in [0, 1], as the network was trained
MEAN = (0.485, 0.456, 0.406)
DEVIATION = (0.229, 0.224, 0.225)


class ResNetFcn(nn.Module):
    """The network and what it does with pixels before it looks at them."""

    mean: Tensor
    deviation: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.network = fcn_resnet50(weights=None, weights_backbone=None, aux_loss=True)
        for name, values in (("mean", MEAN), ("deviation", DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> Tensor:
        """(N, 3, h, w) RGB in [0, 1] -> scores of the background and 20 classes, (N, 21, h, w)."""
        scores: Tensor = self.network((pixels - self.mean) / self.deviation)["out"]
        return scores


def load_resnet_fcn(folder: Path) -> ResNetFcn:
    """The network with its published weights, on the CPU, ready for inference.

    Raises MissingWeights or DamagedWeights if its file in the folder is not there or not intact.
    """
    state = torch.load(locate(FILE, folder), map_location="cpu", weights_only=True)
    loaded = ResNetFcn()
    loaded.network.load_state_dict(state)
    loaded.network.aux_classifier = None  # its scores are of use in training alone
    return loaded.eval()
