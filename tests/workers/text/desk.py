"""Does the jobs of a tenant of the text worker."""

from tests.workers import desk
from workers.runtime.run import InvalidInput
from workers.text.loaded import TextWorker

KEEP = 3600.0  # seconds that a file is kept
LIMIT = 2**32  # bytes of a file


class Desk(desk.Desk[TextWorker]):
    """Files lie in the blob store, for ingests stream them from there."""

    def add(self, content: bytes) -> str:
        return self.worker.blobs.add(self.tenant, [content], KEEP, LIMIT).id

    def read(self, blob_id: str) -> bytes:
        try:
            return self.worker.blobs.read(self.tenant, blob_id)
        except KeyError as error:
            raise InvalidInput(f"The file {blob_id} is gone. Upload it again.") from error
