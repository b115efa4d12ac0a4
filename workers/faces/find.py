"""Finds the faces in a picture with MTCNN's cascade: propose, refine, place landmarks.

Boxes are left, top, right, bottom in pixels, and pixel i covers i to i + 1. Windows are sampled
where they are, without rounding, and are black outside the picture as in the authors' code, so
that a face cut off by the border is not stretched.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.ops import nms

from workers.faces.mtcnn import OutputNet, ProposalNet, RefineNet, load

STEP = 0.709  # from one size of the picture to the next, which has half the pixels
WINDOW, STRIDE = 12, 2  # pixels, of P-Net
FIRST_PIXELS = 2_000_000  # P-Net sees no larger picture; it needs 120 bytes for a pixel
PROPOSAL_SCORE, REFINED_SCORE = 0.6, 0.7
WINDOWS = 4_000  # the best so many go on at each step, so that a wall of faces takes seconds
CHUNK = 64  # windows through R-Net and O-Net at once; more are slower on a CPU


@dataclass(frozen=True, eq=False)
class Found:
    """One face."""

    xyxy: tuple[float, float, float, float]  # pixels of the upright picture, cut at its border
    score: float  # the detector's, [0, 1]
    # (5, 2) float32 x, y in pixels: left eye, right eye, nose, left and right corner of the mouth,
    # as seen in the picture; of a face that is cut off they can lie outside
    landmarks: np.ndarray


class Finder:
    """Keeps the three networks loaded."""

    def __init__(self, weights: Path, device: torch.device) -> None:
        self.device = device
        self.propose_net = load(ProposalNet(), "mtcnn-pnet.pt", weights).to(device)
        self.refine_net = load(RefineNet(), "mtcnn-rnet.pt", weights).to(device)
        self.output_net = load(OutputNet(), "mtcnn-onet.pt", weights).to(device)

    @torch.inference_mode()
    def find(
        self,
        picture: Image.Image,
        min_size: int = 20,
        score_threshold: float = 0.9,
        limit: int = 100,
    ) -> list[Found]:
        """The faces of an RGB picture, the largest area first; none is an empty list.

        Smaller faces than min_size pixels are not looked for. In a picture so large that its
        first size would have more than 2 megapixels, min_size is raised to make it 2: to 42
        pixels in 24 megapixels, 54 in 40.
        """
        halves = Halves(picture)
        boxes = self._propose(halves, min_size)
        boxes = self._refine(halves, boxes)
        boxes, scores, landmarks = self._output(halves, boxes, score_threshold)
        kept = drop_nested(boxes, scores, 0.7)
        corner = torch.tensor(picture.size).repeat(2)
        found = make_found(boxes[kept].clamp(min=0).minimum(corner), scores[kept], landmarks[kept])
        return sorted(found, key=area, reverse=True)[:limit]

    def _propose(self, halves: "Halves", min_size: int) -> Tensor:
        """Square windows (N, 4) that may hold a face."""
        boxes, scores = [torch.empty(0, 4)], [torch.empty(0)]
        for size in list_sizes(halves.size, min_size):
            found, found_scores = self._propose_at(halves, size)
            kept = nms(found, found_scores, 0.5)
            boxes.append(found[kept])
            scores.append(found_scores[kept])
        together, all_scores = torch.cat(boxes), torch.cat(scores)
        return make_square(together[nms(together, all_scores, 0.7)[:WINDOWS]])

    def _propose_at(self, halves: "Halves", size: tuple[int, int]) -> tuple[Tensor, Tensor]:
        """Boxes (N, 4) and scores (N,) that P-Net sees in the picture at one size."""
        scores, offsets = self.propose_net(self._to_input(halves.resize(size)[None]))
        scores, offsets = scores[0].flatten().cpu(), offsets[0]  # (H' * W',), (4, H', W')
        columns = offsets.shape[2]
        best, cells = scores.topk(min(WINDOWS, len(scores)))
        good = best > PROPOSAL_SCORE
        best, cells = best[good], cells[good]
        left_top = torch.stack([cells % columns, cells // columns], dim=1) * STRIDE
        windows = torch.cat([left_top, left_top + WINDOW], dim=1).float()
        scale = torch.tensor([halves.size[0] / size[0], halves.size[1] / size[1]]).repeat(2)
        shifts = offsets.flatten(1).T.cpu()[cells]  # (N, 4)
        return shift(windows * scale, shifts), best

    def _refine(self, halves: "Halves", boxes: Tensor) -> Tensor:
        """Those of the square windows (N, 4) that R-Net takes for faces, moved onto them."""
        scores, offsets = self._look(self.refine_net, halves, boxes, 24)
        good = scores > REFINED_SCORE
        boxes, scores, offsets = boxes[good], scores[good], offsets[good]
        kept = nms(boxes, scores, 0.7)[:WINDOWS]
        return make_square(shift(boxes[kept], offsets[kept]))

    def _output(
        self, halves: "Halves", boxes: Tensor, threshold: float
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes (N, 4), scores (N,) and landmarks (N, 5, 2) of what O-Net takes for faces."""
        scores, offsets, landmarks = self._look(self.output_net, halves, boxes, 48)
        sizes = boxes[:, 2:] - boxes[:, :2]
        landmarks = boxes[:, None, :2] + landmarks * sizes[:, None]
        good = scores >= threshold
        return shift(boxes, offsets)[good], scores[good], landmarks[good]

    def _look(
        self,
        network: Callable[[Tensor], tuple[Tensor, ...]],
        halves: "Halves",
        boxes: Tensor,
        side: int,
    ) -> tuple[Tensor, ...]:
        """What a network says of every window (N, 4), on the CPU."""
        chunks = [
            network(self._to_input(halves.cut(part, side)))
            for part in torch.split(boxes, CHUNK)  # of no boxes: one empty part
        ]
        return tuple(torch.cat(column).cpu() for column in zip(*chunks, strict=True))

    def _to_input(self, pixels: np.ndarray) -> Tensor:
        """(B, H, W, 3) uint8 -> (B, 3, H, W) in [-1, 1]."""
        on_device = torch.from_numpy(pixels).to(self.device)
        return on_device.permute(0, 3, 1, 2).float().sub_(127.5).div_(128)


class Halves:
    """A picture, half of it, a quarter ...: what is cut from the right one is cheap and smooth."""

    def __init__(self, picture: Image.Image) -> None:
        self.size = picture.size
        self.pictures = [picture]
        while min(self.pictures[-1].size) >= 2 * WINDOW:
            self.pictures.append(self.pictures[-1].reduce(2))

    def resize(self, size: tuple[int, int]) -> np.ndarray:
        """The whole picture, (height, width, 3) uint8."""
        best = self._choose(self.size[0] / size[0])
        resized = self.pictures[best].resize(size, Image.Resampling.BILINEAR)
        return np.array(resized)  # a copy: torch takes no array it cannot write to

    def cut(self, boxes: Tensor, side: int) -> np.ndarray:
        """Square windows (N, 4) -> (N, side, side, 3) uint8; black outside the picture."""
        cuts = np.zeros((len(boxes), side, side, 3), np.uint8)
        for row, (left, top, right, bottom) in enumerate(boxes.tolist()):
            best = self._choose((right - left) / side)
            extent = [value / 2**best for value in (left, top, right, bottom)]
            window = self.pictures[best].transform(
                (side, side), Image.Transform.EXTENT, extent, Image.Resampling.BILINEAR
            )
            cuts[row] = np.asarray(window)
        return cuts

    def _choose(self, shrink: float) -> int:
        """Which picture need not be enlarged, but not shrunk to less than half either."""
        halvings = int(math.log2(max(1.0, shrink)))
        return min(halvings, len(self.pictures) - 1)


def list_sizes(size: tuple[int, int], min_size: int) -> Iterator[tuple[int, int]]:
    """Width, height of the picture for P-Net, the largest first: in each it finds larger faces."""
    width, height = size
    face = max(min_size, WINDOW * math.sqrt(width * height / FIRST_PIXELS))
    while face <= min(width, height):  # pixels of the picture that become one window
        yield math.ceil(width * WINDOW / face), math.ceil(height * WINDOW / face)
        face /= STEP


def shift(boxes: Tensor, offsets: Tensor) -> Tensor:
    """Boxes (N, 4) moved by offsets (N, 4) in their widths and heights."""
    return boxes + offsets * (boxes[:, 2:] - boxes[:, :2]).repeat(1, 2)


def make_square(boxes: Tensor) -> Tensor:
    """The square (N, 4) of the longer side around the centre of each box (N, 4)."""
    centres = (boxes[:, :2] + boxes[:, 2:]) / 2
    reach = (boxes[:, 2:] - boxes[:, :2]).amax(dim=1, keepdim=True) / 2
    return torch.cat([centres - reach, centres + reach], dim=1)


def drop_nested(boxes: Tensor, scores: Tensor, threshold: float) -> Tensor:
    """The rows (K,) to keep, the best first, of boxes (N, 4) and scores (N,).

    Like non-maximum suppression, but the overlap is divided by the smaller area, so that a box
    inside another counts as the same face.
    """
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(dim=1)
    order, kept = scores.argsort(descending=True, stable=True), []
    while len(order):
        best, order = order[0], order[1:]
        kept.append(best)
        left_top = boxes[order, :2].maximum(boxes[best, :2])
        common = boxes[order, 2:].minimum(boxes[best, 2:]) - left_top
        overlap = common.clamp(min=0).prod(dim=1) / areas[order].minimum(areas[best])
        order = order[overlap <= threshold]
    return torch.stack(kept) if kept else order


def make_found(boxes: Tensor, scores: Tensor, landmarks: Tensor) -> list[Found]:
    rows = zip(boxes.tolist(), scores.tolist(), landmarks.numpy(), strict=True)
    return [
        Found((left, top, right, bottom), score, points)
        for (left, top, right, bottom), score, points in rows
        if right > left and bottom > top  # not wholly outside
    ]


def area(face: Found) -> float:
    left, top, right, bottom = face.xyxy
    return (right - left) * (bottom - top)
