"""What FCN-32s, 16s and 8s say of the same pictures, side by side, as a picture for the docs.

`--data` is the folder of CamVid; the networks are those that `segment_train` kept. The pictures are
of the part "val", evenly through it, which nobody chose by what the networks say of them.
"""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from bench.options import Options
from bench.report import ROOT, Report
from bench.segment_train import SMALL, find_kept
from workers.segment.classes import Classes
from workers.segment.draw import draw_legend, load_font, write_mask
from workers.segment.labelled import LabelledPictures
from workers.segment.metrics import count_pixels, measure
from workers.segment.read_labelled import read_folder
from workers.segment.segmenter_file import Segmenter, load_segmenter
from workers.segment.train_options import STRIDES
from workers.segment.validation import find_classes

PATH = ROOT / "docs" / "images" / "fcn-strides.png"
COUNT = 3  # pictures
MAX_BYTES = 400_000
GAP, HEADING = 4, 24  # pixels
HEADINGS = ("picture", "truth", *(f"FCN-{stride}s" for stride in STRIDES))

Example = tuple[Image.Image, list[np.ndarray]]  # RGB; the truth and the answers (H, W) uint8


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("segment_pictures needs --data: the folder of CamVid")
    torch.set_num_threads(1)
    data = read_folder(options.data).part("val")
    segmenters = [load_segmenter(find_kept("thin", stride)) for stride in STRIDES]
    chosen = choose(data, COUNT)
    examples = [look(chosen, place, segmenters) for place in range(len(chosen.pictures))]
    size = save(draw(examples, data.classes), PATH)
    names = [one.path for one in chosen.pictures]
    columns = ("picture", *HEADINGS[2:])
    rows = [
        dict(zip(columns, (name, *score(masks, data.classes)), strict=True))
        for name, (_, masks) in zip(names, examples, strict=True)
    ]
    note = f"Pixel accuracy. The picture is {PATH.relative_to(ROOT)}, {size} bytes."
    return Report("segment_pictures", columns, rows, [note], rows)


def choose(data: LabelledPictures, count: int) -> LabelledPictures:
    """So many, evenly through all of them."""
    step = len(data.pictures) / count
    places = [int((number + 0.5) * step) for number in range(count)]
    return LabelledPictures(data.classes, tuple(data.pictures[place] for place in places))


def look(data: LabelledPictures, place: int, segmenters: Sequence[Segmenter]) -> Example:
    """A picture as the networks saw it, of the size they learned from."""
    one, shape = data.pictures[place], SMALL[::-1]
    picture = one.open().resize(shape, Image.Resampling.BILINEAR)
    mask = Image.fromarray(one.open_mask(data.classes))
    truth = np.asarray(mask.resize(shape, Image.Resampling.NEAREST))
    answers = [find_classes(one.network, picture).numpy() for one in segmenters]
    return picture, [truth, *answers]


def score(masks: Sequence[np.ndarray], classes: Classes) -> list[float]:
    """The pixel accuracy of each answer; the first mask is the truth."""
    truth, *answers = (torch.from_numpy(mask.copy()) for mask in masks)
    counts = [count_pixels(truth, answer, len(classes)) for answer in answers]
    return [measure(one, classes.names).pixel_accuracy for one in counts]


def draw(examples: Sequence[Example], classes: Classes) -> Image.Image:
    """A row for each, a column for each of HEADINGS, and what the colours mean beside them."""
    height, width = SMALL[0] + GAP, SMALL[1] + GAP
    legend = draw_legend(classes.names, classes.palette)
    rows = max(HEADING + height * len(examples), HEADING + legend.height)
    sheet = Image.new("RGB", (width * len(HEADINGS) + legend.width, rows), "white")
    pen, font = ImageDraw.Draw(sheet), load_font(16)
    for column, heading in enumerate(HEADINGS):
        pen.text((column * width, HEADING / 2), heading, fill="black", font=font, anchor="lm")
    for row, (picture, masks) in enumerate(examples):
        cells = [picture, *(colour(mask, classes) for mask in masks)]
        for column, cell in enumerate(cells):
            sheet.paste(cell, (column * width, HEADING + row * height))
    sheet.paste(legend, (width * len(HEADINGS), HEADING))
    return sheet


def colour(mask: np.ndarray, classes: Classes) -> Image.Image:
    return Image.open(BytesIO(write_mask(mask, classes.palette))).convert("RGB")


def save(sheet: Image.Image, path: Path) -> int:
    """The bytes of the file; raises ValueError if a page should not carry so many."""
    file = BytesIO()
    sheet.save(file, "PNG", optimize=True)
    size = len(file.getvalue())
    if size > MAX_BYTES:
        raise ValueError(f"{size} bytes are too many for a page: show fewer pictures.")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(file.getvalue())
    return size
