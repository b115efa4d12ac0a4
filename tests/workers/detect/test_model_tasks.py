"""Jobs on detectors themselves: they are listed, put in use while others are busy, and deleted."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle, islice

import pytest
from pydantic import ValidationError

from tests.workers.detect.coloured import make_pictures
from tests.workers.detect.desk import Desk, make_detector
from workers.detect.contract import TASKS
from workers.detect.fields import DEFAULT_MODEL
from workers.detect.loaded import DetectWorker
from workers.detect.model_contract import (
    ForgetRequest,
    ModelsRequest,
    ModelsResult,
    PromoteRequest,
)
from workers.detect.model_tasks import forget, models, promote
from workers.detect.objects_contract import ObjectsRequest, ObjectsResult
from workers.detect.objects_tasks import objects

PICTURE = make_pictures(1).pictures[0].read()


@pytest.fixture
def other_process(worker: DetectWorker) -> Iterator[DetectWorker]:
    """A second one with a memory of its own, on the same database and files."""
    opened = DetectWorker(worker.settings)
    yield opened
    opened.sessions.engine.dispose()


def list_in_use(result: ModelsResult) -> list[str]:
    return [view.model for view in result.models if view.in_use]


def test_those_of_atelier_are_listed_first(desk: Desk):
    nanodet, yolo = desk.do(models, ModelsRequest()).models
    assert (nanodet.model, nanodet.score_threshold, nanodet.in_use) == ("nanodet-g", 0.4, True)
    assert (yolo.model, yolo.score_threshold, yolo.in_use) == ("yolov3-tiny", 0.25, False)
    for view in (nanodet, yolo):
        assert (len(view.classes), view.classes[0], view.side) == (80, "person", 416)
        assert (view.iou_threshold, view.created_at, view.origin) == (0.45, None, {})


def test_own_detectors_follow_with_what_was_told_of_them(desk: Desk):
    desk.register(make_detector("red", "blue"))
    stranger = Desk(desk.worker)
    _, _, view = desk.do(models, ModelsRequest()).models
    assert (view.model, view.classes, view.side) == ("mine@1", ["red", "blue"], 64)
    assert (view.score_threshold, view.iou_threshold) == (0.0, 0.45)
    assert view.origin["kind"] == "detector"
    assert "classes" not in view.origin  # told once
    assert view.created_at is not None
    assert not view.in_use
    assert len(stranger.do(models, ModelsRequest()).models) == 2


def test_one_detector_is_in_use_and_older_versions_can_be_again(desk: Desk):
    first, second = (desk.register(make_detector("a", seed=seed)) for seed in range(2))
    other = desk.register(make_detector("b"), "other")
    request = ObjectsRequest(picture=desk.add(PICTURE))
    for name in (first, second, other, first, DEFAULT_MODEL):
        shown = desk.do(promote, PromoteRequest(model=name))
        assert list_in_use(shown) == [name]
        assert shown == desk.do(models, ModelsRequest())
        assert desk.do(objects, request).model == name
        assert list_in_use(Desk(desk.worker).do(models, ModelsRequest())) == [DEFAULT_MODEL]


def test_the_other_published_detector_is_not_put_in_use_but_can_be_named(desk: Desk):
    with pytest.raises(ValidationError, match="nanodet-g"):
        PromoteRequest(model="yolov3-tiny")
    request = ObjectsRequest(picture=desk.add(PICTURE), model="yolov3-tiny")
    assert desk.do(objects, request).model == "yolov3-tiny"


def test_a_file_that_holds_no_detector_is_not_put_in_use(sqlite_desk: Desk):
    run = sqlite_desk.make(ModelsRequest())
    facts = make_detector("a").list_facts()
    sqlite_desk.worker.models.add(run, "detector", "odd", {}, {"format": 9}, {}, facts)
    sqlite_desk.change(run.effects[0])
    code, why = sqlite_desk.refuse(promote, PromoteRequest(model="odd@1"))
    assert (code, "cannot be loaded" in why) == ("unknown_model", True)


def test_a_deleted_detector_is_out_of_use_and_gone(desk: Desk):
    first, second = (desk.register(make_detector("a", seed=seed)) for seed in range(2))
    desk.do(promote, PromoteRequest(model=second))
    assert Desk(desk.worker).refuse(forget, ForgetRequest(model=second))[0] == "unknown_model"
    shown = desk.do(forget, ForgetRequest(model=second))
    assert [view.model for view in shown.models] == ["nanodet-g", "yolov3-tiny", first]
    assert list_in_use(shown) == [DEFAULT_MODEL]
    request = ObjectsRequest(picture=desk.add(PICTURE), model=second)
    assert desk.refuse(objects, request)[0] == "unknown_model"
    assert desk.refuse(forget, ForgetRequest(model=second))[0] == "unknown_model"
    assert desk.register(make_detector("a")) == "mine@3"  # its version is not given again


def test_no_job_is_lost_while_detectors_are_put_in_use(
    desk: Desk, other_process: DetectWorker
) -> None:
    """Each answer is of one detector as a whole: its labels are those of the one it names."""
    labels = {desk.register(make_detector(name), name): name for name in ("a", "b")}
    labels[DEFAULT_MODEL] = ""  # finds nothing in this picture
    desk.do(promote, PromoteRequest(model="a@1"))
    request = ObjectsRequest(picture=desk.add(PICTURE))
    promoter = Desk(other_process, tenant=desk.tenant)
    answers: list[ObjectsResult] = []
    with ThreadPoolExecutor(1) as pool:
        for name in islice(cycle(labels), 12):
            change = pool.submit(promoter.do, promote, PromoteRequest(model=name))
            while not change.done():
                answers += desk.do_all(objects, *[request] * 4)
            change.result()
            after = desk.do(objects, request)
            assert after.model == name  # in the other process at once
            answers.append(after)
    assert len(answers) > 24
    assert {answer.model for answer in answers} == set(labels)
    for answer in answers:
        assert {box.label for box in answer.boxes} == set(labels[answer.model])


def test_changes_of_detectors_ask_for_more_than_the_use_of_them():
    scopes = {task.name: task.scope for task in TASKS}
    for name in ("promote", "forget", "import", "export"):
        assert scopes[f"detect.{name}"] == "detect:train"
    assert scopes["detect.models"] == scopes["detect.objects"]
