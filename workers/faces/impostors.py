"""Measures how alike strangers are to an encoder: `python -m workers.faces.impostors --help`."""

import math
from argparse import ArgumentParser
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from shared.settings import read_settings
from shared.weights import locate
from workers.faces.align import align
from workers.faces.encoder import DlibEncoder, Encoder
from workers.faces.find import Finder, Found
from workers.faces.pair_classifier import Kind, PairClassifier
from workers.faces.verify import SHIPPED, Calibration, Pairs

LAST_DECADE = 6  # a lower rate than 1e-6 needs more pairs than such sets have
PER_DECADE = 10
SMALLEST, SCORE = 32, 0.5  # pixels and detector's score; every picture is known to show a face
KINDS: tuple[Kind, ...] = ("classifier", "chi2")

Score = Callable[[np.ndarray, np.ndarray], np.ndarray]  # (1, D), (M, D) -> (M,)


def measure(
    points: np.ndarray, people: np.ndarray, methods: dict[str, Score], **about: str
) -> Calibration:
    """Compare every two of N points (N, D) of so many people (N,), by each method.

    `about` says model, version and source. The first method also gives means and deviations.
    """
    rates = list_rates()
    thresholds: dict[str, list[float]] = {}
    accepted: dict[str, list[float]] = {}
    spreads: list[Pairs] = []
    for method, score in methods.items():
        genuine, impostor = score_all(points, people, score)
        thresholds[method] = find_thresholds(impostor, rates)
        accepted[method] = [round(float((genuine >= t).mean()), 4) for t in thresholds[method]]
        spreads += [describe(genuine), describe(impostor)]
    return Calibration(
        **about,
        date=datetime.now(UTC).date().isoformat(),
        faces=len(points),
        people=len(np.unique(people)),
        genuine=spreads[0],
        impostor=spreads[1],
        rates=rates,
        thresholds=thresholds,
        accepted=accepted,
    )


def list_rates() -> list[float]:
    """From a half down to 1e-6, ten in a decade."""
    steps = range(3, LAST_DECADE * PER_DECADE + 1)
    return [float(f"{10 ** (-step / PER_DECADE):.3g}") for step in steps]


def score_all(
    points: np.ndarray, people: np.ndarray, score: Score
) -> tuple[np.ndarray, np.ndarray]:
    """The scores of all pairs of one person, and of all of two, float32."""
    count = len(points)
    scores = np.empty(count * (count - 1) // 2, np.float32)
    same = np.empty(len(scores), bool)
    start = 0
    for row in range(count - 1):
        stop = start + count - 1 - row
        scores[start:stop] = score(points[row : row + 1], points[row + 1 :])
        same[start:stop] = people[row] == people[row + 1 :]
        start = stop
    return scores[same], scores[~same]


def find_thresholds(impostor: np.ndarray, rates: Sequence[float]) -> list[float]:
    """The least score for each rate, rounded up, as `metrics.threshold_at_far` but all at once."""
    places = [len(impostor) - 1 - math.floor(rate * len(impostor)) for rate in rates]
    refused = np.partition(impostor, places)[places]  # the best scores that must not pass
    return [math.floor(float(score) * 1e6 + 1) / 1e6 for score in refused]


def describe(scores: np.ndarray) -> Pairs:
    mean, std = scores.mean(dtype=np.float64), scores.std(dtype=np.float64)
    return Pairs(pairs=len(scores), mean=round(float(mean), 4), std=round(float(std), 4))


def cosine(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Unit vectors (B, D) or (1, D), and (B, D) -> (B,) in [-1, 1]."""
    return np.asarray((a * b).sum(axis=1))


def encode_files(paths: Sequence[Path], finder: Finder, encoder: Encoder) -> np.ndarray:
    """The most central face of each picture as it would be stored, (N, D) float32.

    Rounded to float16 and back. Raises ValueError for a picture without a face.
    """
    points = [encoder.encode(chips) for chips in _cut_chips(paths, finder, encoder)]
    return np.concatenate(points).astype(np.float16).astype(np.float32)


def _cut_chips(
    paths: Sequence[Path], finder: Finder, encoder: Encoder, at_once: int = 256
) -> Iterator[list[np.ndarray]]:
    for start in range(0, len(paths), at_once):
        chips = []
        for path in paths[start : start + at_once]:
            picture = Image.open(path).convert("RGB")
            face = find_central(finder, picture)
            if face is None:
                raise ValueError(f"no face was found in {path}")
            chips.append(align(picture, face.landmarks, encoder.template, encoder.side))
        yield chips


def find_central(finder: Finder, picture: Image.Image) -> Found | None:
    """The face whose landmarks lie closest to the middle: whom such sets are labelled for."""
    middle = np.array(picture.size) / 2
    faces = finder.find(picture, SMALLEST, SCORE)
    distances = [np.linalg.norm(face.landmarks.mean(axis=0) - middle) for face in faces]
    return faces[int(np.argmin(distances))] if faces else None


def read_pairs(path: Path) -> tuple[list[str], list[str], np.ndarray]:
    """A file of lines "one path, other path, 1 if of one person" -> three columns."""
    rows = [line.split() for line in path.read_text(encoding="utf-8").splitlines()]
    return [r[0] for r in rows], [r[1] for r in rows], np.array([r[2] == "1" for r in rows])


def main() -> None:
    """Write the calibration and the classifiers that are shipped with the product."""
    parser = ArgumentParser("python -m workers.faces.impostors", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="one folder per person")
    parser.add_argument("--pairs", type=Path, required=True, help="to train the classifiers on")
    parser.add_argument("--take", type=int, required=True, help="so many pairs from the top")
    parser.add_argument("--source", required=True, help="what the data is")
    given = parser.parse_args()
    weights = read_settings().weights
    device = torch.device("cpu")
    encoder = DlibEncoder(locate("dlib-face-resnet.dat", weights), device)
    paths = sorted(given.data.glob("*/*.jpg"))
    points = encode_files(paths, Finder(weights, device), encoder)
    rows = {str(path.relative_to(given.data)): row for row, path in enumerate(paths)}
    first, second, same = read_pairs(given.pairs)
    a, b = (points[[rows[name] for name in names[: given.take]]] for names in (first, second))
    methods = train(encoder, a, b, same[: given.take])
    people = np.array([path.parent.name for path in paths])
    about = {"model": encoder.name, "version": encoder.version, "source": given.source}
    calibration = measure(points, people, methods, **about)
    file = SHIPPED / f"{encoder.name}-{encoder.version}.json"
    file.write_text(calibration.model_dump_json(indent=1) + "\n", "utf-8")


def train(encoder: Encoder, a: np.ndarray, b: np.ndarray, same: np.ndarray) -> dict[str, Score]:
    """Fit and write the classifiers; every method by its name."""
    methods: dict[str, Score] = {"distance": cosine}
    for kind in KINDS:
        classifier = PairClassifier.fit(kind, a, b, same)
        classifier.save(SHIPPED / f"{encoder.name}-{encoder.version}-{kind}.safetensors")
        methods[kind] = classifier.score
    return methods


if __name__ == "__main__":
    main()
