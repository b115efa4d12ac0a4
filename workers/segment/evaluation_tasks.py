"""Answers the jobs that measure how well a network segments pictures whose masks are known."""

from collections import Counter
from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from workers.runtime.answers import answer_each
from workers.runtime.clock import Clock
from workers.runtime.images import encode_jpeg
from workers.runtime.near_names import tell_near
from workers.runtime.reporting import REPORT_EVERY
from workers.runtime.run import InvalidInput, JobError, Run, TooLarge
from workers.segment.confusion_picture import draw_confusion
from workers.segment.data import open_data
from workers.segment.labelled import LabelledPictures
from workers.segment.loaded import SegmentWorker
from workers.segment.looking import check_memory, choose_size, find_mask
from workers.segment.metrics import VOID, count_pixels, measure
from workers.segment.sample_pictures import Row, choose_places, draw_samples
from workers.segment.score_views import view_classes, view_measures
from workers.segment.served import Served
from workers.segment.training_contract import EvaluateRequest, EvaluateResult

MOST_NAMED = 10  # unknown classes


def evaluate(
    worker: SegmentWorker, batch: Sequence[Run[EvaluateRequest]]
) -> list[EvaluateResult | JobError]:
    return answer_each(batch, lambda run: _evaluate(worker, run))


def _evaluate(worker: SegmentWorker, run: Run[EvaluateRequest]) -> EvaluateResult:
    served = worker.segmenters.open(run.tenant, run.request.model)
    classes = len(served.labels)
    confusion = torch.zeros(classes, classes, dtype=torch.int64)  # rows are the truth
    with open_data(worker, run) as opened:
        data = choose_part(opened, run.request.part)
        table = match_classes(served, data)
        check_sizes(served, data, run.request.resolution)
        rows = look_at_all(served, data, table, run, confusion)
        samples = draw_samples(rows, served.palette, served.labels)
    score = measure(confusion, served.labels)
    run.progress(1.0, "drawing")
    return EvaluateResult(
        model=served.name,
        pictures=len(data.pictures),
        pixels=int(confusion.sum()),
        measures=view_measures(score),
        per_class=view_classes(score),
        confusion=run.save(draw_confusion(confusion.numpy(), served.labels)),
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
    them apart: then a name must be exactly one of its own. Raises InvalidInput for classes with
    pixels that the model does not know.
    """
    known = {label: place for place, label in enumerate(served.labels)}
    alike = Counter(label.casefold() for label in served.labels)
    folded = {label.casefold(): place for label, place in known.items()}
    table, odd = np.full(256, VOID, np.uint8), list[str]()
    for index, (name, pixels) in enumerate(zip(data.classes.names, data.count(), strict=True)):
        near = folded.get(name.casefold()) if alike[name.casefold()] == 1 else None
        place = known.get(name, near)
        if place is not None:
            table[index] = place
        elif pixels:
            odd.append(name)
    if odd:
        named = ", ".join(repr(name) for name in odd[:MOST_NAMED])
        wanted = {name.casefold() for name in odd}
        same = [label for label in served.labels if label.casefold() in wanted]
        raise InvalidInput(
            f"{served.name} does not know these classes of the masks: {named}. Call them in "
            "classes.json as it does, make their index void there, or choose another model. "
            + tell_near([*same, *odd], served.labels)
        )
    return table


def check_sizes(served: Served, data: LabelledPictures, resolution: int | None) -> None:
    """Raises TooLarge, which names the picture, if looking at one takes too much memory."""
    for one in data.pictures:
        try:
            check_memory(served, choose_size(served, one.width, one.height, resolution))
        except TooLarge as error:
            raise TooLarge(f"{one.path}: {error}") from error


def look_at_all(
    served: Served,
    data: LabelledPictures,
    table: np.ndarray,
    run: Run[EvaluateRequest],
    confusion: Tensor,
) -> Iterator[Row]:
    """A few of the pictures, as all are counted into `confusion`, int64 (C, C).

    One picture in memory at a time. Raises InvalidInput, TooLarge, Cancelled.
    """
    classes, count = len(served.labels), len(data.pictures)
    clock, shown = Clock(REPORT_EVERY, first=0.0), choose_places(data.pictures)
    for done, labelled in enumerate(data.pictures):
        picture, truth = labelled.open(), table[labelled.open_mask(data.classes)]
        watch = partial(tell, run, clock, done, count)
        found = find_mask(served, picture, run.request.resolution, watch)
        confusion += count_pixels(torch.from_numpy(truth), torch.from_numpy(found), classes)
        if done in shown:
            yield picture, truth, found


def tell(run: Run[EvaluateRequest], clock: Clock, done: int, count: int, share: float) -> None:
    """`share` in [0, 1] of a picture was looked at, and all of `done` others. Raises Cancelled."""
    if clock.is_due():
        run.progress((done + share) / count, f"picture {done + 1} of {count}")
    else:
        run.raise_if_cancelled()
