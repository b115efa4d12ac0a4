"""A mask as a COCO JSON: exact, and small enough, whatever the mask is."""

import json
from typing import Any

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.workers.segment.mask_files import fill, make_picture
from workers.runtime.run import TooLarge
from workers.segment import regions, shapes
from workers.segment.read_labelled import read_folder
from workers.segment.shapes import write_coco

NAMES = ("background", "cat", "dog", "cow")
FORMS: list[shapes.Form] = ["polygons", "rle"]

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.uint8, shape, elements=st.sampled_from([0, 1, 2, 255]))
)


def write(mask: np.ndarray, form: shapes.Form, classes: tuple[int, ...] = (0, 1, 2, 3)) -> Any:
    return json.loads(write_coco(mask, NAMES, classes, form))


def draw(annotation: Any, shape: tuple[int, int]) -> np.ndarray:
    """What COCO's own code shows."""
    given = annotation["segmentation"]
    if isinstance(given, list):
        given = coco.merge(coco.frPyObjects(given, *shape))
    return coco.decode(given).astype(bool)


@pytest.mark.parametrize("form", FORMS)
@given(masks)
def test_cocos_own_code_gives_the_mask_back(form, mask):
    written = write(mask, form)
    drawn = np.full(mask.shape, 255, np.uint8)
    for annotation in written["annotations"]:
        shown = draw(annotation, mask.shape)
        assert (drawn[shown] == 255).all()
        drawn[shown] = annotation["category_id"]
        assert annotation["area"] == shown.sum()
        encoded = coco.encode(np.asfortranarray(shown, np.uint8))
        assert annotation["bbox"] == coco.toBbox(encoded).tolist()
    assert np.array_equal(drawn, mask)


@pytest.mark.parametrize("form", FORMS)
def test_what_is_written_can_be_learned_from(tmp_path, form):
    mask = np.zeros((8, 12), np.uint8)
    mask[1:7, 1:6], mask[2:4, 2:4], mask[5:, 8:] = 1, 2, 3
    content = write_coco(mask, NAMES, (0, 1, 2, 3), form)
    files = {"picture.png": make_picture(), "shapes.json": content}
    found = read_folder(fill(tmp_path, files), "coco")
    assert found.classes.names == NAMES
    assert np.array_equal(found.pictures[0].open_mask(found.classes), mask)


def test_it_tells_of_the_picture_and_its_categories():
    written = write(np.array([[1, 1, 2]], np.uint8), "polygons")
    assert written["images"] == [{"id": 1, "file_name": "picture.png", "width": 3, "height": 1}]
    assert written["categories"] == [
        {"id": place, "name": name} for place, name in enumerate(NAMES)
    ]
    assert written["annotations"] == [
        {
            "id": 1,
            "image_id": 1,
            "category_id": 1,
            "segmentation": [[0, 0, 2, 0, 2, 1, 0, 1]],
            "bbox": [0, 0, 2, 1],
            "area": 2,
            "iscrowd": 0,
        },
        {
            "id": 2,
            "image_id": 1,
            "category_id": 2,
            "segmentation": [[2, 0, 3, 0, 3, 1, 2, 1]],
            "bbox": [2, 0, 1, 1],
            "area": 1,
            "iscrowd": 0,
        },
    ]
    assert written["info"]["regions_left_out"] == written["info"]["pixels_left_out"] == 0


@pytest.mark.parametrize("form", FORMS)
def test_only_the_classes_that_are_wanted_are_written(form):
    written = write(np.array([[0, 1, 2, 255]], np.uint8), form, (2, 3))
    assert [one["category_id"] for one in written["annotations"]] == [2]
    assert [one["name"] for one in written["categories"]] == ["dog", "cow"]
    empty = write(np.full((2, 2), 255, np.uint8), form)
    assert empty["annotations"] == []


def test_the_smallest_regions_are_left_out_and_counted(monkeypatch):
    monkeypatch.setattr(shapes, "MAX_POLYGONS", 2)
    written = write(np.array([[1, 2, 2, 3, 1, 1, 1]], np.uint8), "polygons")
    assert [one["area"] for one in written["annotations"]] == [2, 3]
    assert written["info"]["regions_left_out"] == 2
    assert written["info"]["pixels_left_out"] == 2


def test_so_they_are_where_outlines_are_long(monkeypatch):
    monkeypatch.setattr(shapes, "MAX_CORNERS", 8)
    mask = np.array([[1, 2, 2, 3, 1, 1, 1]], np.uint8)
    assert [one["area"] for one in write(mask, "polygons")["annotations"]] == [2, 3]
    monkeypatch.setattr(shapes, "MAX_CORNERS", 3)
    with pytest.raises(TooLarge, match="ask for run lengths"):
        write(mask, "polygons")


def test_of_noise_the_longest_runs_are_left(monkeypatch):
    monkeypatch.setattr(shapes, "MAX_RUNS", 2)
    written = write(np.array([[1, 2, 2, 3, 1, 1, 1]], np.uint8), "polygons")
    assert [one["area"] for one in written["annotations"]] == [2, 3]
    assert written["info"]["pixels_left_out"] == 2
    assert written["info"]["runs_left_out"] == 2
    assert "regions_left_out" not in written["info"]  # nobody knows which they were of


@pytest.mark.parametrize("band", [1, 4, 100], ids="bands of {} pixels".format)
def test_of_runs_as_long_the_first_are_left(band, monkeypatch):
    monkeypatch.setattr(regions, "BAND", band)
    monkeypatch.setattr(shapes, "MAX_RUNS", 3)
    written = write(np.array([[1, 1]] * 5 + [[2, 1]], np.uint8), "polygons")
    assert [one["bbox"] for one in written["annotations"]] == [[0, 0, 2, 3]]
    assert (written["info"]["pixels_left_out"], written["info"]["runs_left_out"]) == (6, 4)


@given(arrays(np.uint8, (6, 8), elements=st.sampled_from([0, 1, 2])), st.integers(1, 50))
def test_as_many_runs_as_may_be_are_kept_and_no_longer_one_is_left_out(mask, most):
    every = regions.find_runs(mask, np.array([1, 2]), 100)
    kept = regions.find_runs(mask, np.array([1, 2]), most)
    assert len(kept) == min(most, len(every))
    lengths = np.sort(every.stops - every.starts)[len(every) - len(kept) :]
    assert np.sort(kept.stops - kept.starts).tolist() == lengths.tolist()


@pytest.mark.parametrize("form", FORMS)
def test_the_watcher_sees_how_far_it_is_and_may_stop(form):
    seen: list[float] = []
    mask = np.arange(12, dtype=np.uint8).reshape(3, 4) % 3
    write_coco(mask, NAMES, (0, 1, 2), form, seen.append)
    assert seen == sorted(seen)
    assert 0 <= seen[0] <= seen[-1] <= 1

    def stop(_: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        write_coco(mask, NAMES, (0, 1, 2), form, stop)
