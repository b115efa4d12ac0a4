"""Run lengths of masks as COCO writes them: column by column, packed into text."""

import numpy as np

FIRST = 48  # the character of 0; 63 more follow it
MOST = 7  # characters of a number of 32 bits
PART = 2**20  # runs that are packed at once


def count_runs(mask: np.ndarray) -> np.ndarray:
    """Of a mask (H, W) bool, down its columns: how many pixels are out, in, out and so on."""
    flat = np.asarray(mask, bool).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    begin = [0, 0] if flat[:1].any() else [0]  # if the first is in, the first run is of none
    lengths: np.ndarray = np.diff(changes, prepend=begin, append=flat.size)
    return lengths


def pack_runs(runs: np.ndarray) -> str:
    """COCO's text: from the fourth on, a run is told by how it differs from the one two before.

    A number is written five bits a character, the lowest first; the sixth says that more come, and
    the fifth of the last is its sign.
    """
    told = runs.astype(np.int64)
    told[3:] -= runs[1:-2]
    return "".join(_pack(told[place : place + PART]) for place in range(0, len(told), PART))


def _pack(rest: np.ndarray) -> str:
    text = np.zeros((len(rest), MOST), np.uint8)  # 0 where a number has ended
    going = np.ones(len(rest), bool)
    for place in range(MOST):
        bits, rest = rest & 31, rest >> 5
        more = rest != -(bits >> 4)
        text[:, place] = np.where(going, FIRST + (bits | more << 5), 0)
        going &= more
    return text[text > 0].tobytes().decode("ascii")


def to_coco(mask: np.ndarray) -> dict[str, object]:
    """What COCO's `segmentation` holds for a mask (H, W) bool."""
    return {"size": list(mask.shape), "counts": pack_runs(count_runs(mask))}


def unpack_runs(text: str) -> np.ndarray:
    """The runs (N,) int64 that a text of `pack_runs` tells; raises ValueError if it is none."""
    codes = np.frombuffer(text.encode(), np.uint8) - np.int64(FIRST)
    if not len(codes) or codes.min() < 0 or codes.max() > 63 or codes[-1] & 32:
        raise ValueError("The run lengths are not those that COCO packs into text.")
    lasts = np.flatnonzero(~codes & 32)
    firsts = np.concatenate([[0], lasts[:-1] + 1])
    lengths = lasts - firsts + 1
    if lengths.max() > MOST:
        raise ValueError("A run is longer than any picture.")
    places = np.arange(len(codes)) - np.repeat(firsts, lengths)
    runs: np.ndarray = np.add.reduceat((codes & 31) << 5 * places, firsts)
    runs -= (codes[lasts] >> 4 & 1) << 5 * lengths  # the sign
    runs[1::2], runs[2::2] = np.cumsum(runs[1::2]), np.cumsum(runs[2::2])
    return runs
