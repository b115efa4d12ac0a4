"""What each control of a painting does to one photograph, as a picture for the docs."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from bench.options import Options
from bench.pictures import open_photo
from bench.report import ROOT, Report
from bench.style_bare import Styling, measure_noise
from workers.segment.draw import load_font
from workers.style.stained_glass import draw_stained_glass

PHOTO = "china.jpg"
WIDTH, HEIGHT, QUICK_WIDTH = 240, 160, 48  # pixels
STEPS, QUICK_STEPS = 80, 2
COLUMNS_SHOWN, GAP, CAPTION = 4, 4, 20  # cells in a row; pixels
PATH = ROOT / "docs" / "images" / "style-controls.jpg"
MAX_BYTES = 150_000

COLUMNS = ("control", "content loss", "style loss", "tv loss", "noise")


@dataclass(frozen=True)
class Case:
    """Fields of the request beside the default preset's, and what is painted beside its style."""

    caption: str
    fields: dict[str, Any] = field(default_factory=dict)
    masked: bool = False
    mixed: bool = False  # with a second style


CASES = (
    Case("the default"),
    Case("strength 0.01", {"strength": 0.01}),
    Case("strength 0.001", {"strength": 0.001}),
    Case("style_scale 2", {"style_scale": 2}),
    Case("colours: content", {"colours": "content"}),
    Case("a mask: the right half", masked=True),
    Case("two styles", mixed=True),
    Case("style_layers: relu1_1", {"style_layers": ["relu1_1"]}),
    Case("style_layers: relu4_1", {"style_layers": ["relu4_1"]}),
    Case("content_layers: relu1_1", {"content_layers": ["relu1_1"]}),
    Case("start: noise", {"start": "noise"}),
    Case("tv_weight 1000", {"tv_weight": 1000}),
)


def run(options: Options) -> Report:
    size, steps = (QUICK_WIDTH, QUICK_STEPS) if options.quick else (WIDTH, STEPS)
    rows, painted = [], []
    with TemporaryDirectory() as folder:
        styling = Styling(Path(folder))
        for case in CASES:
            row, picture = paint(styling, case, size, steps)
            rows.append(row)
            painted.append((case.caption, picture))
            print(row, flush=True)
    if not options.quick:
        save(draw(painted), PATH)
    return Report("style_controls", COLUMNS, rows, [f"The picture is {PATH.relative_to(ROOT)}."])


def paint(
    styling: Styling, case: Case, size: int, steps: int
) -> tuple[dict[str, Any], Image.Image]:
    content, styles = read_photo(), [draw_stained_glass()]
    if case.mixed:
        styles.append(draw_waves())
    fields = {"size": size, "steps": steps, **case.fields}
    if case.masked:
        fields["mask"] = styling.add(draw_mask(content.size))
    result = styling.transfer(content, styles, **fields)
    picture = styling.open(result.picture)
    losses = {
        "content loss": result.losses.content,
        "style loss": result.losses.style,
        "tv loss": result.losses.tv,
    }
    return {"control": case.caption, **losses, "noise": measure_noise(picture)}, picture


def read_photo() -> Image.Image:
    """3 : 2, RGB."""
    photo = open_photo(PHOTO)
    return photo.resize((photo.height * 3 // 2, photo.height))


def draw_waves(side: int = 512) -> Image.Image:
    """A second style: light lines of foam on deep blue."""
    rows, columns = np.indices((side, side)) / side
    height = rows * 24 + np.sin(columns * 18 + rows * 9) + 0.6 * np.sin(columns * 41 - rows * 15)
    foam = np.clip(np.sin(height * 2 * np.pi / 3), 0, 1)[..., None] ** 2
    drawn = (1 - foam) * (16, 46, 110) + foam * (214, 232, 240)
    return Image.fromarray(drawn.round().astype(np.uint8))


def draw_mask(size: tuple[int, int]) -> Image.Image:
    """The right half is light; the border between fades."""
    width, height = size
    light = np.clip((np.arange(width) / width - 0.4) / 0.2, 0, 1) * 255
    return Image.fromarray(np.tile(light.round().astype(np.uint8), (height, 1)))


def draw(painted: Sequence[tuple[str, Image.Image]]) -> Image.Image:
    """Pictures of one size in rows, each with its caption below."""
    width, height = painted[0][1].width + GAP, painted[0][1].height + CAPTION
    count = -(-len(painted) // COLUMNS_SHOWN)
    sheet = Image.new("RGB", (width * COLUMNS_SHOWN - GAP, height * count), "white")
    pen, font = ImageDraw.Draw(sheet), load_font(13)
    for place, (caption, picture) in enumerate(painted):
        row, column = divmod(place, COLUMNS_SHOWN)
        sheet.paste(picture, (column * width, row * height))
        middle = (column * width, (row + 1) * height - CAPTION / 2)
        pen.text(middle, caption, fill="black", font=font, anchor="lm")
    return sheet


def save(sheet: Image.Image, path: Path) -> None:
    """As good as MAX_BYTES allow."""
    path.parent.mkdir(parents=True, exist_ok=True)
    for quality in range(90, 30, -5):
        sheet.save(path, quality=quality, optimize=True)
        if path.stat().st_size <= MAX_BYTES:
            return
    raise ValueError(f"{path} has too many bytes for a page: show fewer pictures.")
