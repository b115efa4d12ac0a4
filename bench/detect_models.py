"""How well the published detectors find vehicles and people on streets, and what that costs."""

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image
from scipy import ndimage

from bench.bare import Detector
from bench.options import Options
from bench.report import Report
from workers.detect.average_precision import Curve, Detections, evaluate
from workers.detect.fields import SCORE_THRESHOLDS
from workers.detect.labelled import Labels

PARTS = ("train_pairs.txt", "val_pairs.txt")  # of CamVid: a picture and its mask in each line
QUICK_STEP = 10  # every tenth picture
KINDS = ("vehicle", "pedestrian")
COCO = {"car": 0, "bus": 0, "truck": 0, "person": 1}  # what counts as which kind
CAR, PEDESTRIAN, CYCLIST = 8, 9, 10  # as the masks number them
# In pixels of a component; smaller ones are mostly pieces of what stands behind something.
SMALLEST = {CAR: 1000, PEDESTRIAN: 300}
LEAST_SCORE = 0.05  # of the boxes that average precision is measured with

COLUMNS = (
    *("model", "objects", "labelled", "AP50", "AP75"),
    *("from score", "recall", "precision", "false boxes", "cpu ms/picture"),
)


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("detect_models needs --data: a folder with CamVid and its lists of pairs")
    pairs = list_pairs(options.data)[:: QUICK_STEP if options.quick else 1]
    labels = [label(np.asarray(Image.open(mask))) for _, mask in pairs]
    detector, rows = Detector(), list[dict[str, Any]]()
    for model in SCORE_THRESHOLDS:
        started = time.process_time()
        found = [detect(detector, picture, model) for picture, _ in pairs]
        cost = 1000 * (time.process_time() - started) / len(pairs)
        rows += [{"model": model, **row, "cpu ms/picture": cost} for row in compare(labels, found)]
    return Report("detect_models", COLUMNS, rows, [f"{len(pairs)} pictures of CamVid."])


def list_pairs(data: Path) -> list[tuple[Path, Path]]:
    lines = [line.split() for part in PARTS for line in (data / part).read_text().splitlines()]
    return [(data / picture, data / mask) for picture, mask in lines]


def label(mask: np.ndarray) -> Labels:
    """A mask (H, W) -> a box around each component of a kind.

    Small components, and cyclists, whom a detector rightly takes for people, need not be found.
    """
    boxes, classes, optional = list[list[int]](), list[int](), list[bool]()
    for number, kind in (CAR, 0), (PEDESTRIAN, 1), (CYCLIST, 1):
        components, _ = ndimage.label(mask == number, structure=np.ones((3, 3)))
        sizes = np.bincount(components.ravel())[1:]
        for (rows, columns), size in zip(ndimage.find_objects(components), sizes, strict=True):
            boxes.append([columns.start, rows.start, columns.stop, rows.stop])
            classes.append(kind)
            optional.append(bool(size < SMALLEST.get(number, np.inf)))
    return Labels.of(boxes, classes, difficult=optional)


def detect(detector: Detector, picture: Path, model: str) -> Detections:
    """What the worker's own method finds, other things than KINDS left out."""
    (result,) = detector.detect([picture.read_bytes()], model=model, score_threshold=LEAST_SCORE)
    boxes = [box for box in result["boxes"] if box["label"] in COCO]
    return Detections(
        np.array([box["xyxy"] for box in boxes]).reshape(-1, 4),
        np.array([box["score"] for box in boxes]),
        np.array([COCO[box["label"]] for box in boxes], int),
    )


def compare(labels: Sequence[Labels], found: Sequence[Detections]) -> list[dict[str, Any]]:
    """A row for each kind, and each score from which boxes could be shown."""
    at_50, at_75 = (evaluate(labels, found, KINDS, overlap).curves for overlap in (0.5, 0.75))
    rows = []
    for kind in KINDS:
        average = {"AP50": at_50[kind].average, "AP75": at_75[kind].average}
        for score in sorted(SCORE_THRESHOLDS.values()):
            shown = [leave_out(one, score) for one in found]
            curve = evaluate(labels, shown, KINDS).curves[kind]
            rows.append({"objects": kind, **average, "from score": score, **count(curve)})
    return rows


def leave_out(found: Detections, score: float) -> Detections:
    """Only the boxes that score so much."""
    kept = found.scores >= score
    return Detections(found.boxes[kept], found.scores[kept], found.classes[kept])


def count(curve: Curve) -> dict[str, Any]:
    """How it stands if every box counts; without a box there is no precision."""
    shown = len(curve.recall)
    right = round(curve.objects * float(curve.recall[-1])) if shown else 0
    return {
        "labelled": curve.objects,
        "recall": right / curve.objects,
        "precision": right / shown if shown else None,
        "false boxes": shown - right,
    }
