"""Jobs that find the objects of real photographs, and of pictures of any other kind."""

import base64
import gc
import weakref
from collections.abc import Callable
from io import BytesIO
from typing import Any

import pytest
from PIL import Image

from shared.settings import Settings
from shared.weights import MissingWeights
from tests.workers.detect.desk import Desk, make_detector
from workers.detect import objects_tasks
from workers.detect.fields import SCORE_THRESHOLDS
from workers.detect.finding import predict
from workers.detect.loaded import DetectWorker
from workers.detect.objects_contract import OBJECTS, ObjectsRequest, ObjectsResult
from workers.detect.objects_tasks import objects
from workers.runtime import trained
from workers.runtime.images import decode
from workers.runtime.trained import UnknownModel


@pytest.fixture
def ask(sqlite_desk: Desk) -> Callable[..., ObjectsRequest]:
    """A request for a picture, which is uploaded."""

    def make(content: bytes, **fields: Any) -> ObjectsRequest:
        return ObjectsRequest(picture=sqlite_desk.add(content), **fields)

    return make


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    both = max(0.0, width) * max(0.0, height)
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    return both / (sum(areas) - both)


@pytest.mark.parametrize(
    ("model", "name", "label", "place"),  # places measured by hand
    [
        ("nanodet-g", "motorcycle_left.png", "motorbike", [105, 45, 685, 455]),
        ("yolov3-tiny", "motorcycle_left.png", "motorbike", [105, 45, 685, 455]),
        ("yolov3-tiny", "coffee.png", "cup", [170, 15, 415, 305]),
    ],
)
def test_the_object_in_a_photograph_is_found_where_it_is(
    model, name, label, place, sqlite_desk, ask, photo
):
    result = sqlite_desk.do(objects, ask(photo(name), model=model))
    best = result.boxes[0]
    assert result.model == model
    assert best.label == label
    assert best.score > 0.5
    assert iou(best.xyxy, place) > 0.8


def test_nanodet_finds_what_yolo_misses(sqlite_desk, ask, photo):
    cat = photo("chelsea.png")
    first, second = sqlite_desk.do_all(objects, ask(cat), ask(cat, model="yolov3-tiny"))
    assert [box.label for box in first.boxes] == ["cat"]
    assert second.boxes == []


@pytest.mark.parametrize("model", SCORE_THRESHOLDS)
@pytest.mark.parametrize("name", ["rocket.jpg", "china.jpg"])
def test_a_photograph_without_a_clear_object_has_no_boxes(name, model, sqlite_desk, ask, photo):
    result = sqlite_desk.do(objects, ask(photo(name), model=model))
    assert result.boxes == []
    assert result.annotated is None


@pytest.mark.parametrize("model", SCORE_THRESHOLDS)
def test_a_small_object_gets_a_box_of_its_size(model, sqlite_desk, ask, photo):
    """73 x 51 pixels: found by YOLO's fine grid, whose anchors decide the size of the box."""
    motorbike = decode(photo("motorcycle_left.png"))
    scene = motorbike.resize((1, 1)).resize((416, 416))
    scene.paste(motorbike.resize((motorbike.width // 8, motorbike.height // 8)), (200, 220))
    content = BytesIO()
    scene.save(content, "PNG")
    result = sqlite_desk.do(objects, ask(content.getvalue(), model=model))
    assert result.boxes[0].label == "motorbike"
    place = [200 + 105 / 8, 220 + 45 / 8, 200 + 685 / 8, 220 + 455 / 8]
    assert iou(result.boxes[0].xyxy, place) > 0.8


def test_a_damaged_picture_fails_alone(sqlite_desk, ask, photo):
    cat, broken = photo("chelsea.png"), photo("chelsea.png")[:5000]
    first, second, third = sqlite_desk.do_all(objects, *map(ask, (cat, broken, cat)))
    assert second.code == "invalid_input"
    assert first.boxes == third.boxes
    assert first.boxes[0].label == "cat"


def test_a_batch_of_bad_jobs_is_all_errors(sqlite_desk, ask):
    answers = sqlite_desk.do_all(objects, ask(b"no picture"), ask(b""))
    assert [answer.code for answer in answers] == ["invalid_input"] * 2


def test_a_batch_answers_in_order_and_as_if_alone(sqlite_desk, ask, photo):
    asked = [
        ("motorcycle_left.png", "nanodet-g"),
        ("coffee.png", "yolov3-tiny"),
        ("china.jpg", "nanodet-g"),
        ("motorcycle_left.png", "yolov3-tiny"),
        ("coffee.png", "nanodet-g"),
    ]
    requests = [ask(photo(name), model=model) for name, model in asked]
    together = sqlite_desk.do_all(objects, *requests)
    alone = [sqlite_desk.do(objects, request) for request in requests]
    assert [result.model for result in together] == [model for _, model in asked]
    assert [len(result.boxes) for result in together] == [len(result.boxes) for result in alone]
    for one, other in zip(together, alone, strict=True):
        assert (one.width, one.height) == (other.width, other.height)
        for box, same in zip(one.boxes, other.boxes, strict=True):
            assert box.score == pytest.approx(same.score, abs=1e-4)
            assert box.xyxy == pytest.approx(same.xyxy, abs=0.05)


def test_a_batch_mixes_models_and_tenants(desk: Desk, photo):
    """Each gets the detector that it means; what one may not use costs the others nothing."""
    other = Desk(desk.worker)
    desk.register(make_detector("a"))
    other.register(make_detector("b"))
    desk.register(make_detector("c"), "second")
    cat = photo("chelsea.png")
    asked = [
        (desk, "mine"),
        (other, "mine@1"),
        (desk, None),
        (other, "second"),
        (desk, "second"),
        (other, None),
    ]
    runs = [one.make(ObjectsRequest(picture=one.add(cat), model=model)) for one, model in asked]
    answers = objects(desk.worker, runs)
    assert [getattr(answer, "code", None) for answer in answers].count("unknown_model") == 1
    assert isinstance(answers[3], UnknownModel)
    found = [{box.label for box in answers[place].boxes} for place in (0, 1, 2, 4, 5)]
    assert found == [{"a"}, {"b"}, {"cat"}, {"c"}, {"cat"}]
    names = [answers[place].model for place in (0, 1, 2, 4, 5)]
    assert names == ["mine@1", "mine@1", "nanodet-g", "second@1", "nanodet-g"]


def test_pictures_of_all_tenants_share_a_pass_of_a_published_detector(
    sqlite_desk: Desk, ask, photo, monkeypatch
):
    passes = []

    def count(served, squares):
        passes.append(len(squares))
        return predict(served, squares)

    monkeypatch.setattr(objects_tasks, "predict", count)
    other, cat = Desk(sqlite_desk.worker), photo("chelsea.png")
    theirs = other.make(ObjectsRequest(picture=other.add(cat)))
    answers = objects(sqlite_desk.worker, [sqlite_desk.make(ask(cat)), theirs])
    assert passes == [2]
    assert answers[0] == answers[1]


def test_the_detectors_of_a_batch_are_not_in_memory_together(desk: Desk, photo, monkeypatch):
    names = [desk.register(make_detector("a", seed=seed)) for seed in range(3)]
    monkeypatch.setattr(trained, "KEPT_BYTES", 1)  # so only the newest is kept
    networks, alive = [], []

    def count(served, squares):
        networks.append(weakref.ref(served.network))
        gc.collect()
        alive.append(sum(network() is not None for network in networks))
        return predict(served, squares)

    monkeypatch.setattr(objects_tasks, "predict", count)
    picture = desk.add(photo("chelsea.png"))
    asked = [names[place] for place in (0, 1, 0, 2, 1)]
    answers = desk.do_all(objects, *[ObjectsRequest(picture=picture, model=name) for name in asked])
    assert [answer.model for answer in answers] == asked
    assert answers[0].boxes == answers[2].boxes != answers[1].boxes
    assert alive == [1, 1, 1]


def test_a_picture_over_the_pixel_limit_is_refused(sqlite_desk, ask, photo):
    limits = sqlite_desk.worker.settings.model_copy(update={"max_pixels": 1000})
    sqlite_desk.worker.settings = limits
    code, why = sqlite_desk.refuse(objects, ask(photo("china.jpg")))
    assert (code, "1000" in why) == ("invalid_input", True)


@pytest.mark.parametrize(("model", "threshold"), SCORE_THRESHOLDS.items())
def test_without_a_threshold_a_model_has_its_own(model, threshold, sqlite_desk, ask, photo):
    portrait = photo("obama.jpg")
    silent, same, all_of_them = sqlite_desk.do_all(
        objects,
        ask(portrait, model=model),
        ask(portrait, model=model, score_threshold=threshold),
        ask(portrait, model=model, score_threshold=0),
    )
    assert silent.boxes == same.boxes
    assert 0 < len(silent.boxes) < len(all_of_them.boxes)


def test_the_threshold_of_each_model_is_told_in_the_description():
    told = ObjectsRequest.model_fields["score_threshold"].description
    assert "0.4 for nanodet-g, 0.25 for yolov3-tiny" in told


def test_the_limits_of_a_request_are_its_own(sqlite_desk, ask, photo):
    cup = photo("coffee.png")
    many = {"score_threshold": 0, "iou_threshold": 1, "max_detections": 1000}
    strict, loose = sqlite_desk.do_all(objects, ask(cup, score_threshold=0.99), ask(cup, **many))
    assert strict.boxes == []
    assert len(loose.boxes) > 500
    scores = [box.score for box in loose.boxes]
    assert scores == sorted(scores, reverse=True)


def test_boxes_have_an_area_inside_the_picture(sqlite_desk, ask, photo):
    request = ask(photo("china.jpg"), score_threshold=0, iou_threshold=1, max_detections=1000)
    result = sqlite_desk.do(objects, request)
    for box in result.boxes:
        assert 0 <= box.xyxy[0] < box.xyxy[2] <= result.width
        assert 0 <= box.xyxy[1] < box.xyxy[3] <= result.height


def test_only_the_wanted_classes_are_looked_for(sqlite_desk, ask, photo):
    request = ask(photo("coffee.png"), classes=["bowl", "spoon"], score_threshold=0.001)
    result = sqlite_desk.do(objects, request)
    assert result.boxes
    assert {box.label for box in result.boxes} <= {"bowl", "spoon"}


def test_an_unknown_class_is_answered_with_close_ones(sqlite_desk, ask, photo):
    request = ask(photo("coffee.png"), classes=["motorcycle"])
    code, why = sqlite_desk.refuse(objects, request)
    assert (code, "motorbike" in why) == ("invalid_input", True)


def test_an_annotated_picture_is_saved_as_jpeg(sqlite_desk, ask, photo):
    result = sqlite_desk.do(objects, ask(photo("motorcycle_left.png"), annotate=True))
    drawn = Image.open(BytesIO(sqlite_desk.read(result.annotated)))
    assert (drawn.format, drawn.size) == ("JPEG", (741, 500))


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (3, 7)])
def test_a_picture_of_any_shape_is_answered(size, sqlite_desk, ask):
    content = BytesIO()
    Image.new("RGB", size, "red").save(content, "PNG")
    request = ask(content.getvalue(), annotate=True, score_threshold=0, max_detections=20)
    result = sqlite_desk.do(objects, request)
    assert (result.width, result.height) == size


def test_a_result_is_what_the_contract_says(sqlite_desk, ask, photo):
    result = sqlite_desk.do(objects, ask(photo("motorcycle_left.png")))
    assert ObjectsResult.model_validate_json(result.model_dump_json()) == result
    assert result.boxes
    assert result.model == "nanodet-g"


def test_the_example_is_a_request_the_worker_answers(sqlite_desk, ask):
    request = ObjectsRequest.model_validate(OBJECTS.example)
    content = base64.b64decode(request.picture.partition(",")[2])
    result = sqlite_desk.do(objects, ask(content))
    assert (result.width, result.height) == (1, 1)


def test_a_machine_without_weights_is_told_how_to_get_them(tmp_path):
    with pytest.raises(MissingWeights, match="atelier weights pull"):
        DetectWorker(Settings(weights_dir=tmp_path, device="cpu"))
