"""Decides whose face it is: exact scores, grouped by subject, against a threshold."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from workers.faces.index.backend import Candidates

DECIMALS = 6  # of a score: sums in another order differ only behind them
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
    asked for more of them until no other face could change the answer.
    """
    found: list[list[Match]] = [[] for _ in queries]
    waiting = np.arange(len(queries))
    count = max(FIRST_LOOK, 2 * limit)
    while len(waiting):
        candidates = search(queries[waiting], min(count, max(live, 1)))
        scores = rescore(queries[waiting], candidates)
        unfinished = []
        for row, query in enumerate(waiting):
            near = [match for match in group(candidates, scores, row) if match.score >= lowest]
            found[query] = near[:limit]
            # Until here another face could be among the matches, or be as near as the last one.
            end = found[query][-1].score if len(near) >= limit else lowest
            furthest = scores[row].min(initial=np.inf, where=scores[row] > -np.inf)
            if count < live and end <= furthest < np.inf:
                unfinished.append(query)
        waiting = np.array(unfinished, np.int64)
        count *= 4
    return found


def group(candidates: Candidates, scores: np.ndarray, row: int) -> list[Match]:
    """The subjects among one query's candidates, best first, of equals the first enrolled."""
    faces: dict[int, list[int]] = {}
    for place in np.lexsort((candidates.numbers[row], -scores[row])):
        if scores[row, place] > -np.inf:
            faces.setdefault(int(candidates.subjects[row, place]), []).append(int(place))
    return [_match(candidates, scores, row, subject, own) for subject, own in faces.items()]


def _match(
    candidates: Candidates, scores: np.ndarray, row: int, subject: int, own: list[int]
) -> Match:
    # The query's score with the normalised mean is the mean score over the mean's length.
    mean = candidates.vectors[row, own].astype(np.float64).mean(axis=0)
    length = float(np.linalg.norm(mean)) or 1.0
    return Match(
        subject=subject,
        number=int(candidates.numbers[row, own[0]]),
        score=float(scores[row, own[0]]),
        mean_score=round(float(scores[row, own].mean()) / length, DECIMALS),
        faces=len(own),
    )
