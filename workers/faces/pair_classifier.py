"""A trained decision whether two faces are of one person, beside the plain distance."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, Self

import numpy as np
from safetensors import safe_open
from safetensors.numpy import save_file
from sklearn.linear_model import LogisticRegression

Kind = Literal["classifier", "chi2"]

EPSILON = 1e-4  # below what float16 keeps of an embedding
C = 100.0  # of the regularisation; of powers of ten, the least log loss on folds left out


@dataclass(frozen=True)
class PairClassifier:
    """Logistic regression on how two points differ, dimension by dimension.

    `classifier` is y = sigmoid(sum_k w_k |f_k(a) - f_k(b)| + bias) (Taigman et al., 2014,
    section 4.2); `chi2` has (f_k(a) - f_k(b))^2 / (f_k(a) + f_k(b)) in its place, which needs
    values that are not negative: positive and negative parts count as dimensions of their own.
    """

    kind: Kind
    weights: np.ndarray  # (D,) float32, (2 D,) for chi2
    bias: float

    @classmethod
    def fit(cls, kind: Kind, a: np.ndarray, b: np.ndarray, same: np.ndarray) -> Self:
        """Train on pairs of unit vectors (B, D) and whether they are of one person, (B,) bool."""
        regression = LogisticRegression(C=C, max_iter=10_000)
        regression.fit(features(kind, a, b), same)
        return cls(kind, regression.coef_[0].astype(np.float32), float(regression.intercept_[0]))

    def score(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Unit vectors (B, D) each -> log odds (B,): higher is more alike, 0 is even."""
        return np.asarray(features(self.kind, a, b) @ self.weights + np.float32(self.bias))

    def predict(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Unit vectors (B, D) each -> probability (B,) of one person among as many strangers."""
        return np.asarray(sigmoid(self.score(a, b)))

    def save(self, path: Path) -> None:
        tensors = {"weights": self.weights, "bias": np.array(self.bias)}
        save_file(tensors, path, {"kind": self.kind})

    @classmethod
    def load(cls, path: Path) -> Self:
        with safe_open(path, "numpy") as file:
            kind = file.metadata()["kind"]
            return cls(kind, file.get_tensor("weights"), float(file.get_tensor("bias")))


def features(kind: Kind, a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Unit vectors (B, D) each -> what the regression sees, (B, D) or (B, 2 D) float32."""
    a, b = a.astype(np.float32), b.astype(np.float32)
    if kind == "classifier":
        return np.asarray(np.abs(a - b))
    a, b = split_signs(a), split_signs(b)
    return np.asarray((a - b) ** 2 / (a + b + np.float32(EPSILON)))


def split_signs(points: np.ndarray) -> np.ndarray:
    """(B, D) -> positive and negative parts, (B, 2 D), none of them negative."""
    return np.concatenate([np.maximum(points, 0), np.maximum(-points, 0)], axis=-1)


def sigmoid(log_odds: np.ndarray) -> np.ndarray:
    """In float64, which does not round a likely pair to 1."""
    return np.asarray(0.5 * (1 + np.tanh(log_odds.astype(np.float64) / 2)))
