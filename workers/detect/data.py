"""Opens the labelled pictures that a job was given, while its followers see how far that is."""

from collections.abc import Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile

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
    worker: DetectWorker, run: Run[TrainRequest] | Run[EvaluateRequest]
) -> Iterator[LabelledPictures]:
    """The pictures of the job's zip, which can be opened within the `with` alone.

    Every picture is looked at first, as progress of 0. Raises as `read_zip`: InvalidInput,
    TooLarge; and Cancelled, which is looked for whenever a file is read, also later.
    """
    clock = Clock(REPORT_EVERY, first=0.0)

    def watch(done: int, count: int) -> None:
        if clock.is_due():
            run.progress(0.0, f"looking at picture {done + 1} of {count}")

    with TemporaryFile() as file:
        spool(worker.blobs, run, run.request.data, file)
        with read_zip(file, run.request.format, watch, run.raise_if_cancelled) as data:
            yield data
