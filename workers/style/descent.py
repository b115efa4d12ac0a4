"""Moves a picture against its gradient, by Adam or by L-BFGS."""

import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.optim import LBFGS, Adam, Optimizer

from workers.runtime.training import pack_optimiser, unpack_optimiser
from workers.style.transfer_contract import Optimiser

MEMORY = 10  # pairs that L-BFGS keeps, of two pictures each; more make a step hardly better
RISE = 1.5  # times the least loss: L-BFGS has overshot
SHORTER = 0.5  # times as long its steps are from then on


class NoWayBack(Exception):
    """The loss is no number, and nothing is left to go back to."""


class Descent(Protocol):
    """One picture's optimiser; the picture has its gradient when `step` is called."""

    def step(self, loss: float, rate: float, last: bool) -> None:
        """Move the picture, whose loss as it is was measured. Raises NoWayBack.

        `rate`: the learning rate. `last`: nobody measures the picture after this step.
        """

    def pack(self) -> dict[str, dict[str, Tensor]]:
        """What of its state is worth keeping, as parts of a checkpoint."""

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None: ...


def make_descent(name: Optimiser, picture: nn.Parameter) -> Descent:
    return AdamDescent(picture) if name == "adam" else LbfgsDescent(picture)


class AdamDescent:
    """Kingma and Ba (2015), with the numbers of the paper."""

    def __init__(self, picture: nn.Parameter) -> None:
        self._optimiser: Optimizer = Adam([picture])

    def step(self, loss: float, rate: float, last: bool) -> None:  # noqa: ARG002 - it goes on
        if not math.isfinite(loss):
            raise NoWayBack
        self._optimiser.param_groups[0]["lr"] = rate
        self._optimiser.step()

    def pack(self) -> dict[str, dict[str, Tensor]]:
        return pack_optimiser(self._optimiser)

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        unpack_optimiser(self._optimiser, parts)


class LbfgsDescent:
    """L-BFGS without line search, so each step takes one measurement.

    It can overshoot: when the loss is no number, or more than `RISE` times the least so far, the
    picture goes back to where it was before that step, and L-BFGS begins anew with steps `SHORTER`
    times as long. The last of several steps does only that, so what comes out was measured.
    """

    def __init__(self, picture: nn.Parameter) -> None:
        self._picture = picture
        self._before: Tensor | None = None  # the picture before it was last moved
        self._least = math.inf
        self._shortened = 1.0
        self._begin()

    def _begin(self) -> None:
        self._optimiser = LBFGS(
            [self._picture],
            max_iter=1,
            history_size=MEMORY,
            tolerance_grad=0.0,
            tolerance_change=0.0,
        )

    @torch.no_grad()
    def step(self, loss: float, rate: float, last: bool) -> None:
        if not math.isfinite(loss) or loss > RISE * self._least:
            self._go_back()
            return
        self._least = min(loss, self._least)
        if last and self._before is not None:
            return
        self._before = self._picture.detach().clone()
        self._optimiser.param_groups[0]["lr"] = rate * self._shortened
        self._optimiser.step(lambda: loss)  # type: ignore[no-untyped-call]

    def _go_back(self) -> None:
        if self._before is None:
            raise NoWayBack
        self._picture.copy_(self._before)
        self._shortened *= SHORTER
        self._begin()

    def pack(self) -> dict[str, dict[str, Tensor]]:
        """Nothing: twenty pictures are much to write, and it begins anew just as well."""
        return {}

    def unpack(self, parts: Mapping[str, Mapping[str, Tensor]]) -> None:
        pass
