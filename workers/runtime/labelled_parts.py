"""The parts of a data set: train, val and test, as it was given."""

from collections.abc import Iterable, Sequence
from typing import Protocol, TypeVar


class InPart(Protocol):
    """A labelled picture."""

    @property
    def part(self) -> str:
        """ "train", "val" or "test"; "" if nothing says so."""


P = TypeVar("P", bound=InPart)


def list_parts(pictures: Iterable[InPart]) -> tuple[str, ...]:
    """The parts that a data set was given in, sorted; () if it is one whole."""
    return tuple(sorted({picture.part for picture in pictures} - {""}))


def choose_part(pictures: Sequence[P], name: str) -> tuple[P, ...]:
    """Those of one part; raises ValueError if there are none."""
    chosen = tuple(picture for picture in pictures if picture.part == name)
    if not chosen:
        known = ", ".join(list_parts(pictures)) or "none"
        raise ValueError(f"No picture is in part {name!r}; the parts: {known}.")
    return chosen
