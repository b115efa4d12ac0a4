"""Answers the jobs that measure how well a network segments pictures whose masks are known."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workers.runtime.answers import answer_each
from workers.runtime.clock import Clock
from workers.runtime.images import encode_jpeg
from workers.runtime.near_names import name_near
from workers.runtime.run import InvalidInput, JobError, Run
from workers.segment.confusion_picture import draw_confusion
from workers.segment.data import open_data
from workers.segment.labelled import LabelledPictures
from workers.segment.loaded import SegmentWorker
from workers.segment.looking import find_mask
from workers.segment.metrics import VOID, count_pixels, measure
from workers.segment.sample_pictures import Row, draw_samples, fit
from workers.segment.score_views import view_classes, view_measures
from workers.segment.served import Served
from workers.segment.training_contract import EvaluateRequest, EvaluateResult

REPORT_EVERY = 0.5  # seconds
SAMPLES = 4  # pictures that are shown
MOST_NAMED = 10  # unknown classes


def evaluate(
    worker: SegmentWorker, batch: Sequence[Run[EvaluateRequest]]
) -> list[EvaluateResult | JobError]:
    return answer_each(batch, lambda run: _evaluate(worker, run))


def _evaluate(worker: SegmentWorker, run: Run[EvaluateRequest]) -> EvaluateResult:
    served = worker.segmenters.open(run.tenant, run.request.model)
    with open_data(worker, run) as opened:
        data = choose_part(opened, run.request.part)
        looked = look_at_all(served, data, match_classes(served, data), run)
    score = measure(looked.confusion, served.labels)
    run.progress(1.0, "drawing")
    samples = draw_samples(looked.samples, served.palette, served.labels)
    return EvaluateResult(
        model=served.name,
        pictures=len(data.pictures),
        pixels=int(looked.confusion.sum()),
        measures=view_measures(score),
        per_class=view_classes(score),
        confusion=run.save(draw_confusion(looked.confusion.numpy(), served.labels)),
        samples=run.save(encode_jpeg(samples)),
    )


def choose_part(data: LabelledPictures, part: str | None) -> LabelledPictures:
    """Raises InvalidInput if there is no such part, or none of its pixels has a class."""
    try:
        chosen = data if part is None else data.part(part)
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if not chosen.count().any():
        raise InvalidInput("No pixel of these masks has a class: there is nothing to measure.")
    return chosen


def match_classes(served: Served, data: LabelledPictures) -> np.ndarray:
    """The model's class (256,) uint8 of each index of the data's masks, by name.

    VOID for those without a pixel. Small and capital letters are the same, unless the model tells
    them apart. Raises InvalidInput for classes with pixels that the model does not know.
    """
    known = {label.casefold(): place for place, label in enumerate(served.labels)}
    known |= {label: place for place, label in enumerate(served.labels)}
    table, odd = np.full(256, VOID, np.uint8), list[str]()
    for index, (name, pixels) in enumerate(zip(data.classes.names, data.count(), strict=True)):
        place = known.get(name, known.get(name.casefold()))
        if place is not None:
            table[index] = place
        elif pixels:
            odd.append(name)
    if odd:
        named = ", ".join(repr(name) for name in odd[:MOST_NAMED])
        raise InvalidInput(
            f"{served.name} does not know these classes of the masks: {named}. Call them in "
            "classes.json as it does, make their index void there, or choose another model. "
            f"It knows: {name_near(odd, served.labels)}."
        )
    return table


@dataclass
class Looked:
    """What a network made of pictures."""

    confusion: Tensor  # (C, C) int64: pixels of its classes, rows the truth
    samples: list[Row] = field(default_factory=list)  # as small as they are shown


def look_at_all(
    served: Served, data: LabelledPictures, table: np.ndarray, run: Run[EvaluateRequest]
) -> Looked:
    """One picture in memory at a time. Raises InvalidInput, TooLarge, Cancelled."""
    classes, count = len(served.labels), len(data.pictures)
    looked = Looked(torch.zeros(classes, classes, dtype=torch.int64))
    clock, shown = Clock(REPORT_EVERY, first=0.0), choose_samples(data)
    for done, labelled in enumerate(data.pictures):
        picture, truth = labelled.open(), table[labelled.open_mask(data.classes)]
        watch = partial(tell, run, clock, done, count)
        found = find_mask(served, picture, run.request.resolution, watch)
        looked.confusion += count_pixels(torch.from_numpy(truth), torch.from_numpy(found), classes)
        if done in shown:
            looked.samples.append(shrink(picture, truth, found))
    return looked


def choose_samples(data: LabelledPictures) -> set[int]:
    """The places of at most SAMPLES pictures with a class, spread over all of them."""
    seen = [place for place, one in enumerate(data.pictures) if one.pixels[:VOID].any()]
    spread = np.linspace(0, len(seen) - 1, min(SAMPLES, len(seen))).round().astype(int)
    return {seen[place] for place in spread}


def shrink(picture: Image.Image, *masks: np.ndarray) -> Row:
    """As it is shown, so that large pictures need not be kept."""
    size = fit(picture.size)
    truth, found = (
        np.asarray(Image.fromarray(mask).resize(size, Image.Resampling.NEAREST)) for mask in masks
    )
    return picture.resize(size), truth, found


def tell(run: Run[EvaluateRequest], clock: Clock, done: int, count: int, share: float) -> None:
    """`share` in [0, 1] of a picture was looked at, and all of `done` others. Raises Cancelled."""
    if clock.is_due():
        run.progress((done + share) / count, f"picture {done + 1} of {count}")
    else:
        run.raise_if_cancelled()
