"""Does the jobs of a tenant of the detect worker."""

import hashlib
from dataclasses import dataclass, field

from tests.workers import desk
from workers.detect.loaded import DetectWorker
from workers.runtime.run import InvalidInput


@dataclass
class Desk(desk.Desk[DetectWorker]):
    """Files lie in memory; models in the store of the worker."""

    files: dict[str, bytes] = field(default_factory=dict)

    @property
    def progress(self) -> list[float]:
        return [step["fraction"] for step in self.steps]

    def add(self, content: bytes) -> str:
        name = hashlib.sha256(content).hexdigest()
        self.files[name] = content
        return name

    def read(self, blob_id: str) -> bytes:
        if blob_id not in self.files:
            raise InvalidInput(f"The file {blob_id} is gone. Upload it again.")
        return self.files[blob_id]
