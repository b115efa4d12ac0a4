"""What a process of the faces worker keeps in memory, and what its tasks share."""

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import Image

from shared.blobs import Blobs
from shared.contract import Message
from shared.db import open_db
from shared.sealing import Keyring, TenantKey
from shared.settings import Settings
from workers.faces.align import align
from workers.faces.audit import Actor
from workers.faces.encoders import Encoders, unit
from workers.faces.find import Finder, Found
from workers.faces.gallery import Collection
from workers.faces.gallery_contract import CollectionView
from workers.faces.indexes import Indexes
from workers.faces.keeper import Keeper
from workers.faces.picture_contract import FaceBox
from workers.faces.picture_contract import Quality as QualityView
from workers.faces.quality import Quality, rate
from workers.faces.refusals import NotCalibrated, WrongModel
from workers.faces.thresholds import Scale, choose_gallery_threshold
from workers.runtime.devices import choose_device
from workers.runtime.images import decode
from workers.runtime.run import InvalidInput, Run

R = TypeVar("R", bound=Message)


@dataclass(frozen=True)
class Seen:
    """One face in a picture."""

    picture: Image.Image
    found: Found
    quality: Quality

    def show(self) -> FaceBox:
        quality = QualityView(
            **{name: round(value, 3) for name, value in vars(self.quality).items()}
        )
        return FaceBox(
            xyxy=[round(value, 1) for value in self.found.xyxy],
            score=round(self.found.score, 4),
            landmarks=[[round(float(v), 1) for v in point] for point in self.found.landmarks],
            quality=quality,
        )


class FacesWorker:
    """Networks, keys and indexes; one object in each process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.sessions = open_db(settings.database, pool_size=4)
        self.blobs = Blobs(settings.blobs, self.sessions)
        self.keyring = Keyring(settings, self.sessions)
        self.finder = Finder(settings.weights, self.device)
        self.encoders = Encoders(settings.weights, self.device, self.sessions, self.blobs)
        self.indexes = Indexes(settings, self.sessions, self.keyring)
        self.keeper = Keeper(self.sessions, self.keyring, self.indexes, self.blobs)

    def warm_up(self) -> None:
        self.finder.find(Image.new("RGB", (64, 64), "grey"))
        side = self.encoders.default.side
        self.encoders.default.encode([np.zeros((side, side, 3), np.uint8)])
        self.keeper.start()

    def close(self) -> None:
        self.keeper.stopping.set()
        self.indexes.close()

    def look(
        self, picture: Image.Image, limit: int, min_size: int = 20, score_threshold: float = 0.9
    ) -> list[Seen]:
        """The faces of a picture, the largest first."""
        seen = []
        for face in self.finder.find(picture, min_size, score_threshold, limit):
            with suppress(ValueError):  # landmarks in one point: nothing could be aligned
                seen.append(Seen(picture, face, rate(picture, face)))
        return seen

    def look_at(self, content: bytes, limit: int = 1) -> list[Seen]:
        """The faces of a picture's file. Raises InvalidInput if it is none."""
        return self.look(decode(content, self.settings.max_pixels), limit)

    @torch.inference_mode()
    def encode(self, tenant: str, model: str, faces: Sequence[Seen]) -> np.ndarray:
        """-> (B, D) float16 unit vectors. Raises WrongModel."""
        encoder = self.encoders.open(tenant, model)
        chips = [
            align(face.picture, face.found.landmarks, encoder.template, encoder.side)
            for face in faces
        ]
        return unit(encoder.encode(chips))

    def take_vectors(self, vectors: Sequence[Sequence[float]], dimensions: int) -> np.ndarray:
        """Ready embeddings -> (B, D) float16 of unit length. Raises WrongModel, InvalidInput."""
        wrong = {len(vector) for vector in vectors} - {dimensions}
        if wrong:
            raise WrongModel(
                f"An embedding has {wrong.pop()} numbers, but this model's have {dimensions}. "
                "Use embeddings of the collection's own model."
            )
        try:
            return unit(np.array(vectors, np.float64).reshape(len(vectors), dimensions))
        except ValueError as error:
            raise InvalidInput(f"{error}.") from error

    def scale(self, tenant: str, model: str) -> Scale:
        """What scores of the model mean."""
        return self.encoders.scale(tenant, model)

    def choose_threshold(
        self, collection: Collection, target_fpir: float | None = None
    ) -> tuple[float, bool]:
        """(the score from which on a face is a match, whether it was measured here).

        Raises NotCalibrated.
        """
        scale = self.scale(collection.tenant, collection.model)
        return choose_gallery_threshold(scale, collection, target_fpir)

    def show(self, collection: Collection, subjects: int) -> CollectionView:
        threshold: float | None = None
        calibrated = False
        with suppress(NotCalibrated):
            threshold, calibrated = self.choose_threshold(collection)
        return CollectionView(
            collection=collection.name,
            description=collection.description,
            model=collection.model,
            dimensions=collection.dimensions,
            backend=collection.backend,
            retention=collection.retention,
            target_fpir=collection.target_fpir,
            threshold=None if threshold is None else round(threshold, 6),
            calibrated=calibrated,
            faces=collection.faces,
            subjects=subjects,
            seq=collection.seq,
        )

    def key(self, tenant: str) -> TenantKey:
        """Not inside a transaction: the first time it writes one of its own."""
        return self.keyring.key(tenant)


def actor(run: Run[R]) -> Actor:
    return Actor(run.tenant, run.key_id, run.job_id)
