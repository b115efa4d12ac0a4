"""How well face scores tell people apart, on pairs of Labeled Faces in the Wild."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from bench.options import Options
from bench.report import Report, tell
from shared.settings import read_settings
from shared.weights import locate
from workers.faces.align import align
from workers.faces.dlib_dat import load_dlib
from workers.faces.dlib_resnet import DlibResNet
from workers.faces.encoder import DlibEncoder
from workers.faces.find import Finder
from workers.faces.impostors import KINDS, cosine, find_central, read_pairs
from workers.faces.metrics import equal_error_rate, fold_accuracy, tar_at_far
from workers.faces.verify import load_classifier

FOLD = 600  # pairs, half of them of one person
TRAINED = 6  # folds that the shipped classifiers were trained on
PAIRS, CROPS = "dev_pairs_folds1-8.txt", "crop112_dev"
# Of the crops of 112 pixels, the part that lies most like dlib's faces: the best of six tried on
# folds 1 and 2.
PLACED = (10, 14, 102, 106)
GREY = 48  # pixels, the side of the picture whose pixels are compared
TARGET = 0.97

COLUMNS = ("faces", "compared by", "folds", "accuracy", "std", "EER", "TAR@1e-2", "TAR@1e-3")

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (B, D) twice -> (B,)


@dataclass(frozen=True)
class PairSet:
    """Pairs in order of their folds, as rows of the pictures' points."""

    paths: list[Path]
    first: np.ndarray  # (B,) into paths
    second: np.ndarray
    same: np.ndarray  # (B,) bool

    def rate(self, points: np.ndarray, score: Score, folds: range) -> dict[str, Any]:
        """Points (N, D) of the pictures -> a row of the table."""
        part = slice(folds.start * FOLD, folds.stop * FOLD)
        same = self.same[part]
        scores = score(points[self.first[part]], points[self.second[part]])
        genuine, impostor = scores[same], scores[~same]
        accuracy, std = fold_accuracy(scores, same, len(folds))
        return {
            "folds": f"{folds.start + 1}-{folds.stop}",
            "accuracy": accuracy,
            "std": std,
            "EER": equal_error_rate(genuine, impostor),
            "TAR@1e-2": tar_at_far(genuine, impostor, 1e-2),
            # of fewer than a thousand strangers, none may pass: that would be another rate
            "TAR@1e-3": tar_at_far(genuine, impostor, 1e-3) if len(impostor) >= 1000 else None,
        }


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("faces_lfw needs --data: a folder with crops and pairs of LFW")
    rows = list(measure(options.data, folds=2 if options.quick else 8))
    best = next(row for row in rows if row["compared by"] == "cosine, with mirror image, float16")
    met = tell(best["accuracy"] >= TARGET)
    return Report(
        "faces_lfw", COLUMNS, rows, [f"Accuracy of the product at least {TARGET}: {met}."]
    )


def measure(data: Path, folds: int = 8) -> Iterator[dict[str, Any]]:
    """A row for each way to bring faces before the network, and to compare its points."""
    pairs = read(data, folds)
    every = range(folds)
    pictures = [Image.open(path).convert("RGB") for path in pairs.paths]
    path = locate("dlib-face-resnet.dat", read_settings().weights)
    encoder = DlibEncoder(path, torch.device("cpu"))
    pixels = np.stack([np.asarray(p.convert("L").resize((GREY, GREY))).ravel() for p in pictures])
    yield {"faces": "crops", "compared by": "pixels"} | pairs.rate(unit(pixels), cosine, every)
    for faces, chips in ("crops", place(pictures)), ("aligned", align_all(pictures, encoder)):
        raw = encode_raw(path, chips)
        stored = encoder.encode(chips).astype(np.float16).astype(np.float32)
        for name, points, score in (
            ("distance, any length", raw, nearness),
            ("cosine", unit(raw), cosine),
            ("cosine, with mirror image, float16", stored, cosine),
        ):
            yield {"faces": faces, "compared by": name} | pairs.rate(points, score, every)
    if folds > TRAINED + 1:
        rest = range(TRAINED, folds)
        yield {"faces": "aligned", "compared by": "cosine"} | pairs.rate(stored, cosine, rest)
        for kind in KINDS:
            score = load_classifier(kind).score
            yield {"faces": "aligned", "compared by": kind} | pairs.rate(stored, score, rest)


def read(data: Path, folds: int) -> PairSet:
    first, second, same = read_pairs(data / PAIRS)
    count = folds * FOLD
    names = sorted({*first[:count], *second[:count]})
    rows = {name: row for row, name in enumerate(names)}
    return PairSet(
        [data / CROPS / name for name in names],
        np.array([rows[name] for name in first[:count]]),
        np.array([rows[name] for name in second[:count]]),
        same[:count],
    )


def place(pictures: list[Image.Image]) -> list[np.ndarray]:
    """The same part of each crop, found without looking at it."""
    size = (DlibEncoder.side, DlibEncoder.side)
    return [
        np.asarray(picture.resize(size, Image.Resampling.BILINEAR, PLACED)) for picture in pictures
    ]


def align_all(pictures: list[Image.Image], encoder: DlibEncoder) -> list[np.ndarray]:
    """Each found and aligned; where no face is found, as the crop lies."""
    finder = Finder(read_settings().weights, torch.device("cpu"))
    faces = [find_central(finder, picture) for picture in pictures]
    return [
        align(picture, face.landmarks, encoder.template, encoder.side)
        if face
        else place([picture])[0]
        for picture, face in zip(pictures, faces, strict=True)
    ]


@torch.inference_mode()
def encode_raw(weights: Path, chips: list[np.ndarray]) -> np.ndarray:
    """What dlib would say: the network's points (N, 128) as they come."""
    network = DlibResNet()
    load_dlib(network, weights)
    batches = torch.split(torch.from_numpy(np.stack(chips)).permute(0, 3, 1, 2), 32)
    return torch.cat([network(batch.float()) for batch in batches]).numpy()


def unit(points: np.ndarray) -> np.ndarray:
    points = points.astype(np.float32)
    return np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True))


def nearness(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    return np.asarray(-np.linalg.norm(a - b, axis=1))
