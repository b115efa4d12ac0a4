"""How well scores tell pairs of one person (genuine) from pairs of two (impostor)."""

import math

import numpy as np
from PIL import Image, ImageDraw, ImageFont
from sklearn.metrics import roc_curve

INK, GRID, CURVE = "#222222", "#dddddd", "#1f5fbf"
MARGIN = (70, 40, 20, 50)  # pixels left, above, right, below the axes
SIZE = (640, 480)
FLOOR = -6  # the lowest decade of FAR that is drawn


def equal_error_rate(genuine: np.ndarray, impostor: np.ndarray) -> float:
    """The share of errors where both kinds are equally frequent, in [0, 1].

    Scores (N,) and (M,): higher is more alike. Equal scores and the steps of the curve are
    crossed in straight lines. Raises ValueError if either is empty or not finite.
    """
    far, tar = _curve(genuine, impostor)
    return float(np.interp(0.0, far - (1 - tar), far))


def tar_at_far(genuine: np.ndarray, impostor: np.ndarray, far: float) -> float:
    """The share of genuine pairs accepted by `threshold_at_far(impostor, far)`, in [0, 1]."""
    threshold = threshold_at_far(impostor, far)
    return float(np.mean(_check(genuine).astype(np.float64) >= threshold))


def threshold_at_far(impostor: np.ndarray, far: float) -> float:
    """The lowest threshold t for which at most the share `far` of the scores (M,) is >= t.

    Raises ValueError if `far` is not in [0, 1], or the scores are empty or not finite.
    """
    if not 0 <= far <= 1:
        raise ValueError(f"a false accept rate of {far} is not in [0, 1]")
    scores = _check(impostor)
    passed = math.floor(far * len(scores))  # so many may be accepted
    if passed == len(scores):
        return float(scores.min())
    place = len(scores) - 1 - passed
    refused = np.partition(scores, place)[place]  # the best score that must not be
    return float(np.nextafter(refused, scores.dtype.type(np.inf)))


def best_threshold(scores: np.ndarray, same: np.ndarray) -> float:
    """The threshold with the most right answers on (N,) scores, halfway to the next one."""
    order = np.argsort(-scores, kind="stable")
    ranked, truth = scores[order].astype(np.float64), same[order].astype(bool)
    right = np.concatenate([[0], np.cumsum(np.where(truth, 1, -1))])  # accepting the best j
    edges = np.concatenate([[ranked[0] + 1], ranked, [ranked[-1] - 1]])
    possible = np.flatnonzero(edges[:-1] > edges[1:])  # equal scores fall together
    best = possible[np.argmax(right[possible])]
    return float((edges[best] + edges[best + 1]) / 2)


def fold_accuracy(scores: np.ndarray, same: np.ndarray, folds: int) -> tuple[float, float]:
    """Mean and standard deviation over the folds of the accuracy, in [0, 1].

    The protocol of Labeled Faces in the Wild (Huang et al., 2007, section V): (N,) pairs in order
    of their folds, which are equally large; each is judged by the best threshold of the others.
    Raises ValueError if there are fewer than two folds or N is not a multiple of them.
    """
    if folds < 2 or len(scores) != len(same) or len(scores) % folds or not len(scores):
        raise ValueError(f"{len(scores)} scores of {len(same)} pairs are not {folds} equal folds")
    fold = np.repeat(np.arange(folds), len(scores) // folds)
    accuracies = []
    for held_out in range(folds):
        inside = fold == held_out
        threshold = best_threshold(scores[~inside], same[~inside])
        right = (scores[inside] >= threshold) == same[inside].astype(bool)
        accuracies.append(right.mean())
    return float(np.mean(accuracies)), float(np.std(accuracies, ddof=1))


def draw_roc(genuine: np.ndarray, impostor: np.ndarray, title: str) -> Image.Image:
    """A picture of TAR over the logarithm of FAR, down to the rate of one impostor pair."""
    far, tar = _curve(genuine, impostor)
    decades = min(-1, max(FLOOR, math.floor(-math.log10(len(impostor)))))
    picture = Image.new("RGB", SIZE, "white")
    draw = ImageDraw.Draw(picture)
    _draw_axes(draw, decades, title)
    shown = far > 0
    logs = np.maximum(np.log10(far[shown]), decades)
    line = [_place(x, y, decades) for x, y in zip(logs, tar[shown], strict=True)]
    draw.line([_place(decades, tar[far <= 10.0**decades].max(), decades), *line], CURVE, 3)
    eer = equal_error_rate(genuine, impostor)
    note = f"EER {eer:.2%}   {len(genuine):,} genuine, {len(impostor):,} impostor pairs"
    right, bottom = _place(0, 0, decades)
    draw.text((right - 8, bottom - 8), note, INK, _font(15), anchor="rs")
    return picture


def _draw_axes(draw: ImageDraw.ImageDraw, decades: int, title: str) -> None:
    left, bottom = _place(decades, 0, decades)
    right, top = _place(0, 1, decades)
    for decade in range(decades, 1):
        x, _ = _place(decade, 0, decades)
        draw.line([(x, top), (x, bottom)], GRID)
        label = f"1e{decade}" if decade else "1"
        draw.text((x, bottom + 6), label, INK, _font(15), anchor="ma")
    for tenth in range(0, 11, 2):
        _, y = _place(0, tenth / 10, decades)
        draw.line([(left, y), (right, y)], GRID)
        draw.text((left - 8, y), f"{tenth / 10:.1f}", INK, _font(15), anchor="rm")
    draw.rectangle([left, top, right, bottom], outline=INK)
    draw.text(((left + right) / 2, 20), title, INK, _font(18), anchor="mm")
    draw.text(((left + right) / 2, SIZE[1] - 6), "FAR", INK, _font(15), anchor="ms")
    draw.text((8, top), "TAR", INK, _font(15), anchor="lm")


def _place(log_far: float, tar: float, decades: int) -> tuple[float, float]:
    """Pixels of a point of the curve."""
    left, above, right, below = MARGIN
    width, height = SIZE[0] - left - right, SIZE[1] - above - below
    return left + (1 - log_far / decades) * width, above + (1 - tar) * height


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)


def _curve(genuine: np.ndarray, impostor: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """FAR and TAR for every threshold, rising from (0, 0) to (1, 1)."""
    scores = np.concatenate([_check(genuine), _check(impostor)])
    same = np.arange(len(scores)) < len(genuine)
    far, tar, _ = roc_curve(same, scores)
    return far, tar


def _check(scores: np.ndarray) -> np.ndarray:
    if scores.size == 0 or not np.isfinite(scores).all():
        raise ValueError("the scores are empty or not finite")
    return scores
