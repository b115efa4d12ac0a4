"""Does the jobs of a tenant of the text worker."""

from tests.workers import desk
from workers.text.loaded import TextWorker


class Desk(desk.Desk[TextWorker]):
    """Its files are streamed from the blob store."""
