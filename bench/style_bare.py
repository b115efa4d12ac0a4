"""The style worker without any server around it, on one thread of the CPU."""

from collections.abc import Sequence
from io import BytesIO
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from PIL import Image, ImageOps

from shared.contract import Message
from shared.db import migrate
from shared.identifiers import new_id
from shared.settings import read_settings
from workers.runtime.run import Cancelled, JobError, Run
from workers.runtime.sheets import arrange
from workers.style.apply_tasks import apply
from workers.style.loaded import StyleWorker
from workers.style.training_contract import ApplyRequest, ApplyResult
from workers.style.transfer_contract import TransferRequest, TransferResult
from workers.style.transfer_tasks import transfer

TENANT = "bench"
SIDE = 240  # pixels of a picture of a sheet
R = TypeVar("R", bound=Message)


class Styling:
    """The worker's own methods on pictures; `folder` is for its registry and its checkpoints."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        known = read_settings()
        own = {"home": folder, "database_url": "", "blob_url": ""}
        place = {"weights_dir": known.weights.resolve(), "device": "cpu"}
        settings = known.model_copy(update=own | place)
        migrate(settings.database)
        self.worker = StyleWorker(settings)
        self._files: dict[str, bytes] = {}

    def transfer(
        self, content: Image.Image, styles: Sequence[Image.Image], **fields: Any
    ) -> TransferResult:
        """Fields of the request. Raises JobError."""
        files = {"content": self.add(content), "styles": [self.add(one) for one in styles]}
        run = self._make_run(TransferRequest(**files | fields))
        answers: list[Any] = []  # of the one job
        run.settle = answers.append
        transfer(self.worker, [run])
        answer: TransferResult | JobError | Cancelled = answers[0]
        return read_answer(answer)

    def apply(self, picture: Image.Image, **fields: Any) -> ApplyResult:
        """Fields of the request. Raises JobError."""
        run = self._make_run(ApplyRequest(picture=self.add(picture), **fields))
        [answer] = apply(self.worker, [run])
        return read_answer(answer)

    def add(self, picture: Image.Image) -> str:
        """As if it were uploaded: the id of its file."""
        file = BytesIO()
        picture.save(file, "PNG")
        return self._save(file.getvalue())

    def open(self, blob_id: str) -> Image.Image:
        """What a job saved, RGB."""
        return Image.open(BytesIO(self._files[blob_id])).convert("RGB")

    def _save(self, content: bytes) -> str:
        blob_id = new_id()
        self._files[blob_id] = content
        return blob_id

    def _make_run(self, request: Any) -> Run[Any]:
        return Run(
            job_id=new_id(),
            tenant=TENANT,
            request=request,
            read=self._files.__getitem__,
            save=self._save,
            report=_ignore,
            tell=_ignore,
            stop_requested=bool,
            settle=_ignore,
        )


def read_answer(answer: R | JobError | Cancelled) -> R:
    if isinstance(answer, JobError | Cancelled):
        raise answer
    return answer


def _ignore(_: Any) -> None:
    """Nobody follows."""


def draw_sheet(pictures: Sequence[Image.Image], columns: int = 3) -> Image.Image:
    """All in rows, each at the size of a stamp."""
    return arrange([ImageOps.contain(one, (SIDE, SIDE)) for one in pictures], columns)


def measure_noise(picture: Image.Image) -> float:
    """The mean size of the Laplacian, in grey levels of 255: how rough it is pixel by pixel."""
    grey = np.asarray(picture.convert("L"), np.float32)
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float(np.abs(around - 4 * grey[1:-1, 1:-1]).mean())
