"""Does the jobs of a tenant as a worker process does, without a queue in between."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image
from sqlalchemy.orm import Session

from shared.contract import Message
from shared.identifiers import new_id
from tests.workers.faces.site import make_vectors
from workers.faces.gallery import Collection, find_collection
from workers.faces.gallery_contract import CreateRequest, DeleteRequest, EnrollRequest
from workers.faces.gallery_tasks import create, delete, enroll
from workers.faces.loaded import FacesWorker
from workers.runtime.run import InvalidInput, JobError, Run

CONSENT = {"purpose": "door", "text_sha256": "0" * 64}
D = 128  # of the shipped encoder

Method = Callable[[FacesWorker, Sequence[Run[Any]]], Sequence[Message | JobError]]


@dataclass
class Desk:
    worker: FacesWorker
    tenant: str = field(default_factory=new_id)
    files: dict[str, bytes] = field(default_factory=dict)
    progress: list[float] = field(default_factory=list)

    def add(self, content: bytes) -> str:
        """A file of the tenant; its blob id."""
        name = hashlib.sha256(content).hexdigest()
        self.files[name] = content
        return name

    def read(self, blob_id: str) -> bytes:
        if blob_id not in self.files:
            raise InvalidInput(f"The file {blob_id} is gone. Upload it again.")
        return self.files[blob_id]

    def make(self, request: Message) -> Run[Any]:
        return Run(
            job_id=new_id(),
            tenant=self.tenant,
            request=request,
            read=self.read,
            save=self.add,
            report=lambda step: self.progress.append(step["fraction"]),
            stop_requested=lambda: False,
            key_id=7,
        )

    def do_all(self, method: Method, *requests: Message) -> list[Any]:
        """The results of one batch, each after its effects, or the refusals."""
        runs = [self.make(request) for request in requests]
        answers = method(self.worker, runs)
        assert len(answers) == len(runs)
        return [self.finish(run, answer) for run, answer in zip(runs, answers, strict=True)]

    def finish(self, run: Run[Any], answer: Message | JobError) -> Message | JobError:
        if isinstance(answer, JobError):
            return answer
        try:
            with self.worker.sessions.begin() as session:
                added = [fields for effect in run.effects if (fields := effect(session))]
        except JobError as refusal:
            return refusal
        values = answer.model_dump(mode="json")
        for fields in added:
            values |= fields
        return type(answer).model_validate(values)

    def do(self, method: Method, request: Message) -> Any:
        [answer] = self.do_all(method, request)
        assert not isinstance(answer, JobError), answer
        return answer

    def refuse(self, method: Method, request: Message) -> tuple[str, str]:
        """The code and the text of a refusal."""
        [answer] = self.do_all(method, request)
        assert isinstance(answer, JobError), answer
        return answer.code, str(answer)

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

    def change(self, action: Callable[[Session], Any]) -> None:
        with self.worker.sessions.begin() as session:
            action(session)


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
