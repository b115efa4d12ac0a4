"""Models of tenants: registered with their job, found by name, kept in memory, changed by jobs."""

from pathlib import Path
from typing import Any

import obstore
import pytest
from sqlalchemy.orm import Session
from torch import Tensor

from shared.db import Sessions
from shared.models import ModelName, delete_model, list_models, promote_version
from shared.models import UnknownModel as NotRegistered
from tests.workers.desk import Desk
from tests.workers.runtime.registered import Order, Outcome, Worker, build, open_desk, register
from workers.runtime import trained
from workers.runtime.run import InvalidInput, Run
from workers.runtime.trained import UnknownModel, change_registry


@pytest.fixture
def desk(sessions: Sessions, tmp_path: Path) -> Desk[Worker]:
    return open_desk(sessions, tmp_path)


def list_all(desk: Desk[Worker]) -> list[Any]:
    with desk.worker.sessions.read() as session:
        return list_models(session, desk.tenant, "quiz")


def open_text(desk: Desk[Worker], asked: str) -> tuple[str, str]:
    return desk.worker.models.open(desk.tenant, asked, "number", build)


def test_the_origin_of_a_model_is_its_request_and_what_is_told_of_it(desk: Desk[Worker]) -> None:
    register(desk, side=64, epochs=2)
    [row] = list_all(desk)
    assert row.metrics == {"loss": 0.5}
    assert row.origin.pop("code")
    assert len(row.origin.pop("job")) == 32
    assert row.origin == {"epochs": 2, "side": 64, "kind": "number"}


def test_a_model_is_registered_only_with_the_outcome_of_its_job(desk: Desk[Worker]) -> None:
    def fail(_: Session) -> None:
        raise InvalidInput("no")

    run = desk.make(Order())
    desk.worker.models.add(run, "number", "number", {}, {}, {})
    assert list_all(desk) == []
    run.effects.append(fail)
    assert isinstance(desk.finish(run, Outcome()), InvalidInput)
    assert list_all(desk) == []


def test_models_are_found_by_version_or_by_name(desk: Desk[Worker]) -> None:
    first, second = register(desk, 1), register(desk, 2)
    assert open_text(desk, first) == ("number@1", "1.0 m")
    assert open_text(desk, "number") == (second, "2.0 m")
    desk.change(lambda s: promote_version(s, desk.tenant, "quiz", ModelName("number", 1)))
    assert open_text(desk, "number") == (first, "1.0 m")


def test_unknown_models_are_refused_also_for_tenants_who_guess(desk: Desk[Worker]) -> None:
    name = register(desk)
    stranger = Desk(desk.worker)
    for one, asked in ((stranger, name), (stranger, "number"), (desk, "number@2"), (desk, "x")):
        with pytest.raises(UnknownModel, match=r"quiz\.models"):
            open_text(one, asked)
        with pytest.raises(UnknownModel, match=r"quiz\.models"):
            one.worker.models.check(one.tenant, asked)
    with pytest.raises(UnknownModel, match="of the kind number, not poem"):
        desk.worker.models.open(desk.tenant, name, "poem", build)


def test_a_file_that_is_damaged_or_gone_is_told(desk: Desk[Worker]) -> None:
    name = register(desk)
    [row] = list_all(desk)
    store = desk.worker.blobs.store
    content = bytes(obstore.get(store, row.object_name).bytes())
    desk.worker.models.check(desk.tenant, name)
    obstore.put(store, row.object_name, content[:-1] + b"\0")
    for _ in range(2):
        with pytest.raises(UnknownModel, match=rf"file of {name} is gone or damaged\. Train it"):
            desk.worker.models.check(desk.tenant, name)
        with pytest.raises(UnknownModel, match=f"file of {name} is gone or damaged"):
            open_text(desk, name)
        desk.worker.blobs.discard([row.object_name])


def test_a_file_that_is_gone_is_told_of_a_model_in_memory_if_it_is_read_afresh(
    desk: Desk[Worker],
) -> None:
    name = register(desk)
    first = open_text(desk, name)
    desk.worker.blobs.erase([row.object_name for row in list_all(desk)])
    assert open_text(desk, name) == first
    with pytest.raises(UnknownModel, match=f"file of {name} is gone or damaged"):
        desk.worker.models.open(desk.tenant, name, "number", build, afresh=True)


def test_a_model_that_cannot_be_built_is_told(desk: Desk[Worker]) -> None:
    def refuse(*_: Any) -> str:
        raise ValueError("It is of another age.")

    name = register(desk)
    with pytest.raises(
        UnknownModel, match=r"cannot be loaded: It is of another age\. Train it again, or bring"
    ):
        desk.worker.models.open(desk.tenant, name, "number", refuse)
    assert open_text(desk, name)  # nothing was kept


def test_a_deleted_model_is_not_given_from_memory(desk: Desk[Worker]) -> None:
    name = register(desk)
    assert open_text(desk, name)
    desk.change(lambda s: delete_model(s, desk.tenant, "quiz", ModelName("number", 1)))
    with pytest.raises(UnknownModel, match=f"no model {name}"):
        open_text(desk, name)


def test_those_asked_for_last_are_kept_in_memory(
    desk: Desk[Worker], monkeypatch: pytest.MonkeyPatch
) -> None:
    names, built = [register(desk, value) for value in (1, 2, 3)], []

    def watch(tensors: dict[str, Tensor], _: Any) -> float:
        built.append(tensors["value"].item())
        return built[-1]

    def open_all(*asked: str) -> list[float]:
        for name in asked:
            desk.worker.models.open(desk.tenant, name, "number", watch)
        return [built.pop(0) for _ in tuple(built)]

    monkeypatch.setattr(trained, "KEPT_BYTES", 8)  # two of them
    assert open_all(names[0], names[1], names[0], names[1]) == [1, 2]
    assert open_all(names[0], names[2], names[0]) == [3]  # the second is dropped
    assert open_all(names[1]) == [2]
    monkeypatch.setattr(trained, "KEPT_BYTES", 1)
    assert open_all(names[1], names[1], names[2], names[1]) == [3, 2]  # the newest is kept


def show(session: Session) -> Outcome:
    rows = list_models(session, session.info["tenant"], "quiz")
    return Outcome(names=[row.name for row in rows])


def delete(desk: Desk[Worker], version: int) -> Run[Order]:
    """A job that deletes this version, not yet recorded."""
    run = desk.make(Order())
    name = ModelName("number", version)

    def change(session: Session) -> None:
        session.info["tenant"] = desk.tenant
        delete_model(session, desk.tenant, "quiz", name)

    change_registry(run, change, show)
    return run


def test_a_change_is_made_with_the_outcome_which_shows_the_models_then(
    desk: Desk[Worker],
) -> None:
    register(desk), register(desk, name="other")
    run = delete(desk, 1)
    assert len(list_all(desk)) == 2
    assert desk.finish(run, Outcome()) == Outcome(names=["other"])
    assert [row.name for row in list_all(desk)] == ["other"]


def test_a_change_of_an_unknown_model_refuses_the_job(desk: Desk[Worker]) -> None:
    refusal = desk.finish(delete(desk, 7), Outcome())
    assert isinstance(refusal, UnknownModel)
    assert isinstance(refusal.__cause__, NotRegistered)
    assert "quiz.models" in str(refusal)
