"""Opens the pictures and masks that a job was given, while its followers see how far that is."""

from collections.abc import Iterator
from contextlib import contextmanager

from workers.runtime.run import Run
from workers.runtime.spooled_data import spool_data
from workers.segment.labelled import LabelledPictures
from workers.segment.loaded import SegmentWorker
from workers.segment.read_labelled import read_zip
from workers.segment.training_contract import EvaluateRequest, TrainRequest


@contextmanager
def open_data(
    worker: SegmentWorker, run: Run[TrainRequest] | Run[EvaluateRequest]
) -> Iterator[LabelledPictures]:
    """The pictures of the job's zip, which can be opened within the `with` alone.

    Every picture is looked at first, as progress of 0. Raises as `read_zip`: InvalidInput,
    TooLarge; and Cancelled, which is looked for whenever a file is read, also later.
    """
    asked = run.request
    with (
        spool_data(worker.blobs, run, asked.data) as (file, watch),
        read_zip(file, asked.format, watch, run.raise_if_cancelled) as data,
    ):
        yield data
