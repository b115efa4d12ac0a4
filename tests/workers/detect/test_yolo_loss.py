"""The loss of YOLOv1, worked out by hand term by term, and what a network learns with it."""

import pytest
import torch
from torchvision.ops import box_iou

from workers.detect.suppression import Suppression, suppress
from workers.detect.yolo import Yolo
from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_grid import NOTHING, GridTruth, decode, encode
from workers.detect.yolo_loss import LossSettings, choose_responsible, yolo_loss

ONE = LossSettings(confidence="one")
NAMES = ("centre", "size", "object", "no_object", "classes")


def values(terms):
    return {name: getattr(terms, name).item() for name in NAMES}


# One cell, two boxes, two classes. The object is in the middle, a quarter wide and high, class 0:
# from 0.375 to 0.625 both ways.
TRUTH = GridTruth(torch.tensor([[[[0.5, 0.5, 0.25, 0.25]]]]), torch.tensor([[[0]]]))
OUTPUT = torch.tensor(
    [
        *[0.6, 0.5, 0.5, 1.0, 0.6],  # x 0.475 to 0.725, y 0 to 1
        *[0.9, 0.9, 0.5, 0.5, 0.3],  # x and y from 0.775 on: IoU 0
        *[0.2, 0.7],
    ]
).view(1, 1, 1, 12)
# The first box shares 0.15 * 0.25 = 0.0375 with the object, of 0.25 + 0.0625 - 0.0375 = 0.275.
OVERLAP = 0.0375 / 0.275
EXPECTED = {
    "centre": 5 * 0.1**2,
    "size": 5 * (1.0 - 0.5) ** 2,  # the root of 0.25 is 0.5
    "object": (0.6 - OVERLAP) ** 2,
    "no_object": 0.5 * 0.3**2,
    "classes": (0.2 - 1) ** 2 + 0.7**2,
}


def test_one_cell_costs_what_was_worked_out_by_hand():
    terms = yolo_loss(OUTPUT, TRUTH, 2)
    assert values(terms) == pytest.approx(EXPECTED)
    assert float(terms.total) == pytest.approx(sum(EXPECTED.values()))


def test_the_confidence_may_be_asked_to_be_one():
    assert float(yolo_loss(OUTPUT, TRUTH, 2, ONE).object) == pytest.approx(0.4**2)


def test_the_weights_of_the_paper_can_be_changed():
    terms = values(yolo_loss(OUTPUT, TRUTH, 2, LossSettings(coord=1, noobj=2)))
    assert terms["centre"] == pytest.approx(EXPECTED["centre"] / 5)
    assert terms["size"] == pytest.approx(EXPECTED["size"] / 5)
    assert terms["no_object"] == pytest.approx(EXPECTED["no_object"] * 4)


def test_cells_are_counted_once_and_their_places_are_shares_of_the_picture():
    # 2 x 2 cells. An object half the picture wide and high has its centre in the middle of the
    # cell right above. The first box is half a cell, a quarter of the picture, too far right:
    # it shares 0.25 * 0.5 of 0.25 + 0.25 - 0.125, IoU 1/3. The second is in the middle, but half
    # as wide and high: IoU 1/4. The first is responsible.
    output = torch.zeros(1, 2, 2, 11)
    output[..., 4], output[..., 9] = 0.1, 0.2  # confidences, in all four cells
    half = 0.5**0.5
    output[0, 0, 1, :4] = torch.tensor([1.0, 0.5, half, half])
    output[0, 0, 1, 5:9] = torch.tensor([0.5, 0.5, 0.5, 0.5])
    output[..., 10] = 0.5  # the only class; counts in the occupied cell alone
    boxes, classes = torch.zeros(1, 2, 2, 4), torch.full((1, 2, 2), NOTHING)
    boxes[0, 0, 1], classes[0, 0, 1] = torch.tensor([0.5, 0.5, 0.5, 0.5]), 0
    expected = {
        "centre": 5 * 0.5**2,
        "size": 0.0,
        "object": (0.1 - 1 / 3) ** 2,
        "no_object": 0.5 * (3 * 0.1**2 + 4 * 0.2**2),
        "classes": 0.5**2,
    }
    assert values(yolo_loss(output, GridTruth(boxes, classes), 2)) == pytest.approx(
        expected, abs=1e-7
    )


def test_the_loss_of_a_batch_is_the_mean_over_its_pictures():
    empty = GridTruth(torch.zeros(1, 1, 1, 4), torch.full((1, 1, 1), NOTHING))
    alone = values(yolo_loss(OUTPUT, TRUTH, 2)), values(yolo_loss(OUTPUT, empty, 2))
    both = GridTruth(*(torch.cat(pair) for pair in zip(parts(TRUTH), parts(empty), strict=True)))
    together = values(yolo_loss(OUTPUT.expand(2, -1, -1, -1), both, 2))
    assert together == pytest.approx(
        {name: (alone[0][name] + alone[1][name]) / 2 for name in NAMES}
    )


def parts(truth):
    return truth.boxes, truth.classes


def test_a_picture_without_objects_only_lowers_confidences():
    output = OUTPUT.clone().requires_grad_()
    empty = GridTruth(torch.zeros(1, 1, 1, 4), torch.full((1, 1, 1), NOTHING))
    terms = yolo_loss(output, empty, 2)
    nothing = dict.fromkeys(NAMES, 0.0)
    assert values(terms) == pytest.approx({**nothing, "no_object": 0.5 * (0.6**2 + 0.3**2)})
    terms.total.backward()
    expected = torch.zeros(12)
    expected[4], expected[9] = 0.6, 0.3  # 0.5 * 2 * confidence
    assert torch.allclose(output.grad.flatten(), expected)


def test_the_box_of_the_highest_overlap_is_responsible_wherever_it_is():
    target = torch.tensor([[0.5, 0.5, 0.25, 0.25]])
    boxes = torch.tensor([[[0.9, 0.9, 0.5, 0.5], [0.6, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 0.5]]])
    chosen, overlap = choose_responsible(boxes, target, 1)
    assert (chosen.tolist(), overlap.tolist()) == ([2], [1.0])


def test_without_any_overlap_the_nearest_box_is_responsible():
    target = torch.tensor([[0.1, 0.1, 0.04, 0.04]])
    far, near = [0.9, 0.9, 0.2, 0.2], [0.4, 0.4, 0.2, 0.2]
    for boxes, expected in (([far, near], 1), ([near, far], 0)):
        chosen, overlap = choose_responsible(torch.tensor([boxes]), target, 1)
        assert (chosen.tolist(), overlap.tolist()) == ([expected], [0.0])


def test_of_equal_boxes_the_first_is_responsible():
    boxes = torch.tensor([[[0.5, 0.5, 0.5, 0.5]] * 3])
    assert choose_responsible(boxes, torch.tensor([[0.5, 0.5, 0.25, 0.25]]), 1)[0].tolist() == [0]


def test_overlaps_equal_those_of_corners():
    generator = torch.Generator().manual_seed(3)
    guess = torch.rand(200, 2, 4, generator=generator)
    target = torch.rand(200, 4, generator=generator) * 0.9 + 0.1
    chosen, overlap = choose_responsible(guess, target, 1)
    sizes = torch.cat([guess[..., :2], guess[..., 2:].square()], dim=2)
    pairs = zip(sizes, target, strict=True)
    expected = torch.stack([box_iou(corners(two), corners(row[None]))[:, 0] for two, row in pairs])
    best = expected.amax(dim=1)
    assert torch.allclose(overlap, best, atol=1e-6)
    seen = best > 0
    assert torch.equal(chosen[seen], expected.argmax(dim=1)[seen])


def corners(boxes):
    return torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], dim=1)


def make_case():
    """Numbers in double precision, 3 x 3 cells, no two boxes equally good."""
    generator = torch.Generator().manual_seed(1)
    output = torch.rand(2, 3, 3, 13, dtype=torch.float64, generator=generator)
    boxes = torch.rand(2, 3, 3, 4, dtype=torch.float64, generator=generator) * 0.8 + 0.1
    classes = torch.randint(NOTHING, 3, (2, 3, 3), generator=generator)
    return output.requires_grad_(), GridTruth(boxes, classes)


def test_every_gradient_equals_finite_differences():
    output, truth = make_case()
    assert torch.autograd.gradcheck(lambda x: yolo_loss(x, truth, 2, ONE).total, output)
    for name in ("centre", "size", "no_object", "classes"):
        assert torch.autograd.gradcheck(
            lambda x, n=name: getattr(yolo_loss(x, truth, 2), n), output
        )


def test_a_confidence_follows_the_overlap_and_not_the_other_way_round():
    output = OUTPUT.clone().requires_grad_()
    yolo_loss(output, TRUTH, 2).object.backward()
    expected = torch.zeros(12)
    expected[4] = 2 * (0.6 - OVERLAP)
    assert torch.allclose(output.grad.flatten(), expected)


def test_a_predictor_that_is_not_responsible_keeps_its_place():
    output = OUTPUT.clone().requires_grad_()
    yolo_loss(output, TRUTH, 2).total.backward()
    gradient = output.grad.flatten()
    assert gradient[5:9].tolist() == [0.0] * 4
    assert gradient[9] == pytest.approx(0.5 * 2 * 0.3)


def test_a_right_answer_costs_nothing():
    config = YoloConfig("small", classes=2, side=64, grid=2, boxes=1)
    truth = encode([torch.tensor([[8.0, 8.0, 24.0, 40.0]])], [torch.tensor([1])], config)
    output = torch.zeros(1, 2, 2, 7)
    output[0, 0, 0] = torch.tensor([0.5, 0.75, 0.5, 0.5**0.5, 1.0, 0.0, 1.0])
    assert float(yolo_loss(output, truth, 1).total) == pytest.approx(0, abs=1e-9)
    assert decode(output, config)[0][0, 0].tolist() == pytest.approx([8.0, 8.0, 24.0, 40.0])


def test_a_small_network_learns_the_squares_of_a_few_pictures():
    torch.manual_seed(0)
    config = YoloConfig("small", classes=2, side=96, grid=6)
    places = torch.tensor([[10.0, 14.0], [50.0, 20.0], [30.0, 60.0], [60.0, 58.0]])
    boxes = torch.cat([places, places + 26], dim=1)  # (4, 4), one in each picture
    classes = torch.tensor([0, 1, 0, 1])
    pictures = torch.zeros(4, 3, 96, 96)
    for picture, box, colour in zip(pictures, boxes.int().tolist(), classes, strict=True):
        picture[colour, box[1] : box[3], box[0] : box[2]] = 1  # red or green
    truth = encode(list(boxes.unsqueeze(1)), list(classes.unsqueeze(1)), config)
    network = Yolo(config)
    optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
    for _ in range(80):
        optimiser.zero_grad()
        yolo_loss(network(pictures), truth, config.boxes).total.backward()
        optimiser.step()
    with torch.inference_mode():
        answers = zip(*network.eval().predict(pictures), strict=True)
    for box, label, (candidates, scores) in zip(boxes, classes, answers, strict=True):
        best, _, kind = suppress(candidates, scores, Suppression(max_detections=1))
        assert kind == label
        assert box_iou(best, box.unsqueeze(0)).item() > 0.6
