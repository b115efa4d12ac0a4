"""Run lengths of masks as COCO writes them: column by column, packed into text."""

from collections.abc import Sequence

import numpy as np

from workers.runtime.run import InvalidInput

FIRST = 48  # the character of 0; six bits from there on


def count_runs(mask: np.ndarray) -> list[int]:
    """Of a mask (H, W) bool, down its columns: how many pixels are out, in, out and so on."""
    flat = mask.astype(bool).ravel(order="F")
    changes = np.flatnonzero(flat[1:] != flat[:-1]) + 1
    starts = [0] if len(flat) and flat[0] else []  # the first run may be of no pixels
    lengths: list[int] = np.diff([0, *starts, *changes.tolist(), len(flat)]).tolist()
    return lengths


def fill_runs(runs: Sequence[int], height: int, width: int) -> np.ndarray:
    """The mask (height, width) bool. Raises InvalidInput if the runs do not fill it."""
    if any(length < 0 for length in runs) or sum(runs) != height * width:
        raise InvalidInput(f"The runs do not fill {width} x {height} pixels.")
    inside = np.arange(len(runs)) % 2 == 1
    return np.repeat(inside, np.asarray(runs, np.int64)).reshape(height, width, order="F")


def pack_runs(runs: Sequence[int]) -> str:
    """COCO's text: from the fourth on, a run is told by how it differs from the one two before.

    A number is written five bits a character, the lowest first; the sixth says that more come, and
    the fifth of the last is its sign.
    """
    text = bytearray()
    for place, length in enumerate(runs):
        number = length - runs[place - 2] if place > 2 else length
        more = True
        while more:
            bits, number = number & 31, number >> 5
            more = number != (-1 if bits & 16 else 0)
            text.append(FIRST + (bits | more << 5))
    return text.decode("ascii")


def unpack_runs(text: str) -> list[int]:
    """What `pack_runs` was given. Raises InvalidInput for another text."""
    runs: list[int] = []
    number = shift = 0
    for code in text.encode():
        bits = code - FIRST
        if not 0 <= bits < 64 or shift > 30:
            raise InvalidInput("The run lengths are not in COCO's form.")
        number |= (bits & 31) << shift
        shift += 5
        if not bits & 32:
            number -= (bits & 16) << (shift - 4)
            runs.append(number + (runs[-2] if len(runs) > 2 else 0))
            number = shift = 0
    if shift:
        raise InvalidInput("The run lengths end within a number.")
    return runs


def to_coco(mask: np.ndarray) -> dict[str, object]:
    """What COCO's `segmentation` holds for a mask (H, W) bool."""
    return {"size": list(mask.shape), "counts": pack_runs(count_runs(mask))}
