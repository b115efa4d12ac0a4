"""Is average precision what others publish for the same boxes, whatever format they come in?"""

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from bench.options import Options
from bench.report import Report
from workers.detect.average_precision import Detections, Interpolation, evaluate
from workers.detect.coco_average_precision import evaluate_coco
from workers.detect.labelled import LabelledPicture, Labels
from workers.detect.read_labelled import read_folder

# Padilla et al. (2021), "A comparative analysis of object detection metrics with a companion
# open-source toolkit": the figures of its toy example, ten pictures of cats.
PUBLISHED: dict[tuple[float, Interpolation], float] = {
    (0.5, "11-point"): 0.8864,
    (0.5, "all-point"): 0.8958,
    (0.75, "11-point"): 0.4924,
    (0.75, "all-point"): 0.5097,
}
ROUNDED = 5e-5  # how far a published figure may be from the one that was rounded
CLASS = "cat"
COLUMNS = ("overlap", "interpolation", "published", "ours", "other formats", "as edges")

Corners = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (N, 4), (width, height) -> xyxy


def from_corners(rows: np.ndarray, _: np.ndarray) -> np.ndarray:
    return rows


def from_size(rows: np.ndarray, _: np.ndarray) -> np.ndarray:
    return np.hstack([rows[:, :2], rows[:, :2] + rows[:, 2:]])


def from_centre(rows: np.ndarray, size: np.ndarray) -> np.ndarray:
    """In whole pixels, as the toolkit has them: at 0.75 a third of a pixel decides on a box."""
    corner = ((rows[:, :2] - rows[:, 2:] / 2) * size).round()
    return np.hstack([corner, corner + (rows[:, 2:] * size).round()])


FORMATS: dict[str, Corners] = {
    "abs_xyx2y2": from_corners,
    "abs_xywh": from_size,
    "rel_xcycwh": from_centre,
}


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("detect_toy needs --data: the folder of the toy example")
    data = read_folder(options.data, kind="voc")
    # Pixels as they are written: the reader made edges of them.
    truth = [
        Labels.of(np.add(picture.labels.boxes, (1, 1, 0, 0)), picture.labels.classes)
        for picture in data.pictures
    ]
    found = dict(read_all(options.data, data.pictures))
    rows = [
        compare(truth, list(found.values()), *asked, published)
        for asked, published in PUBLISHED.items()
    ]
    first = next(iter(found.values()))
    coco = evaluate_coco(truth, first, (CLASS,))
    rows += [
        {"overlap": overlap, "interpolation": "101-point, faster-coco-eval", "as edges": figure}
        for overlap, figure in ((0.5, coco.at_50), (0.75, coco.at_75))
    ]
    return Report("detect_toy", COLUMNS, rows, judge(rows, list(found)))


def compare(
    truth: Sequence[Labels],
    found: Sequence[Sequence[Detections]],
    overlap: float,
    interpolation: Interpolation,
    published: float,
) -> dict[str, Any]:
    """`found` by format; the first one is `ours`, of the others the one that differs most."""
    ours, *others = (
        evaluate(truth, one, (CLASS,), overlap, interpolation, inclusive=True).mean for one in found
    )
    return {
        "overlap": overlap,
        "interpolation": interpolation,
        "published": published,
        "ours": ours,
        "other formats": max(others, key=lambda other: abs(other - ours)),
        "as edges": evaluate(truth, found[0], (CLASS,), overlap, interpolation).mean,
    }


def judge(rows: Sequence[dict[str, Any]], formats: Sequence[str]) -> list[str]:
    known = [row for row in rows if "published" in row]
    missed = [
        row
        for row in known
        if any(abs(row[name] - row["published"]) > ROUNDED for name in ("ours", "other formats"))
    ]
    return [
        f"Published figures met: {len(known) - len(missed)} of {len(known)}.",
        f"Formats: {', '.join(formats)}.",
        "Boxes name their last pixel, as the devkit's do; `as edges` takes them for edges.",
    ]


def read_all(
    data: Path, pictures: Sequence[LabelledPicture]
) -> Iterator[tuple[str, list[Detections]]]:
    """What was found on each picture, by format."""
    names = (data / "voc.names").read_text().split()
    for form, corners in FORMATS.items():
        for kind, own in (("classname", CLASS), ("classid", str(names.index(CLASS)))):
            folder = data / f"dets_{kind}_{form}"
            yield folder.name, [read_text(folder, one, own, corners) for one in pictures]
    yield "dets_coco_format", read_coco(data / "dets_coco_format" / "coco_dets.json", pictures)


def read_text(folder: Path, picture: LabelledPicture, own: str, corners: Corners) -> Detections:
    """Lines of a class, a score and four numbers."""
    lines = (folder / f"{Path(picture.path).stem}.txt").read_text().splitlines()
    cells = [line.split() for line in lines if line.split()[:1] == [own]]
    values = np.array([row[1:] for row in cells], float).reshape(-1, 5)
    return hold(corners(values[:, 1:], np.array([picture.width, picture.height])), values[:, 0])


def read_coco(path: Path, pictures: Sequence[LabelledPicture]) -> list[Detections]:
    content = json.loads(path.read_text())
    [own] = [one["id"] for one in content["categories"] if one["name"] == CLASS]
    ids = {one["file_name"]: one["id"] for one in content["images"]}
    rows: dict[int, list[list[float]]] = {number: [] for number in ids.values()}
    for one in content["annotations"]:
        if one["category_id"] == own:
            rows[one["image_id"]].append([one["score"], *one["bbox"]])
    found = []
    for picture in pictures:
        values = np.array(rows[ids[Path(picture.path).name]], float).reshape(-1, 5)
        corners = np.hstack([values[:, 1:3], values[:, 1:3] + values[:, 3:]])
        found.append(hold(corners, values[:, 0]))
    return found


def hold(boxes: np.ndarray, scores: np.ndarray) -> Detections:
    return Detections(boxes, scores, np.zeros(len(scores), int))
