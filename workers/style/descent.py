"""Moves a picture against its gradient, by Adam or by L-BFGS."""

import math
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, Optimizer

from workers.runtime.training import pack_optimiser, unpack_optimiser
from workers.style.transfer_contract import Optimiser

MEMORY = 10  # pairs that L-BFGS keeps, of two pictures each; more make a step hardly better
TRIES = 10  # of a line search, at most: each but the first measures the picture
FIRST = 0.01  # how far pixels move on average at the first try of a new memory, times the rate
SHORTER = 0.1  # times as far after a search that found nothing lower
PATIENCE = 4  # such searches in a row: then there is no way down


class NoWayBack(Exception):
    """The loss is no number, and nothing is left to go back to."""


@dataclass(frozen=True)
class Measured:
    """What was found out about a picture."""

    losses: Sequence[float]  # content, style and total variation, weighted
    value: float  # their sum in the unit that the gradient has
    gradient: Tensor  # of the picture's shape


Measure = Callable[[], Measured]  # of the picture as it is now; may raise what ends the work


class Descent(Protocol):
    """One picture's optimiser."""

    def step(self, measure: Measure, rate: float) -> Measured:
        """Move the picture; what was found about it as it was. Raises NoWayBack.

        `rate`: the learning rate. What `measure` raises leaves the picture as it was.
        """

    def pack(self) -> dict[str, dict[str, Tensor]]:
        """What of its state is worth keeping, as parts of a checkpoint."""

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None: ...


def make_descent(name: Optimiser, picture: nn.Parameter) -> Descent:
    return AdamDescent(picture) if name == "adam" else LbfgsDescent(picture)


class AdamDescent:
    """Kingma and Ba (2015), with the numbers of the paper."""

    def __init__(self, picture: nn.Parameter) -> None:
        self._picture = picture
        self._optimiser: Optimizer = Adam([picture])

    def step(self, measure: Measure, rate: float) -> Measured:
        found = measure()
        if not math.isfinite(found.value):
            raise NoWayBack
        self._picture.grad = found.gradient
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.step()
        self._picture.grad = None
        return found

    def pack(self) -> dict[str, dict[str, Tensor]]:
        return pack_optimiser(self._optimiser)

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        unpack_optimiser(self._optimiser, parts)


@dataclass(frozen=True)
class _Place:
    """A picture that was measured."""

    picture: Tensor
    found: Measured


class LbfgsDescent:
    """L-BFGS with a line search (Nocedal and Wright, 2006), so the loss never rises.

    A step is one search, which measures the picture some times and leaves it at the lowest place
    it found. If that is not where L-BFGS would go on from, it begins anew there. After `PATIENCE`
    searches that found nothing lower, further steps do nothing and cost nothing.
    """

    def __init__(self, picture: nn.Parameter) -> None:
        self._picture = picture
        self._here: _Place | None = None
        self._failures = 0  # in a row
        self._begin()

    def _begin(self) -> None:
        self._optimiser = LBFGS(
            [self._picture],
            max_iter=1,
            max_eval=TRIES,
            history_size=MEMORY,
            tolerance_grad=0.0,
            tolerance_change=0.0,
            line_search_fn="strong_wolfe",
        )

    def step(self, measure: Measure, rate: float) -> Measured:
        here = self._here or _Place(self._picture.detach().clone(), measure())
        if not math.isfinite(here.found.value):
            raise NoWayBack
        self._here = here
        if self._failures < PATIENCE:
            self._search(_Search(self._picture, here, measure), here, rate)
        return here.found

    def _search(self, search: "_Search", here: _Place, rate: float) -> None:
        self._optimiser.param_groups[0]["lr"] = rate * self._find_length()
        goes_on = False
        try:
            with suppress(_NoNumber):
                self._optimiser.step(search)  # type: ignore[no-untyped-call]
                is_lowest = torch.equal(self._picture, search.lowest.picture)
                goes_on = is_lowest and search.lowest is not here
            self._failures = self._failures + 1 if search.lowest is here else 0
            self._here = here = search.lowest
        finally:
            self._picture.grad = None
            if not goes_on:
                with torch.no_grad():
                    self._picture.copy_(here.picture)
                self._begin()

    def _find_length(self) -> float:
        """Of the first try: in Newton's steps; of a new memory, the sum of all pixels' moves."""
        is_new = not self._optimiser.state
        return FIRST * SHORTER**self._failures * self._picture.numel() if is_new else 1.0

    def pack(self) -> dict[str, dict[str, Tensor]]:
        """Nothing: twenty pictures are much to write, and it begins anew just as well."""
        return {}

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        pass


class _NoNumber(Exception):
    """A line search has come to where the loss is no number."""


class _Search:
    """What a line search calls where it is; knows the lowest place."""

    def __init__(self, picture: nn.Parameter, start: _Place, measure: Measure) -> None:
        self._picture, self._measure = picture, measure
        self._has_begun = False
        self.lowest = start

    def __call__(self) -> float:
        """The loss; the gradient is the picture's. Raises _NoNumber."""
        found = self._look() if self._has_begun else self.lowest.found
        self._has_begun = True
        self._picture.grad = found.gradient
        return found.value

    def _look(self) -> Measured:
        found = self._measure()
        if not math.isfinite(found.value):
            raise _NoNumber
        if found.value < self.lowest.found.value:
            self.lowest = _Place(self._picture.detach().clone(), found)
        return found
