"""How much memory a large picture takes: in tiles, beside the whole of it at once.

Each picture has a process of its own, whose peak Linux tells. What a whole picture of 24
megapixels would take is the line through smaller ones.
"""

import math
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from io import BytesIO
from multiprocessing import get_context
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image

from bench.options import Options
from bench.pictures import open_photo
from bench.report import Report, tell
from bench.segment_bare import Segmenting
from workers.runtime.images import decode
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.scores import choose_best
from workers.segment.sizes import take_pixels

PHOTO = "china.jpg"
LARGE = 24.0  # megapixels: 6000 x 4000
MOST, MOST_AT_FULL = 1000.0, 1500.0  # MB that a job may add to the process

COLUMNS = ("way", "width", "height", "MB before", "MB peak", "MB more", "cpu s")


@dataclass(frozen=True)
class Case:
    """A picture of 3 : 2, and how it is looked at."""

    way: str
    megapixels: float
    fields: dict[str, Any] = field(default_factory=dict)  # of the request
    whole: bool = False  # no job: the network sees all of it at once, at its own size

    @property
    def size(self) -> tuple[int, int]:
        """Width and height."""
        height = round(math.sqrt(self.megapixels * 1e6 * 2 / 3))
        return height * 3 // 2, height


DEFAULT, FULL = "default resolution", "its own resolution"
EVERYTHING = {"overlay": True, "heat_maps": True, "shapes": "rle"}
CASES = (
    Case(DEFAULT, LARGE),
    Case(f"{DEFAULT}, all outputs", LARGE, EVERYTHING),
    Case(FULL, LARGE, {"resolution": 4000}),
    *(Case("whole at once", megapixels, whole=True) for megapixels in (1.0, 2.0, 4.0)),
)


def run(options: Options) -> Report:
    cases = CASES if not options.quick else [case for case in CASES if case.megapixels <= 2]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        rows = []
        for case in cases:
            path.write_bytes(make_picture(case.size))
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                rows.append(pool.submit(look, case, path).result())
            print(rows[-1], flush=True)
    return Report("segment_memory", COLUMNS, rows, judge(rows), rows)


def make_picture(size: tuple[int, int]) -> bytes:
    """A JPEG file: a photograph enlarged."""
    photo = open_photo(PHOTO)
    file = BytesIO()
    photo.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def look(case: Case, path: Path) -> dict[str, Any]:
    """In a process that did nothing yet."""
    with TemporaryDirectory() as folder:
        segmenting = Segmenting(Path(folder))
        segmenting.worker.warm_up()
        content = path.read_bytes()
        before, begun = read_memory("VmRSS"), time.process_time()
        if case.whole:
            look_at_whole(segmenting, content)
        else:
            segmenting.segment([content], model=DEFAULT_MODEL, **case.fields)
        spent, peak = time.process_time() - begun, read_memory("VmHWM")
    width, height = case.size
    figures = (case.way, width, height, before, peak, peak - before, spent)
    return dict(zip(COLUMNS, figures, strict=True))


def look_at_whole(segmenting: Segmenting, content: bytes) -> np.ndarray:
    """The mask, from scores of all pixels at once."""
    served = segmenting.worker.segmenters.open("bench", DEFAULT_MODEL)
    picture = decode(content)
    tile = take_pixels(picture, (picture.height, picture.width))
    return choose_best(served.score(tile[None])[0]).numpy()


def read_memory(name: str) -> float:
    """VmRSS: what is held now; VmHWM: the most that was ever held. In MB, of this process."""
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1]) * 1024 / 1e6


def judge(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The targets beside what was found, and where the line of whole pictures leads."""
    targets = [
        f"{tell(row['MB more'] <= most)}: {row['way']}, {row['MB more']:.0f} MB "
        f"more; wanted {most:.0f}"
        for way, most in ((DEFAULT, MOST), (FULL, MOST_AT_FULL))
        for row in rows
        if row["way"] == way
    ]
    whole = [row for row in rows if row["way"] == "whole at once"]
    if len(whole) > 1:
        pixels = [row["width"] * row["height"] / 1e6 for row in whole]
        slope, offset = np.polyfit(pixels, [row["MB more"] for row in whole], 1)
        targets.append(
            f"whole at once: {slope:.0f} MB a megapixel; {LARGE:.0f} megapixels would take "
            f"{(slope * LARGE + offset) / 1000:.1f} GB"
        )
    return targets
