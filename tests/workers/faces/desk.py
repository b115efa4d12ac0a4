"""Does the jobs of a tenant of the faces worker."""

import hashlib
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from tests.workers import desk
from tests.workers.faces.site import make_vectors
from workers.faces.gallery import Collection, find_collection
from workers.faces.gallery_contract import CreateRequest, DeleteRequest, EnrollRequest
from workers.faces.gallery_tasks import create, delete, enroll
from workers.faces.loaded import FacesWorker
from workers.runtime.run import InvalidInput

CONSENT = {"purpose": "door", "text_sha256": "0" * 64}
D = 128  # of the shipped encoder


@dataclass
class Desk(desk.Desk[FacesWorker]):
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

    def create(self, name: str = "staff", **values: Any) -> Any:
        return self.do(create, CreateRequest(collection=name, **values))

    def enroll(self, *subjects: str, vectors: np.ndarray | None = None, **values: Any) -> list[int]:
        """The numbers of the new faces."""
        vectors = make_vectors(len(subjects), dimensions=D) if vectors is None else vectors
        request = {"collection": "staff", "subjects": subjects, "consent": CONSENT, **values}
        result = self.do(enroll, EnrollRequest(embeddings=vectors.tolist(), **request))
        return [face.face_id for face in result.faces]

    def delete(self, name: str = "staff", **values: Any) -> Any:
        return self.do(delete, DeleteRequest(collection=name, **values))

    def find(self, name: str = "staff") -> Collection:
        with self.worker.sessions.read() as session:
            return find_collection(session, self.tenant, name)


def to_png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def put_side_by_side(*pictures: Image.Image) -> Image.Image:
    scene = Image.new("RGB", (sum(p.width for p in pictures), max(p.height for p in pictures)))
    left = 0
    for picture in pictures:
        scene.paste(picture, (left, 0))
        left += picture.width
    return scene
