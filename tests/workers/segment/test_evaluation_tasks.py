"""Jobs that measure networks of segmentation: on made-up pictures, with networks that know them."""

import json
from io import BytesIO

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.metrics import confusion_matrix, jaccard_score

from tests.workers.file_sets import Contents, make_zip
from tests.workers.segment.coloured import COLOURS, make_pictures
from tests.workers.segment.desk import Desk, make_segmenter
from tests.workers.segment.mask_files import save
from workers.runtime.run import Cancelled
from workers.segment import evaluation_tasks
from workers.segment.draw import write_mask
from workers.segment.evaluation_tasks import evaluate
from workers.segment.looking import find_mask
from workers.segment.training_contract import EVALUATE, EvaluateRequest, EvaluateResult

SIZE = (64, 48)  # width, height
GREY, RED, BLUE, VOID = 0, 1, 2, 255


def paint(*colours: int) -> bytes:
    """A picture in vertical stripes of the colours, each as wide as the others."""
    return save(Image.fromarray(np.array(COLOURS, np.uint8)[make_stripes(*colours)]))


def label(*classes: int) -> bytes:
    return write_mask(make_stripes(*classes), COLOURS)


def make_stripes(*classes: int) -> np.ndarray:
    row = np.repeat(classes, SIZE[0] // len(classes)).astype(np.uint8)
    return np.tile(row, (SIZE[1], 1))


def pair(*masks: tuple[bytes, bytes], names: tuple[str, ...] = ()) -> Contents:
    """Pictures and their masks, and what the indices are called."""
    files: Contents = {}
    for number, (picture, mask) in enumerate(masks):
        files[f"images/{number}.png"], files[f"masks/{number}.png"] = picture, mask
    if names:
        files["classes.json"] = json.dumps({"classes": list(names)})
    return files


NAMES = ("background", "red", "blue")


def ask(desk: Desk, files: Contents, **fields) -> EvaluateRequest:
    return EvaluateRequest(data=desk.add(make_zip(files).getvalue()), **fields)


def measure(desk: Desk, files: Contents, **fields) -> EvaluateResult:
    return desk.do(evaluate, ask(desk, files, **fields))


def refuse(desk: Desk, files: Contents, **fields) -> str:
    code, why = desk.refuse(evaluate, ask(desk, files, **fields))
    assert code == "invalid_input"
    return why


def test_figures_by_hand(desk: Desk):
    """One colour a picture, so that the answers are exact: the first is taken for red."""
    files = pair((paint(RED), label(BLUE, RED)), (paint(BLUE), label(BLUE, VOID)), names=NAMES)
    result = measure(desk, files)
    half = 64 * 48 // 2
    assert (result.model, result.pictures, result.pixels) == ("fcn-8s-camvid", 2, 3 * half)
    measures = result.measures
    assert measures.pixel_accuracy == pytest.approx(2 / 3)
    assert measures.mean_accuracy == pytest.approx((1 / 2 + 1) / 2)
    assert measures.mean_iou == pytest.approx((1 / 2 + 1 / 2) / 2)
    assert measures.frequency_weighted_iou == pytest.approx(1 / 2)
    red, blue, grey = (result.per_class[name] for name in ("red", "blue", "background"))
    assert (red.share, red.iou, red.accuracy) == pytest.approx((1 / 3, 1 / 2, 1))
    assert (blue.share, blue.iou, blue.accuracy) == pytest.approx((2 / 3, 1 / 2, 1 / 2))
    assert (grey.share, grey.iou, grey.accuracy) == (0, None, None)
    assert desk.progress[-1] == 1
    assert desk.progress == sorted(desk.progress)
    for blob in (result.confusion, result.samples):
        assert min(Image.open(BytesIO(desk.read(blob))).size) > 100


def test_figures_equal_scikit_learns_on_what_the_network_answers(sqlite_desk: Desk):
    data = make_pictures(3)
    masks = [(one.read(), one.read_mask()) for one in data.pictures]
    result = measure(sqlite_desk, pair(*masks, names=NAMES))
    served = sqlite_desk.worker.segmenters.open(sqlite_desk.tenant, None)
    truth = np.stack([one.open_mask(data.classes) for one in data.pictures]).ravel()
    found = np.stack([find_mask(served, one.open()) for one in data.pictures]).ravel()
    ious = jaccard_score(truth, found, average=None, labels=range(3))
    assert [result.per_class[name].iou for name in NAMES] == pytest.approx(ious.tolist())
    right = np.diag(confusion_matrix(truth, found)).sum() / len(truth)
    assert result.measures.pixel_accuracy == pytest.approx(right)
    assert 0.8 < right < 1


def test_classes_are_matched_by_name_whatever_their_order_and_case(sqlite_desk: Desk):
    masks = (paint(RED), label(0)), (paint(BLUE), label(1))
    result = measure(sqlite_desk, pair(*masks, names=("Red", "BLUE", "unicorn")))
    assert result.measures.mean_iou == 1
    assert result.per_class["blue"].iou == result.per_class["red"].iou == 1
    assert list(result.per_class) == list(NAMES)  # those of the model


def test_a_model_that_tells_capitals_apart_is_asked_for_them(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter("x", "Red", "red"))
    masks = (paint(RED), label(0)), (paint(BLUE), label(1))
    result = measure(sqlite_desk, pair(*masks, names=("Red", "red")), model="mine")
    assert (result.model, result.measures.mean_iou) == ("mine@1", 1)


def test_a_name_that_is_none_of_those_told_apart_is_unknown(sqlite_desk: Desk):
    sqlite_desk.register(make_segmenter("Car", "car", "x"))
    files = pair((paint(RED), label(0)), names=("CAR",))
    request = ask(sqlite_desk, files, model="mine")
    code, why = sqlite_desk.refuse(evaluate, request)
    assert code == "invalid_input"
    assert "does not know these classes of the masks: 'CAR'" in why
    assert why.endswith("Did you mean Car, car?")


def test_a_class_of_the_model_alone_counts_as_found_wrongly(sqlite_desk: Desk):
    files = pair((paint(RED), label(0)), (paint(BLUE), label(0)), names=("red",))
    result = measure(sqlite_desk, files)
    assert result.measures.pixel_accuracy == 0.5
    blue = result.per_class["blue"]
    assert (blue.share, blue.iou, blue.accuracy) == (0, 0, None)


def test_labelled_classes_the_model_does_not_know_are_named_with_near_ones(sqlite_desk: Desk):
    files = pair((paint(RED, BLUE), label(0, 1)), names=("rot", "bleu"))
    why = refuse(sqlite_desk, files)
    assert all(word in why for word in ("'rot'", "'bleu'", "blue", "classes.json"))


def test_indices_without_names_are_no_classes_of_the_model(sqlite_desk: Desk):
    why = refuse(sqlite_desk, pair((paint(RED), label(1))))
    assert "'1'" in why
    assert "background, red, blue" in why


def test_masks_without_a_class_cannot_be_measured(sqlite_desk: Desk):
    names = ("red",)
    files = pair((paint(RED), label(VOID)), (paint(RED), label(0)), names=names)
    files |= {"train_pairs.txt": "images/0.png masks/0.png\n"}
    files |= {"val_pairs.txt": "images/1.png masks/1.png\n"}
    assert "No pixel" in refuse(sqlite_desk, files, part="train")
    assert measure(sqlite_desk, files, part="val").pictures == 1
    assert "train, val" in refuse(sqlite_desk, files, part="test")
    assert "no class" in refuse(sqlite_desk, pair((paint(RED), label(VOID))))


def test_the_network_looks_at_the_resolution_asked_for(sqlite_desk: Desk):
    """At 16 pixels there are two cells, which do not show eight stripes."""
    stripes = (RED, BLUE) * 4
    files = pair((paint(*stripes), label(*stripes)), names=NAMES)
    coarse, fine = (measure(sqlite_desk, files, resolution=one) for one in (16, 384))
    assert coarse.measures.mean_iou < 0.5 < 0.8 < fine.measures.mean_iou


def test_pictures_larger_than_a_tile_are_cancelled_within(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(evaluation_tasks, "REPORT_EVERY", 0.0)
    files = pair((paint(RED), label(RED)), names=NAMES)
    request = ask(sqlite_desk, files, resolution=1100)
    counted = lambda: [one for one in sqlite_desk.progress if one > 0]  # noqa: E731
    sqlite_desk.stops = lambda: len(counted()) > 0
    with pytest.raises(Cancelled):
        sqlite_desk.do(evaluate, request)
    assert 0 < counted()[0] < 1  # of the one picture


def test_it_can_be_cancelled_between_pictures(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(evaluation_tasks, "REPORT_EVERY", 0.0)
    files = pair(*[(paint(RED), label(RED))] * 10, names=NAMES)
    sqlite_desk.stops = lambda: sqlite_desk.progress[-1:] == [0.4]
    with pytest.raises(Cancelled):
        measure(sqlite_desk, files)
    assert sqlite_desk.steps[-1]["step"] == "picture 4 of 10"


def test_a_picture_that_takes_too_much_memory_is_named_before_any_is_looked_at(
    sqlite_desk: Desk,
):
    """A strip is enlarged less than a picture whose sides are nearly the same."""
    names = [f"class {number}" for number in range(60)]
    sqlite_desk.register(make_segmenter(*names, colours=[(0, 0, 0)] * 60))
    strip = save(Image.new("RGB", (64, 2))), save(Image.new("L", (64, 2)))
    files = pair(strip, (paint(RED), label(0)), names=tuple(names))
    code, why = sqlite_desk.refuse(evaluate, ask(sqlite_desk, files, model="mine", resolution=2800))
    assert code == "too_large"
    assert why.startswith("images/1.png: ")
    assert "60 classes" in why
    assert not [one for one in sqlite_desk.progress if one > 0]


@pytest.mark.parametrize("content", [b"", b"no zip", b"PK\5\6" + b"\0" * 18])
def test_what_is_no_zip_of_pictures_is_refused(content, sqlite_desk: Desk):
    request = EvaluateRequest(data=sqlite_desk.add(content))
    assert sqlite_desk.refuse(evaluate, request)[0] == "invalid_input"


def test_an_unknown_model_is_refused_before_the_data_is_read(sqlite_desk: Desk):
    code, why = sqlite_desk.refuse(evaluate, EvaluateRequest(data="0" * 64, model="nobody"))
    assert code == "unknown_model"
    assert "segment.models" in why


def test_bad_jobs_cost_the_others_of_a_batch_nothing(sqlite_desk: Desk):
    good = ask(sqlite_desk, pair((paint(RED), label(RED)), names=NAMES))
    first, second = sqlite_desk.do_all(evaluate, EvaluateRequest(data="0" * 64), good)
    assert first.code == "invalid_input"
    assert second.measures.mean_iou == 1


def test_a_network_whose_scores_are_no_numbers_is_measured_as_bad(sqlite_desk: Desk):
    segmenter = make_segmenter()
    with torch.no_grad():
        segmenter.network.get_parameter("skips.pool3.bias").fill_(np.nan)
    sqlite_desk.register(segmenter)
    files = pair((paint(RED), label(RED, BLUE)), names=NAMES)
    assert measure(sqlite_desk, files, model="mine").measures.pixel_accuracy <= 0.5


def test_the_example_is_a_request_that_is_answered_with_what_is_missing(sqlite_desk: Desk):
    request = EvaluateRequest.model_validate(EVALUATE.example)
    assert request.model == "fcn-8s-camvid"
    assert sqlite_desk.refuse(evaluate, request)[0] == "invalid_input"
