"""Does the jobs of a tenant of the segment worker, who may have networks that know colours."""

from collections.abc import Sequence
from io import BytesIO
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.workers import desk
from tests.workers.segment.coloured import COLOURS
from tests.workers.segment.mask_files import save
from workers.runtime.vgg16 import normalise
from workers.segment.fcn import FCN
from workers.segment.fcn_config import FcnConfig
from workers.segment.fields import Colour
from workers.segment.loaded import SegmentWorker
from workers.segment.model_contract import ModelsRequest
from workers.segment.segmenter_file import Segmenter, pack_segmenter
from workers.segment.served import KIND

NAMES = ("background", "red", "blue")  # of coloured.COLOURS
PARTS = np.zeros((64, 64), np.uint8)  # a mask: red on the left, then background
PARTS[:, :40] = 1
SURE = 5000.0  # squares of distances of colours, of 256 steps, that are a score of 1


class Desk(desk.Desk[SegmentWorker]):
    """Its files are streamed from the blob store."""

    @property
    def progress(self) -> list[float]:
        return [step["fraction"] for step in self.steps]

    def register(self, segmenter: Segmenter, name: str = "mine") -> str:
        """As if it were trained: its name and version."""
        run, made = self.make(ModelsRequest()), dict[str, Any]()
        self.worker.models.add(
            run,
            KIND,
            name,
            *pack_segmenter(segmenter),
            segmenter.metrics,
            facts=segmenter.list_facts(),
        )
        [record] = run.effects
        self.change(lambda session: made.update(record(session)))
        return str(made["model"])

    def open_picture(self, blob_id: str) -> Image.Image:
        return Image.open(BytesIO(self.read(blob_id)))

    def open_mask(self, blob_id: str) -> np.ndarray:
        """The indices (H, W) uint8 of a palette PNG."""
        mask = self.open_picture(blob_id)
        assert (mask.format, mask.mode) == ("PNG", "P")
        return np.asarray(mask)


def make_segmenter(
    *names: str, colours: Sequence[Colour] = COLOURS, resolution: int = 64
) -> Segmenter:
    """A thin FCN whose weights tell which of the colours is nearest, in cells of 8 x 8 pixels.

    By default its names are NAMES. Exact where all of a cell has one colour, but next to a border
    of two, whose mixture it may take for a third.
    """
    chosen = names or NAMES
    palette = tuple(colours[: len(chosen)])
    network = FCN(FcnConfig(len(chosen), "thin", fc6_padding=1)).eval()
    with torch.no_grad():
        for layer in network.encoder.modules():
            if isinstance(layer, torch.nn.Conv2d):
                pass_on(layer)
        means = normalise(torch.tensor(palette).view(-1, 3, 1, 1) / 255)[..., 0, 0]  # (C, 3)
        score = network.skips["pool3"]
        assert isinstance(score, torch.nn.Conv2d)
        # the nearest colour m of a pixel p is that of the largest 2 m p - m m
        score.weight.zero_()
        score.weight[:, :3, 0, 0] = 2 * means / SURE
        score.weight[:, 3:6, 0, 0] = -2 * means / SURE
        score.bias.copy_(-means.square().sum(dim=1) / SURE)
    return Segmenter(network, chosen, palette, resolution, {"mean_iou": 0.5})


@torch.no_grad()
def pass_on(layer: torch.nn.Conv2d) -> None:
    """Channels 0 to 2 are what is positive in red, green and blue; 3 to 5 what is negative."""
    torch.nn.init.zeros_(layer.weight)
    if layer.bias is not None:
        torch.nn.init.zeros_(layer.bias)
    for channel in range(6):
        source = channel % 3 if layer.in_channels == 3 else channel
        layer.weight[channel, source, 1, 1] = -1 if source < channel else 1


def paint(mask: np.ndarray) -> Image.Image:
    """The picture of classes (H, W), each in its colour of COLOURS."""
    return Image.fromarray(np.array(COLOURS, np.uint8)[mask])


def fill(number: int, size: tuple[int, int] = (64, 64)) -> bytes:
    """The file of a picture of the colour of one class."""
    return save(Image.new("RGB", size, COLOURS[number]))
