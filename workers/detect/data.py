"""Opens the labelled pictures that a job was given, while its followers see how far that is."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from tempfile import TemporaryFile
from typing import Any

from workers.detect.label_files import Read
from workers.detect.labelled import LabelledPictures
from workers.detect.loaded import DetectWorker
from workers.detect.read_labelled import read_zip
from workers.detect.training_contract import EvaluateRequest, TrainRequest
from workers.runtime.clock import Clock
from workers.runtime.run import Run
from workers.runtime.spool import spool

REPORT_EVERY = 0.5  # seconds


@contextmanager
def open_data(
    worker: DetectWorker,
    run: Run[TrainRequest] | Run[EvaluateRequest],
    names: Sequence[str] | None = None,
) -> Iterator[LabelledPictures]:
    """The pictures of the job's zip, which can be opened within the `with` alone.

    With `names` the classes are these, in this order. Every picture is looked at first, as progress
    of 0. Raises as `read_zip`: InvalidInput, TooLarge; and Cancelled, also where a picture is
    opened later.
    """
    clock = Clock(REPORT_EVERY, first=0.0)

    def watch(done: int, count: int) -> None:
        if clock.is_due():
            run.progress(0.0, f"looking at picture {done + 1} of {count}")

    with TemporaryFile() as file:
        spool(worker.blobs, run, run.request.data, file)
        with read_zip(file, names, run.request.format, watch) as data:
            pictures = [replace(one, read=partial(_read, run, one.read)) for one in data.pictures]
            yield replace(data, pictures=tuple(pictures))


def _read(run: Run[Any], read: Read) -> bytes:
    """Decoding all pictures takes minutes, in which nothing else looks whether the job goes on."""
    run.raise_if_cancelled()
    return read()
