"""Run lengths of masks as COCO writes them: column by column, packed into text."""

import numpy as np

FIRST = 48  # the character of 0; 63 more follow it
MOST = 7  # characters of a number of 32 bits


def count_runs(mask: np.ndarray) -> np.ndarray:
    """Of a mask (H, W) bool, down its columns: how many pixels are out, in, out and so on."""
    flat = mask.astype(bool).ravel(order="F")
    before = np.concatenate([[False], flat[:-1]])  # if the first is in, the first run is of none
    changes = np.flatnonzero(flat != before)
    lengths: np.ndarray = np.diff(np.concatenate([[0], changes, [flat.size]]))
    return lengths


def pack_runs(runs: np.ndarray) -> str:
    """COCO's text: from the fourth on, a run is told by how it differs from the one two before.

    A number is written five bits a character, the lowest first; the sixth says that more come, and
    the fifth of the last is its sign.
    """
    rest = runs.astype(np.int64)
    rest[3:] -= runs[1:-2]
    text = np.zeros((len(runs), MOST), np.uint8)  # 0 where a number has ended
    going = np.ones(len(runs), bool)
    for place in range(MOST):
        bits, rest = rest & 31, rest >> 5
        more = rest != -(bits >> 4)
        text[:, place] = np.where(going, FIRST + (bits | more << 5), 0)
        going &= more
    return text[text > 0].tobytes().decode("ascii")


def to_coco(mask: np.ndarray) -> dict[str, object]:
    """What COCO's `segmentation` holds for a mask (H, W) bool."""
    return {"size": list(mask.shape), "counts": pack_runs(count_runs(mask))}
