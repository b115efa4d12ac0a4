"""Draws how a training goes: its curves, and held-out pictures with what is found on them."""

from collections.abc import Sequence

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
from workers.runtime.sheets import arrange, plot_history, put_below

MOST = 6  # pictures
COLUMNS = 3
# What scores less is hardly worth showing, also while a network has just begun to learn.
EARLY = Suppression(score_threshold=0.1)


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
            ],
            COLUMNS,
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


def draw_history(history: Sequence[Epoch]) -> Image.Image:
    """The loss of each epoch and, beside it, the precision wherever somebody looked."""
    return plot_history(
        [epoch.loss for epoch in history],
        [epoch.mean_average_precision for epoch in history],
        "sum of squares",
        "Mean average precision",
        "mAP at 0.5",
    )


def draw_progress(history: Sequence[Epoch], samples: Samples | None, network: Yolo) -> bytes:
    """A JPEG of the curves, and below them what the network finds on the samples now."""
    curves = draw_history(history)
    return encode_jpeg(put_below([curves, samples.draw(network)]) if samples else curves)
