"""Several paintings at once."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

from shared.contract import Message
from tests.workers.style.desk import Desk, draw_noise
from workers.runtime.run import SETTLED, Cancelled, InvalidInput, JobError, Run
from workers.style import transfer_tasks
from workers.style.features import Features
from workers.style.painting import Painting, paint
from workers.style.transfer_contract import TransferRequest, TransferResult
from workers.style.transfer_tasks import transfer

ALIKE = 0.1  # of 255: sums in another order differ a little


class Order:
    """Notes which job ends first, and how."""

    def __init__(self, desk: Desk, *requests: TransferRequest) -> None:
        self.desk, self.runs = desk, [desk.make(request) for request in requests]
        self.ended: dict[int, Message | JobError | Cancelled] = {}
        self.steps: dict[int, list[str]] = {place: [] for place in range(len(requests))}
        for place, run in enumerate(self.runs):
            self._listen(place, run)

    def _listen(self, place: int, run: Run[Any]) -> None:
        def settle(answer: Message | JobError | Cancelled) -> None:
            assert place not in self.ended
            self.ended[place] = answer

        run.settle = settle
        run.report = lambda event: self.steps[place].append(event["step"])

    def paint(self) -> None:
        assert transfer(self.desk.worker, self.runs) == [SETTLED] * len(self.runs)


def compare(desk: Desk, one: Any, other: Any) -> float:
    """The mean difference of the levels of two results."""
    first, second = (
        np.asarray(desk.open_picture(result.picture).convert("RGB"), int) for result in (one, other)
    )
    return float(np.abs(first - second).mean())


def ask_many(desk: Desk) -> list[TransferRequest]:
    """Three that go together in one pass at a time, one of another size, and one by L-BFGS."""
    noise = desk.add_picture(draw_noise())
    return [
        desk.ask(),
        desk.ask(styles=[noise], content_weight=3.0),
        desk.ask(colours="content", steps=7),
        desk.ask(size=40),
        desk.ask(optimiser="lbfgs"),
    ]


def test_paintings_together_are_as_those_alone(desk: Desk):
    requests = ask_many(desk)
    together = desk.do_all(transfer, *requests)
    for request, result in zip(requests, together, strict=True):
        alone = desk.do(transfer, request)
        assert compare(desk, result, alone) < ALIKE
        assert result.losses.total == pytest.approx(alone.losses.total, rel=1e-4)
        assert result.recipe == alone.recipe


def test_those_of_one_size_go_through_the_network_together(sqlite_desk: Desk, monkeypatch):
    """Until one is at its next size, or over."""
    passes: list[list[int]] = []

    def paint_noted(paintings: Sequence[Painting], *rest: Any) -> None:
        passes.append([one.canvas.picture.shape[3] for one in paintings])
        paint(paintings, *rest)

    monkeypatch.setattr(transfer_tasks, "paint", paint_noted)
    sqlite_desk.do_all(transfer, *(sqlite_desk.ask(steps=steps) for steps in (2, 2, 3)))
    assert passes == [[32, 32, 32], [64, 64], [32], [64]]


def test_each_job_ends_when_it_is_done(sqlite_desk: Desk):
    order = Order(sqlite_desk, *(sqlite_desk.ask(steps=steps) for steps in (5, 2, 3)))
    order.paint()
    assert list(order.ended) == [1, 2, 0]
    assert [len(steps) for steps in order.steps.values()] == [5, 2, 3]


def test_one_that_fails_or_is_cancelled_costs_the_others_nothing(sqlite_desk: Desk):
    desk = sqlite_desk
    order = Order(
        desk,
        desk.ask(),
        desk.ask(content=desk.add(b"no picture")),
        desk.ask(),
        desk.ask(style_layers=["conv5_4"]),
    )
    order.runs[2].stop_requested = lambda: len(order.steps[2]) >= 2
    order.paint()
    assert list(order.ended) == [1, 3, 2, 0]
    assert isinstance(order.ended[1], InvalidInput)
    assert isinstance(order.ended[3], InvalidInput)
    assert isinstance(order.ended[2], Cancelled)
    assert isinstance(order.runs[2].kept, TransferResult)
    assert compare(desk, order.ended[0], desk.do(transfer, desk.ask())) < ALIKE


def test_one_that_stops_in_the_midst_of_a_step_ends_and_the_others_make_it_again(
    sqlite_desk: Desk,
):
    request = sqlite_desk.ask()
    order = Order(sqlite_desk, request, sqlite_desk.ask())
    asked = 0

    def stop() -> bool:
        nonlocal asked
        asked += len(order.steps[0]) == 2  # while the third step is made
        return asked > 5

    order.runs[1].stop_requested = stop
    order.paint()
    assert [len(steps) for steps in order.steps.values()] == [6, 2]
    assert isinstance(order.ended[1], Cancelled)
    alone = sqlite_desk.do(transfer, request)
    assert compare(sqlite_desk, order.ended[0], alone) < ALIKE


def test_one_that_diverges_is_told_what_to_do(sqlite_desk: Desk, monkeypatch):
    """Of a network that is so loud that squares are no numbers any more."""
    worker = sqlite_desk.worker
    quiet = worker.features("vgg16", "max")
    pairs = [(one.weight * 1e5, one.bias) for one in quiet.layers.values()]
    loud = Features("vgg16", "average", pairs)
    monkeypatch.setattr(
        worker, "features", lambda _, pooling: loud if pooling == "average" else quiet
    )
    order = Order(sqlite_desk, sqlite_desk.ask(pooling="average"), sqlite_desk.ask())
    order.paint()
    refused = order.ended[0]
    assert isinstance(refused, InvalidInput)
    assert "Lower learning_rate" in str(refused)
    assert isinstance(order.ended[1], TransferResult)
