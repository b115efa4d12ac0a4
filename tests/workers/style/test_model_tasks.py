"""Jobs on one-pass networks themselves: they are listed, put in use, and deleted."""

from tests.workers.style.desk import Desk, draw_scene
from tests.workers.style.painters import make_painter, register
from workers.style import served
from workers.style.apply_tasks import apply
from workers.style.fields import DEFAULT_MODEL
from workers.style.model_contract import (
    TASKS,
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    PromoteRequest,
)
from workers.style.model_tasks import forget, models, promote
from workers.style.training_contract import APPLY, ApplyRequest


def list_in_use(result: ModelsResult) -> list[str]:
    return [view.model for view in result.models if view.in_use]


def test_the_one_that_comes_with_atelier_is_listed_first(desk: Desk):
    register(desk, make_painter(width=6, blocks=2))
    default, own = desk.do(models, ModelsRequest()).models
    assert (default.model, default.width, default.blocks) == (DEFAULT_MODEL, 4, 1)
    assert (default.installed, default.in_use, default.created_at) == (True, True, None)
    assert set(default.origin) == {"data", "licence"}
    assert default.metrics == {"style": 1.0}  # as its file tells
    assert (own.model, own.width, own.blocks) == ("mine@1", 6, 2)
    assert (own.installed, own.in_use, own.metrics) == (True, False, {"style": 0.5})
    assert own.origin["kind"] == "painter"
    assert "width" not in own.origin  # told once
    assert own.created_at is not None
    assert len(Desk(desk.worker).do(models, ModelsRequest()).models) == 1


def test_one_whose_file_is_not_there_is_listed_as_not_installed(
    sqlite_desk: Desk, monkeypatch, tmp_path
):
    monkeypatch.setattr(served, "FOLDER", tmp_path)
    register(sqlite_desk, make_painter())
    default, own = sqlite_desk.do(models, ModelsRequest()).models
    assert (default.installed, default.width, default.blocks) == (False, None, None)
    assert own.installed


def test_one_network_is_in_use_until_it_is_deleted(desk: Desk):
    first, second = (register(desk, make_painter(seed)) for seed in range(2))
    request = ApplyRequest(picture=desk.add_picture(draw_scene(24, 20)))
    for name in (first, second, DEFAULT_MODEL, first):
        shown = desk.do(promote, PromoteRequest(model=name))
        assert list_in_use(shown) == [name]
        assert shown == desk.do(models, ModelsRequest())
        assert desk.do(apply, request).model == name
    shown = desk.do(forget, ForgetRequest(model=first))
    assert [view.model for view in shown.models] == [DEFAULT_MODEL, second]
    assert list_in_use(shown) == [DEFAULT_MODEL]
    assert desk.do(apply, request).model == DEFAULT_MODEL


def test_a_file_that_holds_no_network_is_not_put_in_use(sqlite_desk: Desk):
    run, facts = sqlite_desk.make(ModelsRequest()), make_painter().list_facts()
    sqlite_desk.worker.models.add(run, "painter", "odd", {}, {"format": 9}, {}, facts)
    sqlite_desk.change(run.effects[0])
    code, why = sqlite_desk.refuse(promote, PromoteRequest(model="odd@1"))
    assert (code, "cannot be loaded" in why) == ("unknown_model", True)


def test_changes_of_networks_ask_for_more_than_the_use_of_them():
    scopes = {task.name: task.needed_scope for task in TASKS}
    for name in ("promote", "forget", "import", "export"):
        assert scopes[f"style.{name}"] == "style:train"
    assert scopes["style.models"] == APPLY.needed_scope
