"""Jobs that measure detectors: on photographs, and on made-up pictures with a made-up network."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.detect.desk import Desk
from tests.workers.detect.labelled_files import (
    Contents,
    make_object,
    make_picture,
    make_xml,
    make_zip,
)
from workers.detect import evaluation_tasks
from workers.detect.average_precision import Detections
from workers.detect.evaluation_tasks import drop_below, evaluate
from workers.detect.objects_contract import ObjectsRequest
from workers.detect.objects_tasks import objects
from workers.detect.training_contract import EVALUATE, EvaluateRequest
from workers.runtime.run import Cancelled

SIZE = (741, 500)  # of the photograph
MOTORBIKE = (105, 45, 685, 455)  # measured by hand, as tests of jobs on pictures have it


class Certain(torch.nn.Module):
    """Finds the same boxes on every picture: rows of a score, a class, and four corners."""

    def __init__(self, *rows: tuple[float, ...], classes: int) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.boxes = torch.tensor([row[2:] for row in rows], dtype=torch.float)
        self.scores = torch.zeros(len(rows), classes)
        for place, row in enumerate(rows):
            self.scores[place, int(row[1])] = row[0]

    def predict(self, pixels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        count = len(pixels)
        return self.boxes.expand(count, -1, -1), self.scores.expand(count, -1, -1)


def serve(desk: Desk, *rows: tuple[float, ...]) -> None:
    """Puts a network that finds these boxes in the place of NanoDet: cat is 0, dog is 1."""
    published = desk.worker.detectors.published
    network = Certain(*rows, classes=3)
    published["nanodet-g"] = replace(
        published["nanodet-g"], network=network, side=100, labels=("cat", "dog", "cow")
    )


def ask(desk: Desk, files: Contents, **fields) -> EvaluateRequest:
    return EvaluateRequest(data=desk.add(make_zip(files).getvalue()), **fields)


def label(*pictures: list[tuple[str, tuple[float, ...]]], part: str = "") -> Contents:
    """Pictures of 100 x 100, each with objects: names and boxes as edges."""
    files: Contents = {}
    for number, rows in enumerate(pictures):
        made = [make_object(name, (x + 1, y + 1, right, low)) for name, (x, y, right, low) in rows]
        files[f"JPEGImages/{part}{number}.jpg"] = make_picture(number, (100, 100))
        files[f"Annotations/{part}{number}.xml"] = make_xml(*made, size=(100, 100))
    return files


def label_photo(photo, *rows: tuple[str, tuple[float, ...]]) -> Contents:
    return {
        "bike.png": photo("motorcycle_left.png"),
        "bike.xml": make_xml(*(make_object(*row) for row in rows), size=SIZE),
    }


@pytest.mark.parametrize("model", ["nanodet-g", "yolov3-tiny"])
def test_a_published_model_finds_the_motorbike_in_a_photograph(model, desk, photo):
    request = ask(desk, label_photo(photo, ("motorbike", MOTORBIKE)), model=model)
    result = desk.do(evaluate, request)
    assert (result.model, result.pictures, result.objects) == (model, 1, 1)
    assert result.mean_average_precision == result.mean_of_sure == 1
    bike = result.classes["motorbike"]
    assert (bike.objects, bike.recall, bike.precision) == (1, 1, 1)
    assert result.coco.at_50 == pytest.approx(1)
    assert 0.5 < result.coco.average < 1
    assert (result.coco.small, result.coco.medium) == (None, None)
    picture = Image.open(BytesIO(desk.read(result.precision_recall)))
    assert picture.format == "PNG"
    assert desk.progress == [0, 1, 1, 1, 1]  # three times "measuring"


def test_what_is_measured_is_what_jobs_on_pictures_find(sqlite_desk, photo):
    """The boxes that the model finds itself, as labels, are all found."""
    content = photo("motorcycle_left.png")
    found = sqlite_desk.do(objects, ObjectsRequest(picture=sqlite_desk.add(content)))
    rows = [(box.label, tuple(np.add(box.xyxy, (1, 1, 0, 0)))) for box in found.boxes]
    files = label_photo(photo, *rows)
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, files, overlap=0.99))
    assert result.mean_average_precision == 1
    assert all(view.recall == view.precision == 1 for view in result.classes.values())


CAT, DOG = (10, 10, 50, 50), (60, 60, 90, 90)


def test_figures_by_hand(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT), (0.45, 1, *DOG), (0.3, 0, 70, 0, 99, 20))
    files = label([("cat", CAT), ("dog", DOG)], [("cat", CAT), ("cat", (0, 60, 30, 90))])
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, files))
    # cat: two right of three objects, then two wrong; dog: of equal scores the first is right
    assert result.classes["cat"].average_precision == pytest.approx(2 / 3)
    assert result.classes["dog"].average_precision == 1
    assert result.mean_average_precision == pytest.approx(5 / 6)
    assert result.mean_of_sure == pytest.approx((2 / 3 + 0) / 2)
    # from 0.4, the model's own, the wrong cats are not shown
    assert result.own_threshold == 0.4
    assert (result.classes["cat"].recall, result.classes["cat"].precision) == (2 / 3, 1)
    assert (result.classes["dog"].recall, result.classes["dog"].precision) == (1, 0.5)
    assert (result.pictures, result.objects) == (2, 4)
    # COCO: 101 recalls, of which 0 to 0.66 are reached
    assert result.coco.at_50 == pytest.approx((67 / 101 + 1) / 2)


def test_a_class_without_a_box_has_no_precision(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT), (0.2, 1, *DOG))
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, label([("cat", CAT), ("dog", DOG)])))
    dog = result.classes["dog"]
    assert (dog.average_precision, dog.recall, dog.precision) == (1, 0, None)


def test_the_score_threshold_leaves_recall_at_the_models_own_alone(sqlite_desk):
    serve(sqlite_desk, (0.45, 0, *CAT))
    files = label([("cat", CAT)])
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, files, score_threshold=0.5))
    assert (result.mean_average_precision, result.coco.at_50) == (0, 0)
    assert (result.classes["cat"].recall, result.classes["cat"].precision) == (1, 1)


def test_interpolation_overlap_and_width_of_boxes_can_be_chosen(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, 10, 10, 50, 30))  # half of the cat
    files = label([("cat", CAT), ("cat", (60, 60, 90, 90))])
    wanted = {"overlap": 0.5}, {"overlap": 0.51}, {"overlap": 0.51, "inclusive": True}
    means = [
        sqlite_desk.do(evaluate, ask(sqlite_desk, files, **fields)).mean_average_precision
        for fields in (*wanted, {"interpolation": "11-point"})
    ]
    assert means == pytest.approx([0.5, 0, 0.5, 6 / 11])  # inclusive: 21 x 41 of 41 x 41


def test_other_classes_of_the_model_are_ignored(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT), (0.95, 2, *DOG))
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, label([("cat", CAT)])))
    assert list(result.classes) == ["cat"]
    assert result.mean_average_precision == 1


def test_one_part_can_be_measured_alone(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT))
    files = label([("cat", CAT)], part="a") | label([("cat", DOG)], part="b")
    files |= {"ImageSets/Main/train.txt": "a0\n", "ImageSets/Main/val.txt": "b0\n"}
    means = {
        part: sqlite_desk.do(evaluate, ask(sqlite_desk, files, part=part)).mean_average_precision
        for part in ("train", "val", None)
    }
    assert means == {"train": 1, "val": 0, None: 0.5}
    code, why = sqlite_desk.refuse(evaluate, ask(sqlite_desk, files, part="test"))
    assert code == "invalid_input"
    assert "train, val" in why


def test_labels_the_model_does_not_know_are_named_with_close_ones(sqlite_desk, photo):
    files = label_photo(photo, ("motorcycle", MOTORBIKE), ("zebu", (1, 1, 9, 9)))
    code, why = sqlite_desk.refuse(evaluate, ask(sqlite_desk, files))
    assert code == "invalid_input"
    assert all(word in why for word in ("'motorcycle'", "'zebu'", "motorbike", "zebra"))


def test_labels_unlike_all_others_are_answered_with_what_the_model_knows(sqlite_desk, photo):
    files = label_photo(photo, ("\u732b" * 200, MOTORBIKE))
    _, why = sqlite_desk.refuse(evaluate, ask(sqlite_desk, files))
    assert "person, bicycle" in why
    assert len(why) < 2000


def test_a_class_that_is_only_listed_need_not_be_known(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT))
    files = {
        "images/a.jpg": make_picture(1, (100, 100)),
        "labels/a.txt": "1 0.3 0.3 0.4 0.4",
        "data.yaml": "train: images\nnames: [unicorn, cat]\n",
    }
    result = sqlite_desk.do(evaluate, ask(sqlite_desk, files))
    assert {name: view.average_precision for name, view in result.classes.items()} == {"cat": 1}


def test_pictures_without_objects_cannot_be_measured(sqlite_desk):
    files = label([("cat", CAT)])
    for old, new in (("<difficult>0", "<difficult>1"), (">11<", ">51<")):  # then it has no area
        changed = {**files, "Annotations/0.xml": str(files["Annotations/0.xml"]).replace(old, new)}
        code, why = sqlite_desk.refuse(evaluate, ask(sqlite_desk, changed))
        assert code == "invalid_input"
        assert "no objects" in why


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + b"\0" * 18])
def test_what_is_no_zip_of_pictures_is_refused(content, sqlite_desk):
    request = EvaluateRequest(data=sqlite_desk.add(content))
    assert sqlite_desk.refuse(evaluate, request)[0] == "invalid_input"


def test_an_unknown_model_is_refused_before_the_data_is_read(sqlite_desk):
    code, why = sqlite_desk.refuse(evaluate, EvaluateRequest(data="0" * 64, model="nobody"))
    assert code == "unknown_model"
    assert "detect.models" in why


def test_more_than_fits_into_memory_is_refused(sqlite_desk, monkeypatch):
    monkeypatch.setattr(evaluation_tasks, "MAX_BOXES", 1)
    serve(sqlite_desk, (0.9, 0, *CAT), (0.8, 0, *DOG))
    files = label([("cat", CAT), ("cat", DOG)])
    assert sqlite_desk.refuse(evaluate, ask(sqlite_desk, files))[0] == "too_large"


def test_it_can_be_cancelled_between_batches(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT))
    files = label(*[[("cat", CAT)]] * 40)
    sqlite_desk.stops = lambda: len(sqlite_desk.steps) > 1
    with pytest.raises(Cancelled):
        sqlite_desk.do(evaluate, ask(sqlite_desk, files))
    assert sqlite_desk.progress == [0, 0.4]


def test_large_squares_are_looked_at_one_at_a_time(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT))
    published = sqlite_desk.worker.detectors.published
    published["nanodet-g"] = replace(published["nanodet-g"], side=2048)
    sqlite_desk.do(evaluate, ask(sqlite_desk, label([("cat", CAT)], [], [])))
    assert sqlite_desk.progress == pytest.approx([0, 1 / 3, 2 / 3, 1, 1, 1, 1], abs=1e-4)


@pytest.mark.parametrize("comparisons", [0, 1, 2])
def test_it_can_be_cancelled_between_comparisons(sqlite_desk, comparisons):
    serve(sqlite_desk, (0.9, 0, *CAT))
    count = lambda: [step["step"] for step in sqlite_desk.steps].count("measuring")  # noqa: E731
    sqlite_desk.stops = lambda: count() > comparisons
    with pytest.raises(Cancelled):
        sqlite_desk.do(evaluate, ask(sqlite_desk, label([("cat", CAT)])))
    assert count() == comparisons + 1


def test_bad_jobs_cost_the_others_of_a_batch_nothing(sqlite_desk):
    serve(sqlite_desk, (0.9, 0, *CAT))
    good = ask(sqlite_desk, label([("cat", CAT)]))
    first, second = sqlite_desk.do_all(evaluate, EvaluateRequest(data="0" * 64), good)
    assert first.code == "invalid_input"
    assert second.mean_average_precision == 1


def test_the_example_is_a_request_that_is_answered_with_what_is_missing(sqlite_desk):
    request = EvaluateRequest.model_validate(EVALUATE.example)
    assert request.model == "nanodet-g"
    assert sqlite_desk.refuse(evaluate, request)[0] == "invalid_input"


def test_boxes_of_exactly_the_threshold_are_kept():
    # 0.4 is another number as float32, and so are the scores
    found = Detections(
        np.zeros((2, 4), np.float32), np.array([0.4, 0.39], np.float32), np.zeros(2, int)
    )
    assert drop_below(0.4, [found])[0].scores.tolist() == pytest.approx([0.4])
