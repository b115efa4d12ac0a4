"""The segment worker without any server around it, on one thread of the CPU."""

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn

from shared.db import migrate
from shared.identifiers import new_id
from shared.settings import read_settings
from workers.runtime.run import JobError, Run
from workers.segment.classes import make_palette
from workers.segment.fcn_config import SHAPES, FcnConfig
from workers.segment.fields import Encoder
from workers.segment.loaded import SegmentWorker
from workers.segment.pixels_contract import PixelsRequest, PixelsResult
from workers.segment.pixels_tasks import pixels
from workers.segment.segmenter_file import Segmenter, pack_segmenter
from workers.segment.served import KIND
from workers.segment.weights import make_network

TENANT = "bench"


class Segmenting:
    """The worker's own method on the bytes of pictures; `folder` is for its registry."""

    def __init__(self, folder: Path) -> None:
        torch.set_num_threads(1)
        known = read_settings()
        own = {"home": folder, "database_url": "", "blob_url": ""}
        place = {"weights_dir": known.weights.resolve(), "device": "cpu"}
        settings = known.model_copy(update=own | place)
        migrate(settings.database)
        self.worker = SegmentWorker(settings)

    def register(self, segmenter: Segmenter, name: str) -> str:
        """As if it were trained: its name and version."""
        run = self._make_run(PixelsRequest(picture=""), b"")
        self.worker.models.add(run, KIND, name, *pack_segmenter(segmenter), metrics={})
        with self.worker.sessions.begin() as session:
            [made] = [effect(session) for effect in run.effects]
        assert made is not None
        return str(made["model"])

    def segment(self, pictures: Sequence[bytes], **fields: Any) -> list[PixelsResult]:
        """The result of each picture, in one batch; fields of the request. Raises JobError."""
        request = PixelsRequest(**{"picture": ""} | fields)
        results = []
        for answer in pixels(self.worker, [self._make_run(request, one) for one in pictures]):
            if isinstance(answer, JobError):
                raise answer
            results.append(answer)
        return results

    def _make_run(self, request: PixelsRequest, picture: bytes) -> Run[PixelsRequest]:
        return Run(
            job_id=new_id(),
            tenant=TENANT,
            request=request,
            read=partial(_give, picture),
            save=_drop,
            report=_ignore,
            tell=_ignore,
            stop_requested=bool,
            settle=_ignore,
        )


def make_random(encoder: Encoder, classes: int, resolution: int) -> Segmenter:
    """An FCN-8s of random weights: it costs what a trained one costs, and knows nothing."""
    config = FcnConfig(classes, encoder, 8, SHAPES[encoder].kernel // 2, at_once=True)
    network = make_network(config, seed=0).eval()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        for layer in (network.score, *network.skips.modules()):
            if isinstance(layer, nn.Conv2d):  # which scored all classes alike
                nn.init.normal_(layer.weight, std=0.1)
    names = tuple(str(number) for number in range(classes))
    return Segmenter(network, names, make_palette(classes), resolution)


def _give(picture: bytes, _: str) -> bytes:
    return picture


def _drop(_: bytes) -> str:
    """Nothing is stored."""
    return ""


def _ignore(_: Any) -> None:
    """Nobody follows."""
