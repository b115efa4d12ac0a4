"""The detector that a job gets: of those that come with Atelier, or one of the tenant's own."""

from typing import get_args

import pytest
from sqlalchemy import update

from shared.models import ModelName, delete_model, promote_model
from shared.tables import TrainedModel
from tests.workers.detect.desk import Desk, make_detector
from workers.detect.fields import DEFAULT_MODEL, SCORE_THRESHOLDS, Published
from workers.detect.loaded import WORKER
from workers.runtime import choice, trained
from workers.runtime.trained import UnknownModel


def put_in_use(desk: Desk, name: str | None) -> None:
    model = name and ModelName.parse(name)
    desk.change(lambda session: promote_model(session, desk.tenant, WORKER, model or None))


def delete(desk: Desk, name: str) -> None:
    model = ModelName.parse(name)
    desk.change(lambda session: delete_model(session, desk.tenant, WORKER, model))


def open_name(desk: Desk, asked: str | None = None) -> str:
    return desk.worker.detectors.open(desk.tenant, asked).name


@pytest.mark.parametrize("name", get_args(Published))
def test_a_published_detector_is_there_for_everybody(name, sqlite_desk: Desk):
    opened = sqlite_desk.worker.detectors.open(sqlite_desk.tenant, name)
    assert opened is sqlite_desk.worker.detectors.open("another", name)
    assert (opened.name, opened.side, len(opened.labels)) == (name, 416, 80)
    assert opened.suppression.score_threshold == SCORE_THRESHOLDS[name]


def test_a_name_alone_means_the_newest_until_a_version_is_in_use(desk: Desk):
    first = desk.register(make_detector("a", "b"))
    second = desk.register(make_detector("c", "d"))
    assert (first, second) == ("mine@1", "mine@2")
    assert open_name(desk, "mine") == second
    assert desk.worker.detectors.open(desk.tenant, first).labels == ("a", "b")
    put_in_use(desk, first)
    assert open_name(desk, "mine") == first
    assert open_name(desk, second) == second


def test_a_job_that_names_none_gets_the_one_in_use(desk: Desk):
    assert open_name(desk) == DEFAULT_MODEL
    first = desk.register(make_detector("a"), "one")
    second = desk.register(make_detector("b"), "other")
    assert open_name(desk) == DEFAULT_MODEL
    for name in (first, second):
        put_in_use(desk, name)
        assert open_name(desk) == name
    assert open_name(Desk(desk.worker)) == DEFAULT_MODEL
    put_in_use(desk, None)
    assert open_name(desk) == DEFAULT_MODEL


def test_a_detector_of_another_tenant_is_not_there(desk: Desk):
    stranger = Desk(desk.worker)
    name = desk.register(make_detector("a"))
    for asked in (name, "mine"):
        assert open_name(desk, asked) == name  # so it is in memory
        with pytest.raises(UnknownModel, match=r"There is no model mine.*detect\.models"):
            open_name(stranger, asked)
    assert stranger.register(make_detector("b")) == name
    assert stranger.worker.detectors.open(stranger.tenant, name).labels == ("b",)
    assert desk.worker.detectors.open(desk.tenant, name).labels == ("a",)


def test_what_was_opened_stays_as_it_is_while_others_are_put_in_use(desk: Desk):
    first = desk.register(make_detector("a"))
    put_in_use(desk, first)
    opened = desk.worker.detectors.open(desk.tenant, None)
    network = opened.network
    second = desk.register(make_detector("b"))
    put_in_use(desk, second)
    delete(desk, first)
    assert (opened.name, opened.labels, opened.network) == (first, ("a",), network)
    assert open_name(desk) == second


def test_a_deleted_detector_is_gone_and_the_default_is_in_use_again(desk: Desk):
    name = desk.register(make_detector("a"))
    put_in_use(desk, name)
    assert open_name(desk) == name
    delete(desk, name)
    assert open_name(desk) == DEFAULT_MODEL
    for asked in (name, "mine"):
        with pytest.raises(UnknownModel, match=r"detect\.models"):
            open_name(desk, asked)


@pytest.mark.parametrize("only_name", [False, True])
def test_one_that_is_deleted_while_it_is_looked_up_costs_the_job_nothing(
    only_name, sqlite_desk: Desk, monkeypatch
):
    name = sqlite_desk.register(make_detector("a"))
    put_in_use(sqlite_desk, name)
    look_up = choice.find_promoted

    def look_up_and_be_late(session, tenant, worker):
        found = look_up(session, tenant, worker)
        if found is not None:
            delete(sqlite_desk, str(found))
        return found

    monkeypatch.setattr(choice, "find_promoted", look_up_and_be_late)
    if only_name:
        detectors = sqlite_desk.worker.detectors
        assert detectors.choice.find_name(sqlite_desk.tenant, None) == DEFAULT_MODEL
    else:
        assert open_name(sqlite_desk) == DEFAULT_MODEL


def test_a_file_that_is_gone_is_said_also_where_no_detector_was_named(desk: Desk):
    name = desk.register(make_detector("a"))
    put_in_use(desk, name)
    gone = update(TrainedModel).where(TrainedModel.tenant == desk.tenant)
    desk.change(lambda session: session.execute(gone.values(object_name="gone")))
    for asked in (name, None):
        with pytest.raises(UnknownModel, match=f"file of {name} is gone or damaged"):
            open_name(desk, asked)


def test_detectors_leave_memory_and_are_loaded_again(sqlite_desk: Desk, monkeypatch):
    names = [sqlite_desk.register(make_detector("a", seed=seed)) for seed in range(2)]

    def open_network(name: str):
        return sqlite_desk.worker.detectors.open(sqlite_desk.tenant, name).network

    first = open_network(names[0])
    assert open_network(names[1]) is not first
    assert open_network(names[0]) is first
    monkeypatch.setattr(trained, "KEPT_BYTES", 1)
    open_network(names[1])
    again = open_network(names[0])
    assert again is not first
    assert all(
        weights.equal(same)
        for weights, same in zip(again.parameters(), first.parameters(), strict=True)
    )
