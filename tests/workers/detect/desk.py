"""Does the jobs of a tenant of the detect worker."""

from tests.workers import desk
from workers.detect.loaded import DetectWorker


class Desk(desk.Desk[DetectWorker]):
    """Its files are streamed from the blob store."""

    @property
    def progress(self) -> list[float]:
        return [step["fraction"] for step in self.steps]
