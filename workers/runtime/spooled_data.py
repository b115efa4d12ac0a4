"""A job's zip of pictures on the disk, while its followers see how far looking at them is."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from tempfile import TemporaryFile
from typing import IO, Any

from shared.blobs import Blobs
from workers.runtime.clock import Clock
from workers.runtime.reporting import REPORT_EVERY
from workers.runtime.run import Run
from workers.runtime.spool import spool

Watch = Callable[[int, int], None]  # gets how many pictures were looked at, and all


@contextmanager
def spool_data(blobs: Blobs, run: Run[Any], blob_id: str) -> Iterator[tuple[IO[bytes], Watch]]:
    """(the file, what is to be called before each picture is looked at: progress of 0).

    Raises as `spool`; calling the second may raise Cancelled.
    """
    clock = Clock(REPORT_EVERY, first=0.0)

    def watch(done: int, count: int) -> None:
        if clock.is_due():
            run.progress(0.0, f"looking at picture {done + 1} of {count}")

    with TemporaryFile() as file:
        spool(blobs, run, blob_id, file)
        yield file, watch
