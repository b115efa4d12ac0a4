"""What a score means: thresholds for a wanted rate of errors, bands, decisions."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Literal, Protocol, cast

import numpy as np

from workers.faces import verify
from workers.faces.gallery import Collection
from workers.faces.picture_contract import Band
from workers.faces.refusals import NotCalibrated
from workers.runtime.run import InvalidInput

GROWN = 1.5  # a calibration holds until the collection is so many times as large
LEAST_SPREAD = 1e-6  # of scores: a network that gives all strangers the same one lets none pass
BANDS: tuple[tuple[Band, float], ...] = (
    ("very likely", 1e-5),  # false-match rate from which on a score is in the band
    ("likely", 1e-3),
    ("uncertain", 1e-2),
)

Method = Literal["distance", "classifier", "chi2"]


class Scale(Protocol):
    """The scores of one encoder."""

    def threshold(self, fmr: float) -> float:
        """Of pairs of strangers, `fmr` score so much or more."""

    def gallery_threshold(self, fpir: float, faces: int) -> float:
        """Of strangers searched for among so many faces, `fpir` find one at this score."""

    def band(self, score: float) -> Band:
        """The score in words."""


@dataclass(frozen=True)
class ShippedScale:
    """An encoder that was measured on a public benchmark; see workers/faces/verify.py."""

    name: str
    version: str

    def threshold(self, fmr: float) -> float:
        return verify.threshold_for(self.name, self.version, fmr)

    def gallery_threshold(self, fpir: float, faces: int) -> float:
        return verify.threshold_for_gallery(self.name, self.version, fpir, max(1, faces))

    def band(self, score: float) -> Band:
        return cast(Band, verify.band(self.name, self.version, score))


@dataclass(frozen=True)
class MeasuredScale:
    """An encoder trained here: strangers' scores as a normal distribution from its evaluation."""

    strangers: NormalDist

    @classmethod
    def of(cls, metrics: Mapping[str, Any]) -> "MeasuredScale":
        spread = max(metrics["impostor_std"], LEAST_SPREAD)
        return cls(NormalDist(metrics["impostor_mean"], spread))

    def threshold(self, fmr: float) -> float:
        # The upper tail as the mirror of the lower one: 1 - fmr would be rounded.
        return min(1.0, 2 * self.strangers.mean - self.strangers.inv_cdf(fmr))

    def gallery_threshold(self, fpir: float, faces: int) -> float:
        return self.threshold(-math.expm1(math.log1p(-fpir) / max(1, faces)))

    def band(self, score: float) -> Band:
        for name, fmr in BANDS:
            if score >= self.threshold(fmr):
                return name
        return "unlikely"


@dataclass(frozen=True)
class UnknownScale:
    """An encoder that is not here: only a calibration can tell what its scores mean."""

    model: str

    def threshold(self, fmr: float) -> float:
        raise NotCalibrated(
            f"No false-match rate of {fmr:g} is known for {self.model}: send `threshold`."
        )

    def gallery_threshold(self, fpir: float, faces: int) -> float:
        raise NotCalibrated(
            f"Nothing is known of scores of {self.model} at a rate of {fpir:g} among {faces} "
            "faces: run `faces.calibrate`, or send `threshold`."
        )

    def band(self, score: float) -> Band:  # noqa: ARG002  (no score says anything)
        return "uncertain"


@dataclass(frozen=True)
class Comparison:
    """The decision on two faces."""

    same: bool
    band: Band
    score: float
    threshold: float


def compare(
    scale: Scale,
    first: np.ndarray,
    second: np.ndarray,
    method: Method,
    target_fmr: float,
    threshold: float | None,
) -> Comparison:
    """Two float16 unit vectors (D,) -> a decision by distance or by a trained classifier.

    Raises InvalidInput for a method that the encoder was not trained for.
    """
    score = round(verify.similarity(first, second), 6)
    if method == "distance":
        least = scale.threshold(target_fmr) if threshold is None else threshold
        return Comparison(score >= least, scale.band(score), score, least)
    if not isinstance(scale, ShippedScale):
        raise InvalidInput("Only dlib-resnet@1 has classifiers: compare by method=distance.")
    probability, least = verify.classify(method, first, second, target_fmr)
    least = least if threshold is None else threshold
    return Comparison(probability >= least, scale.band(score), probability, least)


def choose_gallery_threshold(
    scale: Scale, collection: Collection, target_fpir: float | None
) -> tuple[float, bool]:
    """(threshold, whether it was measured on this collection as large as it is now).

    Raises NotCalibrated for an unknown encoder if it was not measured.
    """
    target = target_fpir or collection.target_fpir
    measured = collection.calibration
    if measured is None or measured["target_fpir"] != target:
        return scale.gallery_threshold(target, collection.faces), False
    threshold = float(measured["threshold"])
    if measured["enough"] and collection.faces <= GROWN * measured["faces"]:
        return threshold, True
    if isinstance(scale, UnknownScale):
        return threshold, False
    # Too few false matches stand behind it, or there are more chances to be mistaken by now.
    return max(scale.gallery_threshold(target, collection.faces), threshold), False
