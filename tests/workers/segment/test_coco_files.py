"""Several JSON files as COCO is published: which are read, and what they say together."""

import json
import time
from typing import Any

import numpy as np
import pytest

from tests.workers.segment.mask_files import SIZE, Contents, fill, make_picture, read
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment import coco_masks
from workers.segment.read_labelled import read_folder

WIDTH, HEIGHT = SIZE
TRAIN, VAL = (f"annotations/instances_{part}2017.json" for part in ("train", "val"))
PICTURES: Contents = {
    "train2017/a.png": make_picture(1),
    "train2017/b.png": make_picture(2),
    "val2017/c.png": make_picture(3),
}
CAT, DOG = {"id": 3, "name": "cat"}, {"id": 9, "name": "dog"}
SQUARE = [[2, 2, 6, 2, 6, 6, 2, 6]]


def tell(
    *names: str, segmentation: Any = SQUARE, categories: Any = (CAT,), category: int = 3
) -> str:
    """A JSON of these pictures, with an annotation on each; without a segmentation if None."""
    size = {"width": WIDTH, "height": HEIGHT}
    drawn = {} if segmentation is None else {"segmentation": segmentation}
    notes = [
        {"id": 70 + n, "image_id": n, "category_id": category, **drawn} for n in range(len(names))
    ]
    images = [{"id": n, "file_name": f"{name}.png", **size} for n, name in enumerate(names)]
    return json.dumps({"images": images, "annotations": notes, "categories": categories})


def refuse(folder, files: Contents) -> str:
    with pytest.raises((InvalidInput, TooLarge)) as refusal:
        read_folder(fill(folder, PICTURES | files), "coco")
    return str(refusal.value)


def test_the_classes_are_the_categories_of_all_files(tmp_path):
    files = {TRAIN: tell("a", "b"), VAL: tell("c", categories=[{**DOG, "id": 3}, {**CAT, "id": 4}])}
    found = read(tmp_path, PICTURES | files)
    assert found.classes.names == ("background", "cat", "dog")
    assert found.parts() == ("train", "val")
    shown = [one.open_mask(found.classes)[3, 3] for one in found.pictures]
    assert shown == [1, 1, 2]  # by the names: id 3 is the cat in one file, the dog in the other


def test_categories_of_all_files_must_fit_into_a_mask(tmp_path):
    one, other = (
        [{"id": 3, "name": f"{letter}-first"}]
        + [{"id": n, "name": f"{letter}{n}"} for n in range(10, 140)]
        for letter in "xy"
    )
    text = refuse(tmp_path, {TRAIN: tell("a", categories=one), VAL: tell("c", categories=other)})
    assert f"{VAL} and the COCO files before it name 262 categories, more than 254" in text


@pytest.mark.parametrize("name", ["background", "Background", " BACKGROUND"])
def test_a_category_called_background_is_the_background(tmp_path, name):
    named = [{"id": 0, "name": name}, CAT]
    found = read(tmp_path, PICTURES | {TRAIN: tell("a", categories=named)})
    assert found.classes.names == ("background", "cat")
    everything = [{"id": 0, "name": name}, DOG]
    with_rest = {TRAIN: tell("a", categories=everything, category=0), VAL: tell("c")}
    found = read(tmp_path / "rest", PICTURES | with_rest)
    assert found.classes.names == ("background", "dog", "cat")
    assert not found.pictures[0].open_mask(found.classes).any()


@pytest.mark.parametrize("names", [map(str, range(100_000)), ["same"] * 100_000])
def test_a_hundred_thousand_categories_are_refused_at_once(tmp_path, names):
    categories = [{"id": number, "name": name} for number, name in enumerate(names)]
    start = time.process_time()
    assert "names 100000 categories" in refuse(tmp_path, {TRAIN: tell("a", categories=categories)})
    assert time.process_time() - start < 3


CAPTIONS = json.dumps(
    {"images": [], "categories": [], "annotations": [{"id": 1, "image_id": 1, "caption": "a"}]}
)


@pytest.mark.parametrize(
    "others",
    [
        {"annotations/captions_train2017.json": CAPTIONS},
        {"annotations/a_captions.json": " " * 3000},
        {"annotations/captions_train2017.json": " " * 3000},
        {"boxes.json": tell("a", segmentation=None)},
    ],
    ids=["captions", "large", "large and of the part", "boxes"],
)
def test_files_that_tell_of_no_masks_are_left_out(tmp_path, monkeypatch, others):
    monkeypatch.setattr(coco_masks, "MAX_BYTES", 2000)
    whole = {TRAIN: tell("a", "b"), "note.json": tell("c"), **others}
    found = read(tmp_path, PICTURES | whole)
    assert len(found.pictures) == 3


@pytest.mark.parametrize("files", [{}, {VAL: tell("c")}])
def test_a_file_that_is_too_large_is_named_if_no_other_has_its_part(tmp_path, monkeypatch, files):
    monkeypatch.setattr(coco_masks, "MAX_BYTES", 2000)
    large = {TRAIN: tell("a", "b") + " " * 2000}
    assert f"{TRAIN} has " in refuse(tmp_path, large | files)
    with pytest.raises(TooLarge, match="bytes, more than 2000"):
        read_folder(tmp_path)


def test_of_two_files_on_the_same_pictures_both_are_named(tmp_path):
    points = "annotations/person_keypoints_train2017.json"
    text = refuse(tmp_path, {TRAIN: tell("a", "b"), points: tell("b")})
    assert text == (
        f"{points} tells of train2017/b.png, and {TRAIN} does too: leave {points} out, or else "
        f"{TRAIN}."
    )


def test_an_annotation_that_nobody_drew_is_left_out(tmp_path):
    content = json.loads(tell("a", "b"))
    content["annotations"][0]["segmentation"] = []
    found = read(tmp_path, PICTURES | {TRAIN: json.dumps(content)})
    shown = [np.count_nonzero(one.open_mask(found.classes)) for one in found.pictures]
    assert shown == [0, 16]


def test_a_file_without_annotations_has_pictures_of_the_background(tmp_path):
    nothing = json.dumps(json.loads(tell("c")) | {"annotations": []}, indent=1)
    found = read(tmp_path, PICTURES | {TRAIN: tell("a", "b"), VAL: nothing})
    assert found.parts() == ("train", "val")
    assert not found.pictures[2].open_mask(found.classes).any()
