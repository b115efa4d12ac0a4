"""The four measures: against scikit-learn, by hand, and where they are not defined."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import accuracy_score, confusion_matrix, jaccard_score, recall_score

from workers.segment import metrics
from workers.segment.metrics import VOID, count_pixels, measure

NAMES = ("sky", "road", "car", "tree", "bus")


def draw_masks(seed: int, size: tuple[int, ...] = (2, 20, 30)) -> tuple[torch.Tensor, torch.Tensor]:
    chance = torch.Generator().manual_seed(seed)
    truth, found = (torch.randint(0, 5, size, generator=chance) for _ in range(2))
    truth[torch.rand(size, generator=chance) < 0.2] = VOID
    return truth.to(torch.uint8), found.to(torch.uint8)


@given(st.integers(0, 2**31))
def test_pixels_are_counted_as_scikit_learn_does(seed):
    truth, found = draw_masks(seed)
    known = truth != VOID
    expected = confusion_matrix(truth[known], found[known], labels=range(5))
    assert count_pixels(truth, found, 5).tolist() == expected.tolist()


def test_measures_equal_scikit_learns():
    truth, found = draw_masks(0)
    score = measure(count_pixels(truth, found, 5), NAMES)
    known = truth != VOID
    pair = truth[known].numpy(), found[known].numpy()
    assert score.pixel_accuracy == pytest.approx(accuracy_score(*pair))
    assert score.mean_accuracy == pytest.approx(recall_score(*pair, average="macro"))
    assert score.mean_iou == pytest.approx(jaccard_score(*pair, average="macro"))
    weighted = jaccard_score(*pair, average="weighted")
    assert score.frequency_weighted_iou == pytest.approx(weighted)
    ious = jaccard_score(*pair, average=None).tolist()
    assert [one.iou for one in score.classes] == pytest.approx(ious)


def test_measures_by_hand():
    # of 4 pixels of sky 3 are found; 1 of road is, and another one is taken for it
    score = measure(torch.tensor([[3, 1], [0, 1]]), ("sky", "road"))
    assert score.pixel_accuracy == pytest.approx(4 / 5)
    assert score.mean_accuracy == pytest.approx((3 / 4 + 1) / 2)
    assert score.mean_iou == pytest.approx((3 / 4 + 1 / 2) / 2)
    assert score.frequency_weighted_iou == pytest.approx((4 * 3 / 4 + 1 * 1 / 2) / 5)


def test_classes_that_do_not_occur_are_left_out_unless_they_were_found():
    # the bus does not occur, but one pixel of sky was taken for it; nothing is a car
    confusion = torch.tensor([[8, 0, 0, 1], [0, 1, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    score = measure(confusion, ("sky", "road", "car", "bus"))
    assert [one.accuracy for one in score.classes] == [pytest.approx(8 / 9), 1, None, None]
    assert [one.iou for one in score.classes] == [pytest.approx(8 / 9), 1, None, 0]
    assert score.mean_accuracy == pytest.approx((8 / 9 + 1) / 2)
    assert score.mean_iou == pytest.approx((8 / 9 + 1 + 0) / 3)
    assert [one.pixels for one in score.classes] == [9, 1, 0, 0]


def test_masks_of_void_alone_score_nothing():
    void = torch.full((4, 4), VOID)
    confusion = count_pixels(void, torch.zeros(4, 4), 2)
    assert not confusion.any()
    score = measure(confusion, ("sky", "road"))
    assert (score.pixel_accuracy, score.mean_iou, score.frequency_weighted_iou) == (0, 0, 0)


def test_counts_of_several_pictures_add_up():
    truth, found = draw_masks(3)
    parts = [count_pixels(*pair, 5) for pair in zip(truth, found, strict=True)]
    assert torch.equal(sum(parts), count_pixels(truth, found, 5))


def test_large_masks_are_counted_in_pieces(monkeypatch):
    truth, found = draw_masks(4)
    whole = count_pixels(truth, found, 5)
    monkeypatch.setattr(metrics, "CHUNK", 7)  # pixels: the last piece is shorter
    assert torch.equal(count_pixels(truth, found, 5), whole)
