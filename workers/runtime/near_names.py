"""Names that are like those that nobody knows."""

import difflib
from collections.abc import Sequence

from workers.runtime.run import InvalidInput

MOST_ODD, MOST_KNOWN = 10, 100  # names
LONGEST = 200  # characters


def name_near(odd: Sequence[str], known: Sequence[str]) -> str:
    """The known names that are most like the odd ones; the first known ones if none is alike."""
    near = {
        match: None
        for name in odd[:MOST_ODD]
        for match in difflib.get_close_matches(name[:LONGEST], known, n=3, cutoff=0.5)
    }
    return ", ".join(near or known[:MOST_KNOWN])


def find_places(labels: Sequence[str], known: Sequence[str]) -> list[int]:
    """Where each label is among the known names. Raises InvalidInput for one that is not there."""
    for label in labels:
        if label not in known:
            near = name_near([label], known)
            raise InvalidInput(f"There is no class {label!r}. Known: {near}.")
    return [known.index(label) for label in labels]
