"""Runs object detection jobs with the published networks."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from shared.settings import Settings
from shared.weights import locate
from workers.detect.contract import (
    OBJECTS,
    SCORE_THRESHOLDS,
    Box,
    Model,
    ObjectsRequest,
    ObjectsResult,
)
from workers.detect.draw import annotate
from workers.detect.model import SIZE
from workers.detect.networks import LABELS, PUBLISHED, load_detector
from workers.detect.process import Fit, letterbox, select, stack
from workers.runtime.devices import choose_device
from workers.runtime.images import decode, encode_jpeg
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.serve import serve


@dataclass
class Opened:
    """A job whose request and picture are good."""

    run: Run[ObjectsRequest]
    square: np.ndarray  # (416, 416, 3) uint8
    fit: Fit
    classes: list[int] | None  # only look for these
    picture: Image.Image | None  # kept only if it will be drawn on

    @property
    def model(self) -> Model:
        return self.run.request.model


class DetectWorker:
    """Keeps the networks loaded; answers up to eight pictures with one pass of each."""

    def __init__(self, settings: Settings) -> None:
        self.max_pixels = settings.max_pixels
        self.device = choose_device(settings.device)
        self.labels = locate(LABELS, settings.weights).read_text().splitlines()
        self.networks = {
            name: load_detector(name, settings.weights)
            .to(self.device)
            .to(memory_format=torch.channels_last)
            for name in PUBLISHED
        }

    def warm_up(self) -> None:
        for name in self.networks:
            self._predict(name, [np.zeros((SIZE, SIZE, 3), np.uint8)])

    def objects(self, batch: Sequence[Run[ObjectsRequest]]) -> list[ObjectsResult | JobError]:
        opened = [self._open(run) for run in batch]
        good = [job for job in opened if isinstance(job, Opened)]
        predictions = {
            name: iter(self._predict(name, [job.square for job in good if job.model == name]))
            for name in self.networks
        }
        return [
            self._answer(job, *next(predictions[job.model])) if isinstance(job, Opened) else job
            for job in opened
        ]

    def _open(self, run: Run[ObjectsRequest]) -> Opened | JobError:
        try:
            classes = self._class_ids(run.request.classes)
            picture = decode(run.read(run.request.picture), self.max_pixels)
        except JobError as error:
            return error
        fit = Fit.of(picture.width, picture.height, SIZE)
        kept = picture if run.request.annotate else None
        return Opened(run, letterbox(picture, fit), fit, classes, kept)

    def _class_ids(self, labels: list[str] | None) -> list[int] | None:
        if labels is None:
            return None
        for label in labels:
            if label not in self.labels:
                known = difflib.get_close_matches(label, self.labels, n=3, cutoff=0.5)
                raise InvalidInput(
                    f"There is no class {label!r}. Known: {', '.join(known or self.labels)}."
                )
        return [self.labels.index(label) for label in labels]

    @torch.inference_mode()
    def _predict(self, name: Model, squares: list[np.ndarray]) -> list[tuple[Tensor, Tensor]]:
        """Boxes (N, 4) on the square and scores (N, C) for each, on the CPU."""
        if not squares:
            return []
        boxes, scores = self.networks[name].predict(stack(squares, self.device))
        return list(zip(boxes.cpu(), scores.cpu(), strict=True))

    def _answer(self, job: Opened, boxes: Tensor, scores: Tensor) -> ObjectsResult:
        request = job.run.request
        if job.classes is not None:
            wanted = torch.zeros(scores.shape[1], dtype=torch.bool)
            wanted[job.classes] = True
            scores = torch.where(wanted, scores, -1.0)
        threshold = request.score_threshold
        if threshold is None:
            threshold = SCORE_THRESHOLDS[request.model]
        boxes, best, classes = select(
            boxes, scores, threshold, request.iou_threshold, request.max_detections
        )
        found = self._name(job.fit.to_picture(boxes), best, classes)
        annotated = None
        if job.picture is not None:
            drawn = encode_jpeg(annotate(job.picture, found))
            annotated = job.run.save(drawn)
        width, height = job.fit.picture
        return ObjectsResult(
            width=width, height=height, boxes=found, annotated=annotated, model=request.model
        )

    def _name(self, boxes: Tensor, scores: Tensor, classes: Tensor) -> list[Box]:
        """Boxes with a label; one that lies wholly on the grey border has no area left."""
        rows = zip(boxes.tolist(), scores.tolist(), classes.tolist(), strict=True)
        return [
            Box(
                label=self.labels[class_id],
                class_id=class_id,
                score=round(score, 4),
                xyxy=[round(value, 2) for value in box],
            )
            for box, score, class_id in rows
            if box[2] > box[0] and box[3] > box[1]
        ]


app = serve("detect", DetectWorker, {OBJECTS: DetectWorker.objects})
