"""Jobs on models of any worker: they are listed, put in use while others are busy, and deleted."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import pytest

from shared.contract import Message
from shared.db import Sessions
from shared.models import list_models
from tests.workers.desk import Desk
from tests.workers.runtime.registered import Worker, build, open_desk, register
from workers.runtime.catalogue import Catalogue, tell_own
from workers.runtime.choice import Choice
from workers.runtime.run import JobError, Run
from workers.runtime.trained import UnknownModel


class Asked(Message):
    model: str | None = None


class View(Message):
    model: str
    in_use: bool


class Views(Message):
    models: list[View]


class Opened(Message):
    model: str
    text: str


Batch = Sequence[Run[Asked]]


@pytest.fixture
def desk(sessions: Sessions, tmp_path: Path) -> Desk[Worker]:
    return open_desk(sessions, tmp_path)


def choose(worker: Worker) -> Choice[str]:
    """Two come with it; the first is for the jobs that name none."""
    return Choice(worker.models, "number", build, {"zero": "0 m", "one": "1 m"}, "zero")


def catalogue(worker: Worker) -> Catalogue[View, Views]:
    return Catalogue(
        choose(worker),
        lambda name, in_use: View(model=name, in_use=in_use),
        lambda row: View(model=f"{row.name}@{row.version}", in_use=row.promoted_at is not None),
        lambda views: Views(models=views),
    )


def models(worker: Worker, batch: Batch) -> list[Views | JobError]:
    return catalogue(worker).list_all(batch)


def promote(worker: Worker, batch: Batch) -> list[Views | JobError]:
    return catalogue(worker).promote(batch)


def forget(worker: Worker, batch: Batch) -> list[Views | JobError]:
    return catalogue(worker).forget(batch)


def use(worker: Worker, batch: Batch) -> list[Opened | JobError]:
    """What another job gets meanwhile."""

    def answer(group: Batch) -> list[Opened]:
        return [
            Opened(model=name, text=text)
            for name, text in (choose(worker).open(run.tenant, run.request.model) for run in group)
        ]

    return choose(worker).answer_groups(batch, answer)


def list_in_use(views: Views) -> list[str]:
    return [view.model for view in views.models if view.in_use]


def test_those_of_atelier_come_first_then_the_tenants_own_in_order(desk: Desk[Worker]) -> None:
    for name in ("b", "a", "a"):
        register(desk, name=name)
    views = desk.do(models, Asked())
    assert [view.model for view in views.models] == ["zero", "one", "a@1", "a@2", "b@1"]
    assert list_in_use(views) == ["zero"]
    assert len(Desk(desk.worker).do(models, Asked()).models) == 2


def test_what_was_told_of_a_model_is_shown_beside_its_origin(desk: Desk[Worker]) -> None:
    register(desk, side=64, colours=["red"])
    with desk.worker.sessions.read() as session:
        [row] = list_models(session, desk.tenant, "quiz")
    told = tell_own(row, ["side"])
    assert (told["model"], told["side"], told["in_use"]) == ("number@1", 64, False)
    assert (told["metrics"], told["created_at"]) == ({"loss": 0.5}, row.created_at)
    assert (told["origin"]["colours"], "side" in told["origin"]) == (["red"], False)


def test_one_model_is_in_use_and_older_versions_can_be_again(desk: Desk[Worker]) -> None:
    first, second = (register(desk, value) for value in (1, 2))
    other = register(desk, 3, "other")
    for name in (first, second, other, first, "zero"):
        shown = desk.do(promote, Asked(model=name))
        assert list_in_use(shown) == [name]
        assert shown == desk.do(models, Asked())
        assert desk.do(use, Asked()).model == name
        assert list_in_use(Desk(desk.worker).do(models, Asked())) == ["zero"]


def test_what_cannot_be_loaded_is_not_put_in_use(desk: Desk[Worker]) -> None:
    first, second = register(desk), register(desk)
    desk.do(promote, Asked(model=first))
    stranger = Desk(desk.worker)
    for one, name in ((desk, "number@9"), (stranger, first)):
        assert one.refuse(promote, Asked(model=name))[0] == "unknown_model"
    with desk.worker.sessions.read() as session:
        files = [row.object_name for row in list_models(session, desk.tenant, "quiz")]
    desk.worker.blobs.erase(files)
    for name in (second, first):  # the latter is in memory
        code, why = desk.refuse(promote, Asked(model=name))
        assert (code, "gone or damaged" in why) == ("unknown_model", True)
    assert list_in_use(desk.do(models, Asked())) == [first]


def test_one_deleted_before_the_outcome_is_recorded_is_not_put_in_use(desk: Desk[Worker]) -> None:
    name = register(desk)
    run = desk.make(Asked(model=name))
    [answer] = promote(desk.worker, [run])
    desk.do(forget, Asked(model=name))
    assert isinstance(desk.finish(run, answer), UnknownModel)
    assert list_in_use(desk.do(models, Asked())) == ["zero"]


def test_a_deleted_model_is_out_of_use_and_gone(desk: Desk[Worker]) -> None:
    first, second = register(desk), register(desk)
    desk.do(promote, Asked(model=second))
    assert Desk(desk.worker).refuse(forget, Asked(model=second))[0] == "unknown_model"
    shown = desk.do(forget, Asked(model=second))
    assert [view.model for view in shown.models] == ["zero", "one", first]
    assert list_in_use(shown) == ["zero"]
    for method in (use, forget):
        assert desk.refuse(method, Asked(model=second))[0] == "unknown_model"
    assert register(desk) == "number@3"  # its version is not given again


@pytest.fixture
def other_process(desk: Desk[Worker], tmp_path: Path) -> Desk[Worker]:
    """The same tenant at a worker with a memory of its own."""
    opened = open_desk(desk.worker.sessions, tmp_path)
    opened.tenant = desk.tenant
    return opened


def use_while(desk: Desk[Worker], pool: ThreadPoolExecutor, *change: Any) -> list[Opened]:
    """What jobs that name no model get until the change is made."""
    busy, answers = pool.submit(*change), list[Opened]()
    while not busy.done():
        answers += desk.do_all(use, *[Asked()] * 4)
    busy.result()
    return answers


def test_no_job_is_lost_while_models_are_put_in_use(
    desk: Desk[Worker], other_process: Desk[Worker]
) -> None:
    """Each answer is of one model as a whole: its text is that of the one it names."""
    texts = {register(desk, value, f"n{value}"): f"{value}.0 m" for value in (1, 2)}
    texts["zero"] = "0 m"
    desk.do(promote, Asked(model="n1@1"))
    answers: list[Opened] = []
    with ThreadPoolExecutor(1) as pool:
        for name in islice(cycle(texts), 12):
            change = other_process.do, promote, Asked(model=name)
            answers += use_while(desk, pool, *change)
            answers.append(desk.do(use, Asked()))
            assert answers[-1].model == name  # in this process at once
    assert {answer.model for answer in answers} == set(texts)
    for answer in answers:
        assert answer.text == texts[answer.model]


def test_no_job_is_lost_while_the_one_in_use_is_deleted(
    desk: Desk[Worker], other_process: Desk[Worker]
) -> None:
    with ThreadPoolExecutor(1) as pool:
        for _ in range(5):
            name = register(desk)
            desk.do(promote, Asked(model=name))
            change = other_process.do, forget, Asked(model=name)
            found = {answer.model for answer in use_while(desk, pool, *change)}
            assert found <= {name, "zero"}
            assert desk.do(use, Asked()).model == "zero"
