"""What a job is told whose pretrained weights are not on the worker's machine."""

from workers.runtime.run import JobError


class MissingPretrained(JobError):
    """The weights that come with Atelier are not there, or not intact; the text names a command."""

    code = "missing_weights"
