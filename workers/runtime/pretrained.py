"""What a job is told whose pretrained weights are not on the worker's machine."""

from collections.abc import Iterator
from contextlib import contextmanager

from shared.weights import WeightsError
from workers.runtime.run import JobError


class MissingPretrained(JobError):
    """The weights that come with Atelier are not there, or not intact; the text names a command."""

    code = "missing_weights"


@contextmanager
def ask_for_pretrained() -> Iterator[None]:
    """Around the reading of what a training may begin with. Raises MissingPretrained."""
    try:
        yield
    except WeightsError as error:
        raise MissingPretrained(f"{error} Or train with `pretrained` false.") from error
