"""How well points tell apart people that training never saw."""

import numpy as np

from workers.faces.metrics import equal_error_rate, tar_at_far

MAX_FACES = 3000  # their 4.5 million pairs take a second or two
FARS = (1e-1, 1e-2, 1e-3)


def score_pairs(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Cosines of all pairs of points (N, d) of unit length: (of one person, of two people).

    Of more than MAX_FACES faces an even sample, the same each time.
    """
    if len(points) > MAX_FACES:
        rows = np.random.default_rng(0).permutation(len(points))[:MAX_FACES]
        points, labels = points[rows], labels[rows]
    scores = points @ points.T  # (N, N)
    left, right = np.triu_indices(len(points), k=1)
    same = labels[left] == labels[right]
    pairs = scores[left, right]
    return pairs[same], pairs[~same]


def measure(genuine: np.ndarray, impostor: np.ndarray) -> dict[str, float]:
    """EER and TAR, in [0, 1], and how many pairs they rest on."""
    found = {"eer": equal_error_rate(genuine, impostor)}
    found |= {f"tar_at_far_{far:g}": tar_at_far(genuine, impostor, far) for far in FARS}
    return {**found, "genuine_pairs": len(genuine), "impostor_pairs": len(impostor)}
