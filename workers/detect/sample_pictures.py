"""Draws how a training goes: its curves, and held-out pictures with what is found on them."""

from collections.abc import Sequence
from io import BytesIO

import numpy as np
from PIL import Image, ImageDraw

from workers.detect.average_precision import Detections, ignored
from workers.detect.batches import Squares
from workers.detect.draw import READABLE, annotate
from workers.detect.objects_contract import Box
from workers.detect.suppression import Suppression
from workers.detect.train_options import Epoch
from workers.detect.validation import find_objects
from workers.detect.yolo import Yolo
from workers.runtime.images import encode_jpeg
from workers.runtime.plots import draw_curves

MOST = 6  # pictures
COLUMNS = 3
# What scores less is hardly worth showing, also while a network has just begun to learn.
EARLY = Suppression(score_threshold=0.1)
MARGIN = 8  # pixels between the pictures


class Samples:
    """A few held-out pictures, made as small as they are shown once and for all."""

    def __init__(self, squares: Squares, names: Sequence[str]) -> None:
        self.squares, self.names = squares, names
        self.places = choose_places(squares)
        self.pictures = [self._shrink(place) for place in self.places]

    def draw(self, network: Yolo, settings: Suppression = EARLY) -> Image.Image:
        """What the network, which must be in eval, finds; what is labelled in thin white lines."""
        found = find_objects(network, self.squares, self.places, settings)
        return arrange(
            [
                annotate(picture, name_found(detections, self.names, scale))
                for (picture, scale), detections in zip(self.pictures, found, strict=True)
            ]
        )

    def _shrink(self, place: int) -> tuple[Image.Image, float]:
        """(the picture with its labels, its size as a share of what it was)."""
        labelled = self.squares.pictures[place]
        scale = READABLE / max(labelled.width, labelled.height)
        size = [max(1, round(length * scale)) for length in (labelled.width, labelled.height)]
        picture = labelled.open().resize((size[0], size[1]))
        draw = ImageDraw.Draw(picture)
        for box in (labelled.labels.boxes * scale).tolist():
            draw.rectangle(box, outline="white")
        return picture, scale


def choose_places(squares: Squares) -> list[int]:
    """At most MOST pictures with objects, spread over all of them."""
    seen = [
        place for place, picture in enumerate(squares.pictures) if (~ignored(picture.labels)).any()
    ]
    spread = np.linspace(0, len(seen) - 1, min(MOST, len(seen))).round().astype(int)
    return [seen[place] for place in spread]


def name_found(found: Detections, names: Sequence[str], scale: float) -> list[Box]:
    """The boxes on a picture that is so many times as large, the best first."""
    rows = zip(found.boxes * scale, found.scores, found.classes, strict=True)
    return [
        Box(
            label=names[int(number)],
            class_id=int(number),
            score=float(score),
            xyxy=[float(value) for value in box],
        )
        for box, score, number in rows
    ]


def arrange(pictures: Sequence[Image.Image]) -> Image.Image:
    """One picture of all, in rows of COLUMNS."""
    step = READABLE + MARGIN
    columns, rows = min(COLUMNS, len(pictures)), -(-len(pictures) // COLUMNS)
    sheet = Image.new("RGB", (columns * step + MARGIN, rows * step + MARGIN), "white")
    for place, picture in enumerate(pictures):
        left = MARGIN + place % COLUMNS * step + (READABLE - picture.width) // 2
        top = MARGIN + place // COLUMNS * step + (READABLE - picture.height) // 2
        sheet.paste(picture, (left, top))
    return sheet


def draw_history(history: Sequence[Epoch]) -> Image.Image:
    """The loss of each epoch and, beside it, the precision wherever somebody looked."""
    epochs = range(1, len(history) + 1)
    loss = (epochs, [epoch.loss for epoch in history])
    looks = [
        (number, epoch.mean_average_precision)
        for number, epoch in zip(epochs, history, strict=True)
        if epoch.mean_average_precision is not None
    ]
    charts = [draw_curves({"learned from": loss}, "Loss", "epoch", "sum of squares")]
    if looks:
        precision = ([number for number, _ in looks], [look for _, look in looks])
        charts.append(
            draw_curves({"held out": precision}, "Mean average precision", "epoch", "mAP at 0.5")
        )
    return put_beside([Image.open(BytesIO(chart)).convert("RGB") for chart in charts])


def put_beside(pictures: Sequence[Image.Image]) -> Image.Image:
    width, height = sum(one.width for one in pictures), max(one.height for one in pictures)
    sheet = Image.new("RGB", (width, height), "white")
    left = 0
    for picture in pictures:
        sheet.paste(picture, (left, 0))
        left += picture.width
    return sheet


def draw_progress(history: Sequence[Epoch], samples: Samples | None, network: Yolo) -> bytes:
    """A JPEG of the curves, and below them what the network finds on the samples now."""
    curves = draw_history(history)
    if samples is None:
        return encode_jpeg(curves)
    found = samples.draw(network)
    width = max(curves.width, found.width)
    sheet = Image.new("RGB", (width, curves.height + found.height), "white")
    sheet.paste(curves, ((width - curves.width) // 2, 0))
    sheet.paste(found, ((width - found.width) // 2, curves.height))
    return encode_jpeg(sheet)
