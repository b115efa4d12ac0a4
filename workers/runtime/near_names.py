"""Names that are like those that nobody knows."""

import difflib
from collections.abc import Sequence

from workers.runtime.run import InvalidInput

MOST_ODD, MOST_KNOWN = 10, 100  # names
LONGEST = 200  # characters


def tell_near(odd: Sequence[str], known: Sequence[str]) -> str:
    """A sentence: which known names are like the odd ones, or what names there are."""
    near = {
        match: None
        for name in odd[:MOST_ODD]
        for match in difflib.get_close_matches(name[:LONGEST], known, n=3, cutoff=0.5)
    }
    if near:
        return f"Did you mean {', '.join(near)}?"
    more = f" and {len(known) - MOST_KNOWN} more" if len(known) > MOST_KNOWN else ""
    return f"There are {', '.join(known[:MOST_KNOWN])}{more}."


def find_places(labels: Sequence[str], known: Sequence[str]) -> list[int]:
    """Where each label is among the known names. Raises InvalidInput for one that is not there."""
    for label in labels:
        if label not in known:
            raise InvalidInput(f"There is no class {label!r}. {tell_near([label], known)}")
    return [known.index(label) for label in labels]
