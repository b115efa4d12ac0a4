"""What the default preset makes of six pairs of pictures, and what total variation is worth.

`--data` is a folder with the pictures of PAIRS, such as fast neural style's own examples; the
sheet goes to `ATELIER_HOME/bench`, for they are not ours.
"""

import time
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from PIL import Image

from bench.options import Options
from bench.report import Report, tell
from bench.style_bare import Styling, draw_sheet, measure_noise
from shared.settings import read_settings
from workers.style.transfer_contract import TransferResult

PAIRS = (
    *(("golden_gate", "mosaic"), ("golden_gate", "udnie"), ("golden_gate", "escher_sphere")),
    *(("hoovertowernight", "shipwreck"), ("hoovertowernight", "woman-with-hat-matisse")),
    ("hoovertowernight", "amber"),
)
SIZE, QUICK_SIZE = 320, 96  # pixels of the longer side
SMOOTH, ROUGH = 10.0, 0.0  # weights of total variation that are compared
SMOOTHED = {"preset": "d2l_v2", "steps": 150}  # where 10 is the published weight
MOST = 60.0  # seconds of one core for a picture

COLUMNS = (
    *("content", "style", "tv weight", "start style", "style loss", "start total", "total"),
    *("noise", "cpu s"),
)


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("style_pictures needs --data: a folder of pictures, see PAIRS")
    pairs = PAIRS[:1] if options.quick else PAIRS
    size = QUICK_SIZE if options.quick else SIZE
    with TemporaryDirectory() as folder:
        styling = Styling(Path(folder))
        painted = [paint(styling, options.data, *pair, {}, size) for pair in pairs]
        rough, smooth = (
            paint(styling, options.data, *pairs[0], {**SMOOTHED, "tv_weight": weight}, size)
            for weight in (ROUGH, SMOOTH)
        )
    rows = [row for row, _ in [*painted, rough, smooth]]
    sheets = Path(read_settings().home) / "bench"
    sheets.mkdir(parents=True, exist_ok=True)
    draw_sheet([one for _, row in painted for one in row]).save(sheets / "style_pictures.png")
    draw_sheet([rough[1][0], rough[1][2], smooth[1][2]]).save(sheets / "style_tv.png")
    notes = [
        *judge(rows),
        "The sheets are style_pictures.png and style_tv.png in its bench folder.",
    ]
    return Report("style_pictures", COLUMNS, rows, notes, rows)


def paint(
    styling: Styling, data: Path, content: str, style: str, fields: dict[str, Any], size: int
) -> tuple[dict[str, Any], list[Image.Image]]:
    """What it cost and came to; content, style, and the painting."""
    pictures = [Image.open(data / f"{name}.jpg").convert("RGB") for name in (content, style)]
    begun = time.process_time()
    result = styling.transfer(pictures[0], pictures[1:], size=size, **fields)
    spent = time.process_time() - begun
    painted = styling.open(result.picture)
    row = {
        "content": content,
        "style": style,
        **list_losses(result),
        "noise": measure_noise(painted),
    }
    return row | {"cpu s": spent}, [*pictures, painted]


def list_losses(result: TransferResult) -> dict[str, float]:
    """Losses of the last size, before its first step and at the end."""
    return {
        "tv weight": result.recipe.tv_weight,
        "start style": result.start.style,
        "style loss": result.losses.style,
        "start total": result.start.total,
        "total": result.losses.total,
    }


def judge(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The targets beside what was found; the last two rows are rough and smooth."""
    *painted, rough, smooth = rows
    fallen = sum(row["style loss"] < row["start style"] / 2 for row in painted)
    slowest = max(row["cpu s"] for row in painted)
    share = smooth["noise"] / rough["noise"]
    return [
        f"{tell(fallen == len(painted))}: in {fallen} of {len(painted)} the style's loss "
        "at the last size more than halves; wanted all",
        f"{tell(slowest <= MOST)}: at most {slowest:.0f} s of one core; wanted {MOST:.0f}",
        f"{tell(share < 1)}: with a TV weight of {SMOOTH:g} there is {share:.2f} times the "
        f"noise of {ROUGH:g}; wanted less",
    ]
