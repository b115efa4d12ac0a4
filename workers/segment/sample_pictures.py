"""Draws how a training goes: its curves, and held-out pictures with their truth and the answer."""

from collections.abc import Callable, Iterable, Iterator, Sequence

import numpy as np
from PIL import Image, ImageDraw

from workers.runtime.images import encode_jpeg
from workers.runtime.sheets import arrange, plot_history, put_below, put_beside
from workers.segment.batches import Pictures
from workers.segment.draw import draw_legend, load_font, overlay
from workers.segment.fcn import FCN
from workers.segment.fields import Colour
from workers.segment.labelled import LabelledPicture
from workers.segment.metrics import VOID
from workers.segment.scores import ignore
from workers.segment.train_options import Epoch
from workers.segment.validation import find_classes

MOST = 4  # pictures of a training
COLUMNS = ("picture", "truth", "answer")
SIDE = 480  # pixels of the longer side of a picture as it is shown
OPACITY = 0.65  # of the classes' colours
MOST_NAMES, ROWS = 32, 8  # of a legend

Row = tuple[Image.Image, np.ndarray, np.ndarray]  # RGB; truth and answer (H, W) uint8


class Samples:
    """A few pictures, spread over those that are held out, and seen at a resolution."""

    def __init__(self, pictures: Pictures, resolution: int | None = None) -> None:
        """Without a resolution they are seen as they are."""
        self.pictures, self.resolution = pictures, resolution
        self.places = choose_places(pictures.data.pictures)

    def draw(self, network: FCN, watch: Callable[[], None] = ignore) -> Image.Image:
        """What the network, which must be in eval, answers; `watch` is called before each tile."""
        classes = self.pictures.data.classes
        return draw_samples(self._look(network, watch), classes.palette, classes.names)

    def _look(self, network: FCN, watch: Callable[[], None]) -> Iterator[Row]:
        for place in self.places:
            picture, truth = self.pictures.open(place)
            found = find_classes(network, picture, self.resolution, watch=watch)
            yield picture, truth, found.numpy()


def choose_places(pictures: Sequence[LabelledPicture]) -> list[int]:
    """At most MOST pictures with a class, spread over all of them."""
    seen = [place for place, one in enumerate(pictures) if one.pixels[:VOID].any()]
    spread = np.linspace(0, len(seen) - 1, min(MOST, len(seen))).round().astype(int)
    return [seen[place] for place in spread]


def draw_samples(
    rows: Iterable[Row], palette: Sequence[Colour], names: Sequence[str]
) -> Image.Image:
    """Picture, truth and answer side by side, and a legend below; there must be a row.

    The rows are shrunk one after the other: large ones need not be in memory together. Of many
    classes the largest MOST_NAMES are named.
    """
    cells = list[Image.Image]()
    pixels = np.zeros(256, np.int64)
    for picture, *masks in rows:
        size = fit(picture.size)
        small = picture.resize(size)
        for mask in masks:
            pixels += np.bincount(mask.ravel(), minlength=256)
        shown = [np.asarray(Image.fromarray(mask).resize(size, 0)) for mask in masks]
        cells += [small, *(overlay(small, mask, palette, OPACITY) for mask in shown)]
    sheet = arrange(cells, len(COLUMNS))
    return put_below([draw_heads(sheet.width), sheet, list_classes(pixels, palette, names)])


def fit(size: tuple[int, int]) -> tuple[int, int]:
    """Width and height of a picture as it is shown."""
    scale = SIDE / max(size)
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def draw_heads(width: int) -> Image.Image:
    """What the columns of a sheet so wide are."""
    strip = Image.new("RGB", (width, 28), "white")
    pen, column = ImageDraw.Draw(strip), width / len(COLUMNS)
    for place, name in enumerate(COLUMNS):
        middle = ((place + 0.5) * column, 16)
        pen.text(middle, name, fill="black", font=load_font(16), anchor="mm")
    return strip


def list_classes(
    pixels: np.ndarray, palette: Sequence[Colour], names: Sequence[str]
) -> Image.Image:
    """The legend of the classes with most of the pixels (256,), in columns."""
    counts = pixels[: len(names)]
    most = np.argsort(-counts, kind="stable")[:MOST_NAMES]
    seen = sorted(int(number) for number in most if counts[number])
    columns = [seen[start : start + ROWS] for start in range(0, len(seen), ROWS)]
    return put_beside(
        [
            draw_legend([names[one] for one in some], [palette[one] for one in some])
            for some in columns
        ]
    )


def draw_history(history: Sequence[Epoch]) -> Image.Image:
    """The loss of each epoch and, beside it, the mean IoU wherever somebody looked."""
    return plot_history(
        [epoch.loss for epoch in history],
        [epoch.mean_iou for epoch in history],
        "cross-entropy",
        "Mean IoU",
        "mean IoU",
    )


def draw_progress(
    history: Sequence[Epoch], samples: Samples | None, network: FCN, watch: Callable[[], None]
) -> bytes:
    """A JPEG of the curves, and below them what the network answers on the samples now."""
    curves = draw_history(history)
    found = [samples.draw(network, watch)] if samples else []
    return encode_jpeg(put_below([curves, *found]))
