"""What painting in one pass costs, beside painting the same picture step by step."""

import time
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from bench.options import Options
from bench.pictures import open_photo
from bench.report import ROOT, Report, tell
from bench.style_bare import Styling, draw_sheet
from workers.style.fields import DEFAULT_MODEL
from workers.style.stained_glass import draw_stained_glass

PHOTO = "china.jpg"  # which the published network never saw
SIZE, QUICK_SIZE = 450, 96  # pixels of the longer side
ROUNDS = 7
TIMES = 100.0  # as fast as the default preset, at least
SHEET = ROOT / "docs" / "images" / "style-one-pass.jpg"

COLUMNS = ("way", "width", "height", "steps", "cpu s", "times one pass")


def run(options: Options) -> Report:
    size = QUICK_SIZE if options.quick else SIZE
    content = open_photo(PHOTO)
    style = draw_stained_glass()
    with TemporaryDirectory() as folder:
        styling = Styling(Path(folder))
        quick, once = paint_both(styling, content, style, size)
    if not options.quick:
        sheet = draw_sheet([content, style, quick.pop("picture"), once.pop("picture")], 4)
        SHEET.parent.mkdir(parents=True, exist_ok=True)
        sheet.save(SHEET, quality=85)
    rows = summarise([quick, once])
    return Report("style_one_pass", COLUMNS, rows, judge(rows), rows)


def paint_both(
    styling: Styling, content: Image.Image, style: Image.Image, size: int
) -> list[dict[str, Any]]:
    """By optimisation with the default preset, and in one pass; each ready before it is timed."""
    small = content.resize((64, 48))
    styling.transfer(small, [style], size=64, steps=1, scales=1)
    styling.apply(small)

    def paint_slowly() -> tuple[Any, int]:
        result = styling.transfer(content, [style], size=size)
        return result, result.steps

    def paint_at_once() -> tuple[Any, int]:
        return styling.apply(content, size=size), 1

    return [
        measure(styling, "quick", paint_slowly, 1),
        measure(styling, DEFAULT_MODEL, paint_at_once, ROUNDS),
    ]


def measure(
    styling: Styling, way: str, paint: Callable[[], tuple[Any, int]], rounds: int
) -> dict[str, Any]:
    """From the file to the file, the median of some rounds."""
    spent = []
    for _ in range(rounds):
        begun = time.process_time()
        result, steps = paint()
        spent.append(time.process_time() - begun)
    picture = styling.open(result.picture)
    figures = {"width": picture.width, "height": picture.height, "steps": steps}
    return {"way": way, **figures, "cpu s": median(spent), "picture": picture}


def summarise(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Without the pictures; the last row is that of the one pass."""
    once = rows[-1]["cpu s"]
    return [
        {name: row[name] for name in COLUMNS[:-1]} | {COLUMNS[-1]: row["cpu s"] / once}
        for row in rows
    ]


def judge(rows: Sequence[dict[str, Any]]) -> list[str]:
    found = rows[0]["times one pass"]
    verdict = tell(found >= TIMES)
    return [
        f"{verdict}: one pass is {found:.0f} times as fast as the default preset; "
        f"wanted {TIMES:.0f}",
        "From the file of the photograph to that of the painting, processor time of one thread.",
    ]
