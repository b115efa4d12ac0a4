"""The encoders a tenant can use: the one that comes with Atelier, and those trained here."""

from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import torch

from shared.blobs import Blobs
from shared.db import Sessions
from shared.models import ModelName, UnknownModel, find_model, find_promoted, read_model
from shared.tables import TrainedModel
from shared.weights import locate
from workers.faces.encoder import DlibEncoder, Encoder
from workers.faces.picture_contract import DEFAULT_MODEL
from workers.faces.refusals import WrongModel
from workers.faces.siamese import SiameseEncoder
from workers.faces.thresholds import MeasuredScale, Scale, ShippedScale, UnknownScale

WORKER = "faces"
DLIB_WEIGHTS = "dlib-face-resnet.dat"
KEPT = 8  # trained encoders in memory


class Encoders:
    """Loads encoders when they are first asked for, and keeps them."""

    def __init__(
        self, weights: Path, device: torch.device, sessions: Sessions, blobs: Blobs
    ) -> None:
        self.weights, self.device = weights, device
        self.sessions, self.blobs = sessions, blobs
        self._trained: dict[tuple[str, str], SiameseEncoder] = {}

    @cached_property
    def default(self) -> Encoder:
        return DlibEncoder(locate(DLIB_WEIGHTS, self.weights), self.device)

    def choose(self, tenant: str, asked: str | None) -> str:
        """The full name of a model: as asked for, or the one in use. Raises WrongModel."""
        if asked is None:
            with self.sessions.read() as session:
                promoted = find_promoted(session, tenant, WORKER)
            return str(promoted) if promoted else DEFAULT_MODEL
        if asked == DEFAULT_MODEL.partition("@")[0]:
            return DEFAULT_MODEL
        if "@" not in asked:
            raise WrongModel(f"Say which version of {asked}: `faces.models` lists them.")
        return asked

    def open(self, tenant: str, model: str) -> Encoder:
        """The encoder of a full name. Raises WrongModel if the tenant has no such model."""
        if model == DEFAULT_MODEL:
            return self.default
        found = self._trained.get((tenant, model))
        if found is None:
            found = self._load(tenant, model)
            if len(self._trained) >= KEPT:
                self._trained.pop(next(iter(self._trained)))
            self._trained[tenant, model] = found
        return found

    def scale(self, tenant: str, model: str) -> Scale:
        """What scores of the model mean."""
        if model == DEFAULT_MODEL:
            return ShippedScale(*model.split("@"))
        if not self.has(tenant, model):
            return UnknownScale(model)
        return MeasuredScale.of(self._find(tenant, model).metrics)

    def has(self, tenant: str, model: str) -> bool:
        """Whether pictures can be encoded; of another encoder only embeddings can be stored."""
        try:
            return model == DEFAULT_MODEL or bool(self._find(tenant, model))
        except WrongModel:
            return False

    def _find(self, tenant: str, model: str) -> TrainedModel:
        try:
            with self.sessions.read() as session:
                return find_model(session, tenant, WORKER, ModelName.parse(model))
        except (UnknownModel, ValueError) as error:
            raise WrongModel(
                f"There is no encoder {model} here, so send embeddings instead of pictures. "
                "`faces.models` lists those that are here."
            ) from error

    def _load(self, tenant: str, model: str) -> SiameseEncoder:
        row = self._find(tenant, model)
        try:
            content = read_model(self.blobs, row)
        except UnknownModel as error:
            raise WrongModel(str(error)) from error
        with TemporaryDirectory() as folder:
            path = Path(folder) / "model.safetensors"
            path.write_bytes(content)
            return SiameseEncoder(path, self.device)


def unit(vectors: np.ndarray) -> np.ndarray:
    """(B, D) of any length -> float16 of unit length: what is stored, and what is compared.

    Raises ValueError for a vector that has no direction.
    """
    wide = vectors.astype(np.float64)
    largest = np.abs(wide).max(axis=1, keepdims=True)
    if not ((largest > 1e-12) & (largest < np.inf)).all():
        raise ValueError("an embedding has to have a direction: it is all zeros or not finite")
    wide /= largest  # else the squares of large numbers would overflow
    return np.asarray((wide / np.linalg.norm(wide, axis=1, keepdims=True)).astype(np.float16))
