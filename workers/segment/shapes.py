"""The regions of a mask for other programs: a COCO JSON of polygons or run lengths."""

import json
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import numpy as np

from workers.runtime.run import TooLarge
from workers.segment.contours import Corners, find_corners, trace
from workers.segment.regions import Runs, find_runs, label_regions
from workers.segment.rle import to_coco
from workers.segment.scores import ignore

MAX_POLYGONS = 10_000
MAX_CORNERS = 2_000_000  # of all polygons: seconds, and 20 MB of JSON
MAX_RUNS = 2_000_000  # of pixels along rows: what is more than that is noise
EVERY = 1000  # polygons that are written before it is told

Form = Literal["polygons", "rle"]
Watch = Callable[[float], None]  # gets how much is done, in [0, 1]; may raise
Json = dict[str, object]


def write_coco(
    mask: np.ndarray,
    names: Sequence[str],
    classes: Sequence[int],
    form: Form,
    watch: Watch = ignore,
) -> bytes:
    """The COCO JSON of a mask (H, W) uint8, of some of its classes; their ids are its indices.

    As "polygons" there is an annotation for each region: pixels of a class that share edges. The
    polygon surrounds exactly these; holes are joined to its outline. The largest MAX_POLYGONS with
    at most MAX_CORNERS are written. If the rows have more than MAX_RUNS runs, the regions are those
    of the longest. `info` tells how many pixels were left out, and how many regions, or runs and
    no regions, for nobody knows them then. Raises TooLarge if the largest is not simple enough.

    As "rle" there is one for each class that is there. It is no crowd, as in COCO-Stuff, for crowds
    are not learned.
    """
    height, width = mask.shape
    writers = {"polygons": _write_polygons, "rle": _write_run_lengths}
    annotations, info = writers[form](mask, classes, watch)
    head: Json = {
        "info": {"description": f"The regions of a mask, as {form}.", **info},
        "images": [{"id": 1, "file_name": "picture.png", "width": width, "height": height}],
        "categories": [{"id": one, "name": names[one]} for one in classes],
    }
    start = json.dumps(head)[:-1]
    rows = ",\n".join(annotations)
    return f'{start}, "annotations": [{rows}]}}'.encode()


def _write_polygons(
    mask: np.ndarray, classes: Sequence[int], watch: Watch
) -> tuple[list[str], Json]:
    runs = find_runs(mask, np.array(classes, np.int64), MAX_RUNS)
    watch(0.1)
    regions = label_regions(runs)
    areas = np.bincount(regions, runs.stops - runs.starts).astype(np.int64)
    kept, corners = _choose(runs, regions, areas)
    watch(0.4)
    inside = kept[regions]
    rings = trace(runs.keep(inside), corners)
    values = np.zeros(len(areas), np.uint8)
    values[regions] = runs.values
    rows = []
    for place, region in enumerate(np.flatnonzero(kept).tolist()):
        if place % EVERY == 0:
            watch(0.6 + 0.4 * place / len(rings))
        ring = rings[place]
        (left, top), (right, bottom) = ring.min(axis=0).tolist(), ring.max(axis=0).tolist()
        box = [left, top, right - left, bottom - top]
        polygon = [ring.ravel().tolist()]
        rows.append(_annotate(place, int(values[region]), polygon, box, int(areas[region])))
    info: Json = {"pixels_left_out": int(np.isin(mask, classes).sum()) - int(areas[kept].sum())}
    if runs.left_out:
        return rows, info | {"runs_left_out": runs.left_out}
    return rows, info | {"regions_left_out": len(areas) - len(rings)}


def _choose(runs: Runs, regions: np.ndarray, areas: np.ndarray) -> tuple[np.ndarray, Corners]:
    """(which regions are written (R,) bool, their corners): the largest that can be."""
    order = np.argsort(-areas, kind="stable")[:MAX_POLYGONS]
    kept = np.zeros(len(areas), bool)
    kept[order] = True
    inside = kept[regions]
    corners = find_corners(runs.keep(inside), regions[inside])
    counts = np.bincount(corners.regions, minlength=len(areas))
    kept[order] = np.cumsum(counts[order]) <= MAX_CORNERS
    if len(order) and not kept.any():
        raise TooLarge(
            f"The largest region has more than {MAX_CORNERS} corners: ask for run lengths."
        )
    return kept, corners.keep(kept[corners.regions])


def _write_run_lengths(
    mask: np.ndarray, classes: Sequence[int], watch: Watch
) -> tuple[list[str], Json]:
    return list(_annotate_classes(mask, classes, watch)), {}


def _annotate_classes(mask: np.ndarray, classes: Sequence[int], watch: Watch) -> Iterator[str]:
    areas = np.bincount(mask.ravel(), minlength=256).tolist()
    turned = np.ascontiguousarray(mask.T)  # once, for runs go down the columns
    for place, one in enumerate(classes):
        watch(place / len(classes))
        if areas[one]:
            own = (turned == one).T
            rows, columns = (np.flatnonzero(own.any(axis=axis)).tolist() for axis in (1, 0))
            box = [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
            yield _annotate(place, one, to_coco(own), box, areas[one])


def _annotate(place: int, category: int, segmentation: object, box: list[int], area: int) -> str:
    return json.dumps(
        {
            "id": place + 1,
            "image_id": 1,
            "category_id": category,
            "segmentation": segmentation,
            "bbox": box,
            "area": area,
            "iscrowd": 0,
        }
    )
