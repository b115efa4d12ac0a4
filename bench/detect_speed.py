"""What finding objects costs on one thread: ours, in onnxruntime, and torchvision's SSDlite."""

import time
from collections.abc import Callable, Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from onnxruntime import InferenceSession, SessionOptions
from PIL import Image
from torch import Tensor
from torchvision.models.detection import ssdlite320_mobilenet_v3_large
from torchvision.models.detection.ssd import SSD
from torchvision.transforms.functional import pil_to_tensor

from bench.bare import Detector
from bench.options import Options
from bench.pictures import make_pictures
from bench.report import Report
from workers.detect.fields import SCORE_THRESHOLDS, Published
from workers.detect.finding import put_on_square
from workers.detect.onnx_file import write_onnx
from workers.detect.process import stack
from workers.detect.served import Served
from workers.detect.suppression import suppress

BATCHES = (1, 8, 32)
COUNT = max(BATCHES)  # different pictures
ROUNDS = 3  # at least, of each batch size
SSD_SIDE = 320  # pixels
STEPS = 24  # halvings of the interval in which the score threshold of the SSD is sought

Way = Callable[[int], object]  # looks at so many pictures

COLUMNS = (
    "model",
    "from",
    "to",
    "batch",
    "cpu ms/picture",
    "pictures/s",
    "of network",
    "of ssdlite",
)


def run(options: Options) -> Report:
    pictures = make_pictures(COUNT)
    detector = Detector()
    kept = count_boxes(detector, pictures)
    ssd, found = make_ssd(pictures, kept)
    with TemporaryDirectory() as folder:
        ways = {
            **list_ours(detector, pictures, Path(folder)),
            ("ssdlite320", "tensors", "boxes"): use_ssd(ssd, make_tensors(pictures)),
            ("ssdlite320", "jpeg", "boxes"): use_ssd_on_files(ssd, pictures),
        }
        cells = [cell for batch in BATCHES for cell in measure(ways, batch, options.seconds)]
    notes = [
        f"{COUNT} photographs of 320 x 240, one thread; processor time, the median of rounds in "
        "which all ways take turns. SSDlite sees 320 x 320 pixels, ours 416 x 416.",
        f"SSDlite has random weights, and a score threshold at which {found:.1f} boxes are left in "
        f"a picture; nanodet-g shows {kept:.1f}. So it says nothing about what SSDlite finds.",
    ]
    return Report("detect_speed", COLUMNS, summarise(cells), notes, cells)


def list_ours(
    detector: Detector, pictures: Sequence[bytes], folder: Path
) -> dict[tuple[str, str, str], Way]:
    """What is looked with, where it begins, and where it ends -> how."""
    ways: dict[tuple[str, str, str], Way] = {}
    for name in SCORE_THRESHOLDS:
        served = detector.worker.detectors.published[name]
        squares = make_squares(served, pictures)
        ways[name, "tensors", "candidates"] = use_network(served, squares)
        ways[name, "tensors", "boxes"] = use_network(served, squares, to_boxes=True)
        ways[name, "tensors", "candidates, onnxruntime"] = use_onnx(served, squares, folder)
        ways[name, "jpeg", "boxes"] = use_worker(detector, name, pictures)
    return ways


def make_squares(served: Served, pictures: Sequence[bytes]) -> Tensor:
    """(B, 3, side, side), as the worker makes them."""
    opened = [Image.open(BytesIO(one)).convert("RGB") for one in pictures]
    return stack([put_on_square(served, one)[0] for one in opened], torch.device("cpu"))


def use_network(served: Served, squares: Tensor, to_boxes: bool = False) -> Way:
    @torch.inference_mode()
    def look(count: int) -> None:
        boxes, scores = served.network.predict(squares[:count])
        if to_boxes:
            for own in zip(boxes, scores, strict=True):
                suppress(*own, served.suppression)

    return look


def use_onnx(served: Served, squares: Tensor, folder: Path) -> Way:
    path = folder / f"{served.name}.onnx"
    write_onnx(served, path)
    options = SessionOptions()
    options.intra_op_num_threads = 1
    session = InferenceSession(path, options, providers=["CPUExecutionProvider"])
    plain = squares.contiguous().numpy()
    return lambda count: session.run(None, {"pictures": plain[:count]})


def use_worker(detector: Detector, model: Published, pictures: Sequence[bytes]) -> Way:
    """The method that answers jobs: decoding, square, network, suppression, named boxes."""
    return lambda count: detector.detect(pictures[:count], model=model)


def count_boxes(detector: Detector, pictures: Sequence[bytes]) -> float:
    """What nanodet-g shows in a picture, on average."""
    results = detector.detect(pictures, model="nanodet-g")
    return float(np.mean([len(result["boxes"]) for result in results]))


def make_ssd(pictures: Sequence[bytes], kept: float) -> tuple[SSD, float]:
    """A network that leaves at most `kept` boxes in a picture on average, and how many it leaves.

    Random weights score all boxes alike: at the usual threshold all would go through suppression.
    """
    torch.manual_seed(0)
    ssd = ssdlite320_mobilenet_v3_large(weights=None, weights_backbone=None).eval()
    tensors = make_tensors(pictures[:4])
    low, high = 0.0, 1.0
    for _ in range(STEPS):
        ssd.score_thresh = (low + high) / 2
        if count_ssd_boxes(ssd, tensors) > kept:
            low = ssd.score_thresh
        else:
            high = ssd.score_thresh
    ssd.score_thresh = high
    return ssd, count_ssd_boxes(ssd, tensors)


@torch.inference_mode()
def count_ssd_boxes(ssd: SSD, tensors: list[Tensor]) -> float:
    return float(np.mean([len(found["boxes"]) for found in ssd(tensors)]))


def make_tensors(pictures: Sequence[bytes]) -> list[Tensor]:
    """(3, 320, 320) in [0, 1] each: what SSDlite scales its pictures to."""
    size = [SSD_SIDE, SSD_SIDE]
    return [torch.nn.functional.interpolate(read(one)[None], size)[0] for one in pictures]


def read(picture: bytes) -> Tensor:
    """A file as torchvision's own examples read it: (3, H, W) in [0, 1]."""
    pixels: Tensor = pil_to_tensor(Image.open(BytesIO(picture)).convert("RGB"))
    return pixels.float().div_(255)


def use_ssd(ssd: SSD, tensors: list[Tensor]) -> Way:
    @torch.inference_mode()
    def look(count: int) -> None:
        ssd(tensors[:count])

    return look


def use_ssd_on_files(ssd: SSD, pictures: Sequence[bytes]) -> Way:
    @torch.inference_mode()
    def look(count: int) -> None:
        ssd([read(one) for one in pictures[:count]])

    return look


def measure(
    ways: Mapping[tuple[str, str, str], Way], batch: int, seconds: float
) -> list[dict[str, Any]]:
    """They take turns, so that a slow moment hits all; `seconds` for each, or ROUNDS rounds."""
    for look in ways.values():
        look(batch)  # torch and onnxruntime plan the memory of a new shape
    spent: dict[tuple[str, str, str], list[float]] = {way: [] for way in ways}
    begun, rounds = time.perf_counter(), 0
    while rounds < ROUNDS or time.perf_counter() - begun < seconds * len(ways):
        rounds += 1
        for way, look in ways.items():
            started = time.process_time()
            look(batch)
            spent[way].append(time.process_time() - started)
    return [
        {"model": model, "from": start, "to": end, "batch": batch, "seconds": times}
        for (model, start, end), times in spent.items()
    ]


def summarise(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians, and speeds as shares of the model's own bare network and of SSDlite's."""
    rows = []
    for cell in cells:
        row = {name: cell[name] for name in ("model", "from", "to", "batch")}
        cost = median(cell["seconds"]) / cell["batch"]
        rows.append({**row, "cpu ms/picture": 1000 * cost, "pictures/s": 1 / cost})
    speeds = {tuple(row[name] for name in COLUMNS[:4]): row["pictures/s"] for row in rows}
    for row in rows:
        network = speeds.get((row["model"], "tensors", "candidates", row["batch"]))
        peer = speeds.get(("ssdlite320", row["from"], "boxes", row["batch"]))
        row["of network"] = row["pictures/s"] / network if network else None
        row["of ssdlite"] = row["pictures/s"] / peer if peer and row["to"] == "boxes" else None
    return rows
