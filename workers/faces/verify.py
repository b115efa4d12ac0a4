"""What scores of the shipped encoder mean: thresholds for a rate of errors, bands, classifiers."""

import json
import math
from functools import lru_cache
from pathlib import Path

import numpy as np
from pydantic import BaseModel, ConfigDict

from workers.faces.pair_classifier import Kind, PairClassifier, sigmoid

SHIPPED = Path(__file__).with_name("calibration")
CLASSIFIED = ("dlib-resnet", "1")  # the encoder that the classifiers were trained on
BANDS = (("very likely", 1e-5), ("likely", 1e-3), ("uncertain", 1e-2))  # least false-match rate
STEEP = 1e-4  # from here to the lowest measured rate, thresholds rise faster than below it


class Pairs(BaseModel):
    """Scores of all pairs of one kind."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    pairs: int
    mean: float
    std: float


class Calibration(BaseModel):
    """How pairs of strangers score, measured on a set of labelled faces."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    version: str
    source: str
    date: str
    faces: int
    people: int
    genuine: Pairs
    impostor: Pairs
    rates: list[float]  # false-match rates, falling
    thresholds: dict[str, list[float]]  # by method: the least score for each rate
    accepted: dict[str, list[float]]  # the share of genuine pairs above it


def similarity(a: np.ndarray, b: np.ndarray) -> float:
    """The cosine of two unit vectors (D,), in [-1, 1]: 1 - d / 2 with d = |a - b|^2.

    Rounded to float16 they are not quite one long; that is made up for.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)
    cosine = a @ b / math.sqrt((a @ a) * (b @ b))
    return float(np.clip(cosine, -1.0, 1.0))


def threshold_for(model: str, version: str, target_fmr: float, method: str = "distance") -> float:
    """1:1: at most the share `target_fmr` of pairs of strangers scores so much or more.

    Between two measured rates the stricter one counts. Raises ValueError for a rate that was not
    measured, and LookupError for a model without calibration.
    """
    calibration = load_calibration(model, version)
    rates = calibration.rates
    if not rates[-1] <= target_fmr <= rates[0]:
        raise ValueError(
            f"a false-match rate of {target_fmr:g} was not measured: "
            f"choose one from {rates[-1]:g} to {rates[0]:g}"
        )
    place = next(place for place, rate in enumerate(rates) if rate <= target_fmr)
    return calibration.thresholds[method][place]


def threshold_for_gallery(model: str, version: str, target_fpir: float, faces: int) -> float:
    """1:N: at most the share `target_fpir` of strangers finds anybody among so many faces.

    Each face is a chance of its own to be mistaken, so the false-match rate has to be
    1 - (1 - fpir)^(1 / faces). Below the lowest measured rate the threshold goes on rising as fast
    per decade as just above it; in truth it rises more and more slowly, so this errs towards
    "unknown". Raises ValueError unless 0 < fpir < 1 and faces >= 1.
    """
    if not (0 < target_fpir < 1 and faces >= 1):
        raise ValueError(f"a rate of {target_fpir} among {faces} faces has no threshold")
    rates = load_calibration(model, version).rates
    fmr = -math.expm1(math.log1p(-target_fpir) / faces)
    if fmr >= rates[-1]:
        return threshold_for(model, version, min(fmr, rates[0]))
    last = threshold_for(model, version, rates[-1])
    rise = last - threshold_for(model, version, STEEP)
    per_decade = rise / math.log10(STEEP / rates[-1])
    return min(1.0, last + per_decade * math.log10(rates[-1] / fmr))


def band(model: str, version: str, score: float) -> str:
    """A score in words: "very likely", "likely", "uncertain" or "unlikely" one person."""
    for name, fmr in BANDS:
        if score >= threshold_for(model, version, fmr):
            return name
    return "unlikely"


def classify(kind: Kind, a: np.ndarray, b: np.ndarray, target_fmr: float) -> tuple[float, float]:
    """Unit vectors (D,) -> probability of one person, and the least one for a false-match rate.

    The probability is for as many pairs of strangers as of one person, as in training; where
    strangers are more frequent it is too high, and the rate is what to go by.
    """
    probability = load_classifier(kind).predict(a[None], b[None])[0]
    least = threshold_for(*CLASSIFIED, target_fmr, method=kind)
    return float(probability), float(sigmoid(np.array(least)))


@lru_cache
def load_calibration(model: str, version: str) -> Calibration:
    """The shipped one; raises LookupError if there is none."""
    path = SHIPPED / f"{model}-{version}.json"
    if not path.is_file():
        raise LookupError(f"{model}@{version} has no calibration")
    return Calibration.model_validate(json.loads(path.read_bytes()))


@lru_cache
def load_classifier(kind: Kind) -> PairClassifier:
    return PairClassifier.load(SHIPPED / f"{'-'.join(CLASSIFIED)}-{kind}.safetensors")
