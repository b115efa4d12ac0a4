"""What is learned from, what only stops the training, and how fast it goes."""

import itertools
from dataclasses import replace

import pytest

from tests.workers.detect.coloured import make_pictures
from workers.detect.labelled import LabelledPictures, Labels
from workers.detect.train_options import Epoch, Progress, TrainOptions, schedule, split_parts
from workers.detect.yolo_config import YoloConfig

OPTIONS = TrainOptions(YoloConfig("small", 2, 64, 4), epochs=5, warm_up=0.5, validation=0.25)
PARTS = ("train", "val", "test")


def join(*parts: LabelledPictures) -> LabelledPictures:
    return replace(parts[0], pictures=tuple(one for part in parts for one in part.pictures))


def list_paths(data: LabelledPictures) -> set[str]:
    return {picture.path for picture in data.pictures}


def test_the_parts_of_the_data_count():
    learned, held, secret = (make_pictures(3, seed, part) for seed, part in enumerate(PARTS))
    for order in itertools.permutations([learned, held, secret]):
        first, second = split_parts(join(*order), OPTIONS)
        assert list_paths(first) == list_paths(learned)
        assert list_paths(second) == list_paths(held)


def test_without_a_part_for_it_some_pictures_are_held_back():
    data = join(make_pictures(8, 0, "train"), make_pictures(4, 1, "test"))
    learning, held = split_parts(data, OPTIONS)
    assert (len(learning.pictures), len(held.pictures)) == (6, 2)
    assert list_paths(learning) | list_paths(held) == list_paths(make_pictures(8, 0, "train"))
    again, _ = split_parts(data, OPTIONS)
    assert list_paths(again) == list_paths(learning)


def empty(data: LabelledPictures) -> LabelledPictures:
    """The same pictures, with nothing on them."""
    bare = (replace(one, labels=Labels.of([], [])) for one in data.pictures)
    return replace(data, pictures=tuple(bare))


def test_nothing_is_held_back_where_nothing_should_be_or_can_be():
    assert split_parts(make_pictures(8), replace(OPTIONS, validation=0.0))[1] is None
    assert split_parts(make_pictures(1), OPTIONS)[1] is None
    assert (
        split_parts(join(make_pictures(1), empty(make_pictures(8, 1, "train"))), OPTIONS)[1] is None
    )


def test_a_part_without_objects_is_refused():
    bare = empty(make_pictures(2, 0, "val"))
    with pytest.raises(ValueError, match="part val has no object to find"):
        split_parts(join(make_pictures(3, 1, "train"), bare), OPTIONS)
    with pytest.raises(ValueError, match="no object to learn"):
        split_parts(join(empty(make_pictures(3)), make_pictures(3, 1, "test")), OPTIONS)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("share", [0.01, 0.25])
def test_at_least_one_picture_with_objects_is_held_back(seed, share):
    shown, bare = make_pictures(2, 0), empty(make_pictures(30, 1, "train"))
    data = join(shown, bare)
    learning, held = split_parts(data, replace(OPTIONS, validation=share, seed=seed))
    assert len(list_paths(held) & list_paths(shown)) == 1
    assert list_paths(learning) | list_paths(held) == list_paths(data)
    assert len(learning.pictures) + len(held.pictures) == 32


def test_equal_pictures_are_never_on_both_sides():
    shown = make_pictures(2).pictures
    twins = tuple(replace(one, path=f"again {one.path}") for one in shown)
    data = replace(make_pictures(2), pictures=shown + twins)
    learning, held = split_parts(data, replace(OPTIONS, validation=0.01))
    assert {one.digest for one in learning.pictures} & {
        one.digest for one in held.pictures
    } == set()


def test_the_learning_rate_rises_in_a_line_and_falls_to_nothing():
    rates = [schedule(step, 6, OPTIONS) / OPTIONS.learning_rate for step in range(5 * 6 + 1)]
    assert rates[:3] == pytest.approx([1 / 3, 2 / 3, 1])
    assert all(a >= b for a, b in itertools.pairwise(rates[3:]))
    assert rates[3 + 13] > 0.5 > rates[3 + 14]  # half way, half as fast
    assert rates[-1] == pytest.approx(0)
    assert schedule(0, 6, replace(OPTIONS, warm_up=0.0)) == OPTIONS.learning_rate


def test_progress_tells_the_last_look():
    terms = {"centre": 1.0, "size": 0.5}
    looks = (Epoch(terms, 0.3), Epoch(terms, 0.0), Epoch(terms))
    progress = Progress(0.5, 4, 6, terms, looks)
    assert progress.mean_average_precision == 0
    assert progress.loss == looks[0].loss == 1.5
    assert Progress(0.5, 4, 6, terms, looks[2:]).mean_average_precision is None
