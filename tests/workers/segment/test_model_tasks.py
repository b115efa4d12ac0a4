"""Jobs on networks themselves: they are listed, put in use while others are busy, and deleted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice
from typing import get_args

import pytest
from pydantic import ValidationError

from tests.workers.segment.coloured import COLOURS
from tests.workers.segment.desk import NAMES, Desk, fill, make_segmenter
from workers.segment.fields import DEFAULT_MODEL, Published
from workers.segment.loaded import SegmentWorker
from workers.segment.model_contract import (
    TASKS,
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    PromoteRequest,
)
from workers.segment.model_tasks import forget, models, promote
from workers.segment.pixels_contract import PIXELS, PixelsRequest, PixelsResult
from workers.segment.pixels_tasks import pixels

PICTURE = fill(1)


@pytest.fixture
def other_process(worker: SegmentWorker) -> Iterator[SegmentWorker]:
    """A second one with a memory of its own, on the same database and files."""
    opened = SegmentWorker(worker.settings)
    yield opened
    opened.sessions.engine.dispose()


def list_in_use(result: ModelsResult) -> list[str]:
    return [view.model for view in result.models if view.in_use]


def test_those_of_atelier_are_listed_first(desk: Desk):
    default, selfie, resnet = desk.do(models, ModelsRequest()).models
    assert (default.model, default.in_use, default.installed) == (DEFAULT_MODEL, True, True)
    assert (default.encoder, default.stride, default.resolution) == ("thin", 8, 64)
    assert (default.classes, default.colours) == (list(NAMES), list(COLOURS))
    assert default.metrics == {"mean_iou": 0.5}  # as its file tells
    assert (selfie.model, selfie.in_use, selfie.installed) == ("selfie", False, True)
    assert (selfie.classes, selfie.stride) == (["background", "person"], None)
    assert (resnet.model, resnet.resolution, resnet.in_use) == ("fcn-resnet50", 520, False)
    assert "CC BY-NC" in default.origin["licence"]
    assert (len(resnet.classes), resnet.classes[15]) == (21, "person")
    for view in (default, selfie, resnet):
        assert (view.created_at, set(view.origin)) == (None, {"data", "licence"})
        assert len(view.colours) == len(view.classes)


def test_those_whose_weights_were_not_pulled_are_listed_as_not_installed(sqlite_desk: Desk):
    published = sqlite_desk.worker.segmenters.published
    published.folder = published.folder / "empty"
    views = sqlite_desk.do(models, ModelsRequest()).models
    assert [view.installed for view in views] == [True, False, False]


def test_own_networks_follow_with_what_was_told_of_them(desk: Desk):
    desk.register(make_segmenter("red", "blue", resolution=100))
    stranger = Desk(desk.worker)
    *_, view = desk.do(models, ModelsRequest()).models
    assert (view.model, view.classes, view.resolution) == ("mine@1", ["red", "blue"], 100)
    assert (view.colours, view.encoder, view.stride) == (list(COLOURS[:2]), "thin", 8)
    assert (view.metrics, view.origin["kind"]) == ({"mean_iou": 0.5}, "segmenter")
    assert "classes" not in view.origin  # told once
    assert view.created_at is not None
    assert (view.in_use, view.installed) == (False, True)
    assert len(stranger.do(models, ModelsRequest()).models) == 3


def test_one_network_is_in_use_and_older_versions_can_be_again(desk: Desk):
    first, second = (desk.register(make_segmenter()) for _ in range(2))
    other = desk.register(make_segmenter(), "other")
    request = PixelsRequest(picture=desk.add(PICTURE))
    for name in (first, second, other, first, DEFAULT_MODEL):
        shown = desk.do(promote, PromoteRequest(model=name))
        assert list_in_use(shown) == [name]
        assert shown == desk.do(models, ModelsRequest())
        assert desk.do(pixels, request).model == name
        assert list_in_use(Desk(desk.worker).do(models, ModelsRequest())) == [DEFAULT_MODEL]


@pytest.mark.parametrize("name", ["selfie", "fcn-resnet50"])
def test_the_other_published_networks_are_not_put_in_use(name):
    with pytest.raises(ValidationError, match=DEFAULT_MODEL):
        PromoteRequest(model=name)


def test_a_file_that_holds_no_network_is_not_put_in_use(sqlite_desk: Desk):
    run = sqlite_desk.make(ModelsRequest())
    facts = make_segmenter().list_facts()
    sqlite_desk.worker.models.add(run, "segmenter", "odd", {}, {"format": 9}, {}, facts)
    sqlite_desk.change(run.effects[0])
    code, why = sqlite_desk.refuse(promote, PromoteRequest(model="odd@1"))
    assert (code, "cannot be loaded" in why) == ("unknown_model", True)


def test_a_deleted_network_is_out_of_use_and_gone(desk: Desk):
    first, second = (desk.register(make_segmenter()) for _ in range(2))
    desk.do(promote, PromoteRequest(model=second))
    assert Desk(desk.worker).refuse(forget, ForgetRequest(model=second))[0] == "unknown_model"
    shown = desk.do(forget, ForgetRequest(model=second))
    assert [view.model for view in shown.models] == [*get_args(Published), first]
    assert list_in_use(shown) == [DEFAULT_MODEL]
    request = PixelsRequest(picture=desk.add(PICTURE), model=second)
    assert desk.refuse(pixels, request)[0] == "unknown_model"
    assert desk.refuse(forget, ForgetRequest(model=second))[0] == "unknown_model"
    assert desk.register(make_segmenter()) == "mine@3"  # its version is not given again


def test_no_job_is_lost_while_networks_are_put_in_use(
    desk: Desk, other_process: SegmentWorker
) -> None:
    """Each answer is of one network as a whole: its labels are those of the one it names."""
    labels = {desk.register(make_segmenter(name), name): name for name in ("a", "b")}
    labels[DEFAULT_MODEL] = "red"
    desk.do(promote, PromoteRequest(model="a@1"))
    request = PixelsRequest(picture=desk.add(PICTURE))
    promoter = Desk(other_process, tenant=desk.tenant)
    answers: list[PixelsResult] = []
    with ThreadPoolExecutor(1) as pool:
        for name in islice(cycle(labels), 12):
            change = pool.submit(promoter.do, promote, PromoteRequest(model=name))
            while not change.done():
                answers += desk.do_all(pixels, *[request] * 4)
            change.result()
            after = desk.do(pixels, request)
            assert after.model == name  # in the other process at once
            answers.append(after)
    assert len(answers) > 24
    assert {answer.model for answer in answers} == set(labels)
    for answer in answers:
        assert [area.label for area in answer.areas] == [labels[answer.model]]


def test_changes_of_networks_ask_for_more_than_the_use_of_them():
    scopes = {task.name: task.scope for task in TASKS}
    for name in ("promote", "forget", "import", "export"):
        assert scopes[f"segment.{name}"] == "segment:train"
    assert scopes["segment.models"] == PIXELS.scope
