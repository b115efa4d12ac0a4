"""Average precision: published figures, figures by hand, and what must hold for any detector."""

from dataclasses import replace
from io import BytesIO

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from workers.detect.average_precision import (
    Detections,
    draw_precision_recall,
    evaluate,
    match,
    pairwise_iou,
    trace,
)
from workers.detect.coco_average_precision import evaluate_coco
from workers.detect.labelled import Labels

CLASSES = ["cat"]
FALLING = np.linspace(0.9, 0.1, 5)  # scores
# The toy example of Padilla et al. (2021), "A comparative analysis of object detection metrics with
# a companion open-source toolkit": objects, and boxes with their scores, of ten pictures.
TOY: list[tuple[list[tuple[int, ...]], list[tuple[float, ...]]]] = [
    ([(1, 49, 341, 499)], [(0.94, 12, 44, 344, 481)]),
    ([], [(0.85, 220, 344, 400, 431)]),
    ([(160, 1, 448, 375)], [(0.95, 166, 0, 477, 365)]),
    ([(28, 1, 335, 496)], [(0.92, 49, 7, 318, 500)]),
    ([(40, 4, 484, 370)], [(0.95, 6, 55, 495, 402)]),
    ([(170, 44, 459, 251), (72, 123, 387, 334)], [(0.81, 65, 74, 370, 331)]),
    (
        [(60, 123, 220, 305), (243, 105, 437, 317)],
        [(0.86, 67, 117, 229, 304), (0.76, 281, 109, 444, 320)],
    ),
    (
        [(1, 16, 352, 272), (130, 139, 500, 366)],
        [(0.89, 7, 9, 349, 265), (0.82, 151, 123, 503, 375)],
    ),
    ([(34, 1, 281, 283)], [(0.99, 29, 0, 268, 287)]),
    ([(1, 39, 248, 300)], [(0.98, 47, 43, 226, 298)]),
]


def find(*rows: tuple[float, ...], class_id: int = 0) -> Detections:
    """From rows of a score and four corners."""
    values = np.array(rows, float).reshape(-1, 5)
    return Detections(values[:, 1:], values[:, 0], np.full(len(rows), class_id))


def toy() -> tuple[list[Labels], list[Detections]]:
    labels = [Labels.of(boxes, [0] * len(boxes)) for boxes, _ in TOY]
    return labels, [find(*rows) for _, rows in TOY]


@pytest.mark.parametrize(
    ("threshold", "interpolation", "published"),
    [
        (0.5, "11-point", 0.8864),
        (0.5, "all-point", 0.8958),
        (0.75, "11-point", 0.4924),
        (0.75, "all-point", 0.5097),
    ],
)
def test_the_toy_example_gives_the_published_figures(threshold, interpolation, published):
    found = evaluate(*toy(), CLASSES, threshold, interpolation, inclusive=True)
    assert found.mean == pytest.approx(published, abs=5e-5)


def test_average_precision_by_hand():
    # Right, wrong, right, right, wrong of 4 objects: precision 1, 1/2, 2/3, 3/4, 3/5
    # at recall 1/4, 1/4, 1/2, 3/4, 3/4; so 1 up to 1/4, then 3/4 up to 3/4, then nothing.
    hits = np.array([True, False, True, True, False])
    curve = trace(hits, FALLING, 4, "all-point")
    assert curve.recall.tolist() == [0.25, 0.25, 0.5, 0.75, 0.75]
    assert curve.precision.tolist() == pytest.approx([1, 1 / 2, 2 / 3, 3 / 4, 3 / 5])
    assert curve.average == pytest.approx(1 / 4 * 1 + 1 / 2 * 3 / 4)
    # recalls of 0, 0.1, 0.2 | 0.3 ... 0.7 | 0.8, 0.9, 1
    assert trace(hits, FALLING, 4, "11-point").average == pytest.approx((3 * 1 + 5 * 3 / 4) / 11)


def test_eleven_points_count_a_recall_that_is_just_reached():
    # 3 of 10 objects, all right: the points 0, 0.1, 0.2, 0.3, although 3 * 0.1 > 0.3 in floats
    assert trace(np.ones(3, bool), FALLING[:3], 10, "11-point").average == pytest.approx(4 / 11)


def test_both_conventions_of_a_boxs_width():
    one, other = np.array([[0, 0, 9, 9]]), np.array([[5, 0, 14, 9]])
    # inclusive: 10 x 10 each, 5 x 10 shared; as edges: 9 x 9 each, 4 x 9 shared
    assert pairwise_iou(one, other, inclusive=True).item() == pytest.approx(50 / 150)
    assert pairwise_iou(one, other).item() == pytest.approx(36 / 126)
    assert pairwise_iou(one, np.array([[3, 3, 3, 3]])).item() == 0
    labels, found = [Labels.of([[0, 0, 9, 9]], [0])], [find((1, 5, 0, 14, 9))]
    assert evaluate(labels, found, CLASSES, 0.33, inclusive=True).mean == 1
    assert evaluate(labels, found, CLASSES, 0.33).mean == 0


def test_an_overlap_of_exactly_the_threshold_is_enough():
    labels = [Labels.of([[0, 0, 10, 10]], [0])]
    assert evaluate(labels, [find((1, 0, 0, 10, 5))], CLASSES, 0.5).mean == 1


def test_an_object_is_found_once_by_the_best_box():
    labels = Labels.of([[0, 0, 10, 10]], [0])
    found = find((0.5, 0, 0, 10, 10), (0.9, 0, 0, 10, 9))
    _, right = match(labels, found.boxes, found.scores, 0.5)
    assert right.tolist() == [False, True]
    # A devkit's box takes no second choice: the nearer object is taken, the other stays missed.
    two = Labels.of([[0, 0, 10, 10], [0, 0, 10, 6]], [0, 0])
    assert evaluate([two], [find((0.9, 0, 0, 10, 10), (0.8, 0, 0, 10, 9))], CLASSES).mean == 0.5


@pytest.mark.parametrize("kind", ["difficult", "crowd"])
def test_boxes_on_ignored_objects_are_neither_right_nor_wrong(kind):
    labels = Labels.of([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 0], **{kind: [True, False]})
    on_ignored = [(0.9, 0, 0, 10, 10), (0.8, 0, 0, 10, 9)]
    found = evaluate([labels], [find(*on_ignored, (0.7, 20, 20, 30, 30))], CLASSES)
    assert found.curves["cat"].objects == 1
    assert found.curves["cat"].precision.tolist() == [1]
    assert found.mean == 1


def test_of_equal_scores_the_box_given_first_counts_first():
    labels = [Labels.of([[0, 0, 10, 10]], [0])]
    right, wrong = (0.5, 0, 0, 10, 10), (0.5, 50, 50, 60, 60)
    assert evaluate(labels, [find(right, wrong)], CLASSES).mean == 1
    assert evaluate(labels, [find(wrong, right)], CLASSES).mean == 0.5


def test_the_mean_is_over_the_classes_that_are_there():
    labels = [Labels.of([[0, 0, 10, 10], [20, 20, 30, 30]], [0, 1])]
    found = evaluate(labels, [find((0.9, 0, 0, 10, 10))], ["cat", "dog", "bird"])
    assert {name: curve.average for name, curve in found.curves.items()} == {"cat": 1, "dog": 0}
    assert found.mean == 0.5


def test_a_box_of_another_class_or_picture_finds_nothing():
    here, nothing = Labels.of([[0, 0, 10, 10]], [0]), Labels.of([], [])
    box = (0.9, 0, 0, 10, 10)
    assert evaluate([here], [find(box, class_id=1)], ["cat", "dog"]).mean == 0
    assert evaluate([here, nothing], [find(), find(box)], CLASSES).mean == 0


def test_what_cannot_be_evaluated_is_refused():
    nothing = Labels.of([], [])
    with pytest.raises(ValueError, match="no objects"):
        evaluate([nothing], [find()], CLASSES)
    for compare in (evaluate, evaluate_coco):
        with pytest.raises(ValueError, match="1 labelled pictures, 0 with detections"):
            compare([nothing], [], CLASSES)


corners = st.integers(0, 12)
boxes = st.tuples(corners, corners, st.integers(1, 12), st.integers(1, 12)).map(
    lambda place: (place[0], place[1], place[0] + place[2], place[1] + place[3])
)
scores = st.integers(0, 20).map(lambda number: number / 20)  # with ties
pictures = st.lists(
    st.tuples(st.lists(boxes, max_size=4), st.lists(st.tuples(scores, boxes), max_size=6)),
    min_size=1,
    max_size=4,
).filter(lambda drawn: any(objects for objects, _ in drawn))
interpolations = st.sampled_from(["all-point", "11-point"])


def unpack(drawn: list) -> tuple[list[Labels], list[Detections]]:
    labels = [Labels.of(objects, [0] * len(objects)) for objects, _ in drawn]
    return labels, [find(*((score, *box) for score, box in rows)) for _, rows in drawn]


@given(pictures, interpolations)
def test_curves_stay_in_their_range(drawn, interpolation):
    curve = evaluate(*unpack(drawn), CLASSES, 0.5, interpolation).curves["cat"]
    assert 0 <= curve.average <= 1 + 1e-12
    assert (np.diff(curve.recall) >= 0).all()
    assert ((curve.precision >= 0) & (curve.precision <= 1)).all()
    assert (curve.recall <= 1).all()


@given(pictures, interpolations, st.floats(0, 1))
def test_a_box_on_nothing_never_helps_and_the_lowest_never_hurts(drawn, interpolation, score):
    labels, found = unpack(drawn)
    before = evaluate(labels, found, CLASSES, 0.5, interpolation).mean
    for value, change in ((score, "never helps"), (-1, "never hurts")):
        extra = find((value, 500, 500, 510, 510))
        last = found[-1]
        wider = Detections(
            np.concatenate([last.boxes, extra.boxes]),
            np.concatenate([last.scores, extra.scores]),
            np.concatenate([last.classes, extra.classes]),
        )
        after = evaluate(labels, [*found[:-1], wider], CLASSES, 0.5, interpolation).mean
        assert after <= before + 1e-12 if change == "never helps" else after == before


@given(pictures, interpolations)
def test_only_the_order_of_the_scores_counts(drawn, interpolation):
    labels, found = unpack(drawn)
    squeezed = [replace(one, scores=one.scores / 2 + 0.1) for one in found]
    assert (
        evaluate(labels, found, CLASSES, 0.5, interpolation).mean
        == evaluate(labels, squeezed, CLASSES, 0.5, interpolation).mean
    )


@given(pictures)
def test_what_is_there_found_exactly_is_perfect(drawn):
    labels, _ = unpack(drawn)
    labels = [one.keep(np.unique(one.boxes, axis=0, return_index=True)[1]) for one in labels]
    found = [Detections(one.boxes, np.ones(len(one)), one.classes) for one in labels]
    assert evaluate(labels, found, CLASSES, 0.5).mean == pytest.approx(1)
    assert evaluate_coco(labels, found, CLASSES).average == pytest.approx(1)


def make_scene(seed: int) -> tuple[list[Labels], list[Detections]]:
    """Thirty pictures with three objects apart from each other, boxes shaken, and false ones."""
    chance = np.random.default_rng(seed)
    labels, found = [], []
    for _ in range(30):
        corner = np.arange(3)[:, None] * 150 + chance.uniform(0, 40, (3, 2))
        objects = np.hstack([corner, corner + chance.uniform(40, 100, (3, 2))])
        shaken = objects + chance.normal(0, 6, (3, 4))
        false = objects[:1] + 500
        rows = np.column_stack([chance.random(4), np.vstack([shaken, false])])
        labels.append(Labels.of(objects.tolist(), [0, 1, 1]))
        found.append(replace(find(*rows.tolist()), classes=np.array([0, 1, 1, 0])))
    return labels, found


@pytest.mark.parametrize("seed", range(5))
def test_cocos_figure_differs_by_its_101_recalls_alone(seed):
    labels, found = make_scene(seed)
    names = ["cat", "dog"]
    ours = evaluate(labels, found, names).mean
    theirs = evaluate_coco(labels, found, names)
    # A step of the envelope begins at most a hundredth off, and recall 0 is one point more.
    assert theirs.at_50 == pytest.approx(ours, abs=0.02)
    assert theirs.at_75 == pytest.approx(evaluate(labels, found, names, 0.75).mean, abs=0.02)
    assert 0.3 < theirs.average < theirs.at_50 < 1


def test_coco_looks_at_sizes_apart():
    objects = Labels.of([[0, 0, 20, 20], [100, 100, 150, 150]], [0, 0])
    found = evaluate_coco([objects], [find((0.9, 0, 0, 20, 20))], CLASSES)
    assert (found.small, found.medium) == (1, 0)
    assert np.isnan(found.large)


def test_coco_without_any_box_is_zero_and_a_crowd_is_not_missed():
    objects = Labels.of([[0, 0, 90, 90], [100, 100, 150, 150]], [0, 0], crowd=[True, False])
    assert evaluate_coco([objects], [find()], CLASSES).average == 0
    rows = [(0.9, 10, 10, 50, 50), (0.8, 100, 100, 150, 150)]  # the first lies in the crowd
    assert evaluate_coco([objects], [find(*rows)], CLASSES).average == pytest.approx(1)


def test_curves_are_drawn_whatever_the_classes_are_called():
    labels, found = make_scene(0)
    drawn = draw_precision_recall(evaluate(labels, found, ["$\\frac", "_小猫 $x$"]))
    picture = Image.open(BytesIO(drawn))
    assert (picture.format, picture.size) == ("PNG", (880, 550))


def test_of_many_classes_those_with_most_objects_are_drawn(monkeypatch):
    count = 25
    names = [f"class {place}" for place in range(count)]
    classes = [place for place in range(count) for _ in range(place + 1)]
    corner = np.arange(len(classes))[:, None] * 20
    labels = [Labels.of(np.hstack([corner, corner, corner + 10, corner + 10]).tolist(), classes)]
    drawn = {}
    monkeypatch.setattr(
        "workers.detect.average_precision.draw_curves",
        lambda curves, *_: drawn.update(curves) or b"",
    )
    draw_precision_recall(evaluate(labels, [find()], names))
    assert [name.split(" ", 1)[1] for name in drawn] == names[:4:-1]
