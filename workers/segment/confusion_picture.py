"""Draws what was taken for what: the confusion matrix of a network."""

from collections.abc import Sequence

import numpy as np

from workers.runtime.plots import draw_matrix

MOST = 30  # classes that are shown


def draw_confusion(confusion: np.ndarray, names: Sequence[str]) -> bytes:
    """A PNG of a confusion matrix (C, C) of pixels, rows the truth, of so many names.

    A row is what became of a class, in percent of its pixels. Only classes that occur have one, and
    only those that occur or were found have a column; of many the largest MOST.
    """
    truth, found = confusion.sum(axis=1), confusion.sum(axis=0)
    largest = np.argsort(-(truth + found), kind="stable")[:MOST]
    columns = [int(one) for one in np.sort(largest) if truth[one] + found[one]]
    rows = [one for one in columns if truth[one]]
    shares = confusion[np.ix_(rows, columns)] / truth[rows][:, None]
    seen = int(np.count_nonzero(truth + found))
    told = f", the largest {MOST} of {seen} classes" if seen > MOST else ""
    return draw_matrix(
        shares,
        [names[one] for one in rows],
        [names[one] for one in columns],
        f"Pixels of a class, in percent{told}",
        "answer",
        "truth",
    )
