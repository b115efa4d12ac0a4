"""Boxes to the cells of the grid and back."""

import torch
from hypothesis import given
from hypothesis import strategies as st

from workers.detect.yolo_config import YoloConfig
from workers.detect.yolo_grid import NOTHING, GridTruth, decode, encode

# 2 x 2 cells of 32 pixels, two boxes, three classes: 13 numbers in a cell
CONFIG = YoloConfig("small", classes=3, side=64, grid=2, boxes=2)


def encode_one(boxes, classes, config=CONFIG):
    return encode([torch.tensor(boxes).reshape(-1, 4)], [torch.tensor(classes).long()], config)


def test_an_object_is_in_the_cell_of_its_centre():
    # centre (40, 16): column 1, row 0; 8 pixels right of the cell's edge are a quarter of it
    truth = encode_one([[24.0, 8.0, 56.0, 24.0]], [2])
    assert truth.boxes.shape == (1, 2, 2, 4)
    assert truth.boxes[0, 0, 1].tolist() == [0.25, 0.5, 0.5, 0.25]
    assert truth.classes.tolist() == [[[NOTHING, 2], [NOTHING, NOTHING]]]
    assert truth.lost == 0


def test_of_two_objects_in_a_cell_the_first_stays_and_the_other_is_counted():
    small, large = [10.0, 10.0, 14.0, 14.0], [2.0, 2.0, 30.0, 30.0]
    for boxes in ([small, large], [large, small]):
        truth = encode_one([*boxes, [40.0, 40.0, 60.0, 60.0]], [0, 1, 2])
        width = (boxes[0][2] - boxes[0][0]) / 64
        assert truth.classes.tolist() == [[[0, NOTHING], [NOTHING, 2]]]
        assert truth.boxes[0, 0, 0, 2] == width
        assert truth.lost == 1


def test_a_centre_on_the_far_edge_is_in_the_last_cell():
    truth = encode_one([[63.0, 63.0, 65.0, 65.0]], [0])
    assert truth.classes[0, 1, 1] == 0
    assert truth.boxes[0, 1, 1, :2].tolist() == [1.0, 1.0]


def test_a_picture_without_objects_has_empty_cells():
    truth = encode([torch.empty(0, 4)] * 2, [torch.empty(0, dtype=torch.int64)] * 2, CONFIG)
    assert truth.boxes.shape == (2, 2, 2, 4)
    assert (truth.classes == NOTHING).all()


def test_truth_moves_to_a_device_as_a_whole():
    moved = encode_one([[0.0, 0.0, 8.0, 8.0]] * 2, [0, 1]).to(torch.device("meta"))
    assert (moved.boxes.device.type, moved.classes.device.type, moved.lost) == ("meta", "meta", 1)


def test_a_cell_worked_out_by_hand_gives_its_boxes_and_scores():
    output = torch.zeros(1, 2, 2, 13)
    # row 1, column 0: centre (0 + 0.5, 1 + 0.25) * 32 = (16, 40); 0.5^2 * 64 = 16 wide, 4 high
    output[0, 1, 0, :5] = torch.tensor([0.5, 0.25, 0.5, 0.25, 0.8])
    # the second box: a negative root counts as its square
    output[0, 1, 0, 5:10] = torch.tensor([0.5, 0.25, -0.5, -0.5, 0.4])
    output[0, 1, 0, 10:] = torch.tensor([0.5, 0.25, 0.0])
    boxes, scores = decode(output, CONFIG)
    assert boxes.shape == (1, 8, 4)
    assert boxes[0, 4].tolist() == [8.0, 38.0, 24.0, 42.0]
    assert boxes[0, 5].tolist() == [8.0, 32.0, 24.0, 48.0]
    expected = torch.tensor([[0.4, 0.2, 0.0], [0.2, 0.1, 0.0]])
    assert torch.allclose(scores[0, 4:6], expected)
    assert scores[0, :4].max() == 0


def test_two_negative_numbers_do_not_make_a_score():
    scores = decode(torch.full((1, 2, 2, 13), -2.0), CONFIG)[1]
    assert scores.max() == 0


def test_no_score_is_more_than_one():
    scores = decode(torch.full((1, 2, 2, 13), 3.0), CONFIG)[1]
    assert scores.max() == 1


@given(seed=st.integers(0, 2**31), grid=st.sampled_from([1, 3, 7]))
def test_what_is_encoded_is_decoded_again(seed, grid):
    config = YoloConfig("small", classes=4, side=grid * 32, grid=grid, boxes=1)
    generator = torch.Generator().manual_seed(seed)
    centre = torch.rand(12, 2, generator=generator) * config.side
    half = torch.rand(12, 2, generator=generator) * 40 + 1
    boxes = torch.cat([centre - half, centre + half], dim=1)
    classes = torch.randint(4, (12,), generator=generator)
    truth = encode([boxes], [classes], config)
    found, scores = decode(answer_perfectly(truth, 4), config)
    seen = scores[0].amax(dim=1) > 0
    assert seen.sum() == 12 - truth.lost
    for box, score in zip(found[0][seen], scores[0][seen], strict=True):
        row = (boxes - box).abs().sum(dim=1).argmin()
        assert torch.allclose(box, boxes[row], atol=1e-3)
        assert score.tolist() == [float(number == classes[row]) for number in range(4)]


def answer_perfectly(truth: GridTruth, classes: int):
    """The output (1, S, S, 5 + C), one box a cell, of a network that is always right."""
    occupied = truth.classes != NOTHING
    confidence = occupied.float().unsqueeze(-1)
    one_hot = (truth.classes.unsqueeze(-1) == torch.arange(classes)).float()
    roots = truth.boxes[..., 2:].sqrt()
    return torch.cat([truth.boxes[..., :2], roots, confidence, one_hot], dim=-1)
