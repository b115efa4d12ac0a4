"""Decides whose face it is: exact scores, grouped by subject, against a threshold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.faces.index.backend import Candidates

DECIMALS = 6  # of a score: sums in another order differ only behind them
AT_ONCE = 2**24  # numbers of candidates' vectors in memory: 128 MB in double precision
WIDEST = 2**16  # faces looked at for one probe
FIRST_LOOK = 40  # faces an index is asked for; more only if their subjects are too few

Search = Callable[[np.ndarray, int], Candidates]


@dataclass(frozen=True)
class Match:
    """A subject near a probe."""

    subject: int
    number: int  # of its nearest face; the first enrolled of equals
    score: float  # 1 - d/2 with d the squared distance, in [-1, 1]
    mean_score: float  # of the mean of the subject's faces among the candidates
    faces: int  # how many those are


def rescore(queries: np.ndarray, candidates: Candidates) -> np.ndarray:
    """(B, D) float32 -> (B, K) float64 exact scores; -inf where there is no candidate."""
    vectors = candidates.vectors.astype(np.float64)
    scores = np.einsum("bd,bkd->bk", queries.astype(np.float64), vectors).round(DECIMALS)
    return np.where(candidates.numbers >= 0, scores, -np.inf)


def find_subjects(
    search: Search, queries: np.ndarray, live: int, limit: int, lowest: float
) -> list[list[Match]]:
    """For each query the `limit` nearest subjects that score at least `lowest`, best first.

    Of equal subjects the first enrolled comes first. A subject may have many faces: the index is
    asked for more of them, up to WIDEST, until no other face could change the answer.
    """
    found: list[list[Match]] = [[] for _ in queries]
    waiting = list(range(len(queries)))
    most = min(max(live, 1), WIDEST)
    count = min(max(FIRST_LOOK, 2 * limit), most)
    while waiting:
        unfinished = []
        step = max(1, AT_ONCE // (count * queries.shape[1]))
        for start in range(0, len(waiting), step):
            part = waiting[start : start + step]
            candidates = search(queries[part], count)
            scores = rescore(queries[part], candidates)
            for row, query in enumerate(part):
                near = group(candidates, scores[row], row, lowest)
                found[query] = [_match(candidates, scores[row], row, own) for own in near[:limit]]
                # Until here another face could be among the matches, or as near as the last one.
                end = found[query][-1].score if len(near) >= limit else lowest
                if count < most and end <= _furthest(scores[row]) < np.inf:
                    unfinished.append(query)
        waiting, count = unfinished, min(4 * count, most)
    return found


def _furthest(scores: np.ndarray) -> float:
    """The lowest score of a candidate; infinite if there is none."""
    return float(scores.min(initial=np.inf, where=scores > -np.inf))


def group(candidates: Candidates, scores: np.ndarray, row: int, lowest: float) -> list[list[int]]:
    """The places of one query's candidates by subject, nearest first, of equals the first enrolled.

    `scores` (K,) are the query's; subjects without a face that scores `lowest` are left out.
    """
    places: dict[int, list[int]] = {}
    for place in np.lexsort((candidates.numbers[row], -scores)).tolist():
        if scores[place] > -np.inf:
            places.setdefault(int(candidates.subjects[row, place]), []).append(place)
    return [own for own in places.values() if scores[own[0]] >= lowest]


def _match(candidates: Candidates, scores: np.ndarray, row: int, own: list[int]) -> Match:
    # The query's score with the normalised mean is the mean score over the mean's length.
    mean = candidates.vectors[row, own].astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean)) or 1.0
    return Match(
        subject=int(candidates.subjects[row, own[0]]),
        number=int(candidates.numbers[row, own[0]]),
        score=float(scores[own[0]]),
        mean_score=round(float(scores[own].mean()) / length, DECIMALS),
        faces=len(own),
    )
