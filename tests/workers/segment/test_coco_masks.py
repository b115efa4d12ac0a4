"""COCO's masks: drawn as COCO draws them, the smallest on top, whatever a file claims."""

import json
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from faster_coco_eval.core import mask as coco
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from tests.workers.segment.mask_files import FOLDERS, fill, make_picture, make_zip, read, without
from workers.runtime import coco_json
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment import coco_masks
from workers.segment.coco_masks import Annotation, RunLengths, draw_mask
from workers.segment.read_labelled import read_folder, read_zip
from workers.segment.rle import count_runs, pack_runs, to_coco

FILE = "annotations/instances_train2017.json"
WIDTH, HEIGHT = 12, 8
BIG = [0, 0, 8, 0, 8, 8, 0, 8]  # left two thirds
SMALL = [2, 2, 6, 2, 6, 6, 2, 6]

masks = st.tuples(st.integers(1, 12), st.integers(1, 12)).flatmap(
    lambda shape: arrays(np.bool_, shape)
)


def note(segmentation: object, category: int = 3, **changes: Any) -> dict[str, Any]:
    return {
        "id": 17,
        "image_id": 1,
        "category_id": category,
        "segmentation": segmentation,
        "iscrowd": 0,
        **changes,
    }


def make_coco(*annotations: dict[str, Any], **changes: Any) -> str:
    content = {
        "images": [
            {"id": 1, "file_name": "a.png", "width": WIDTH, "height": HEIGHT},
            {"id": 2, "file_name": "b.png", "width": WIDTH, "height": HEIGHT},
        ],
        "annotations": annotations,
        "categories": [{"id": 9, "name": "dog"}, {"id": 3, "name": "cat"}],
    }
    return json.dumps(content | changes)


def make_files(content: str) -> dict[str, bytes | str]:
    pictures = {f"train2017/{name}.png": make_picture(ord(name)) for name in "ab"}
    return {**pictures, FILE: content}


def show(folder, *annotations: dict[str, Any], **changes: Any) -> np.ndarray:
    """The mask of the first picture."""
    found = read(folder, make_files(make_coco(*annotations, **changes)))
    return found.pictures[0].open_mask(found.classes)


def test_classes_are_the_background_and_the_categories_in_the_order_of_their_ids(tmp_path):
    found = read(tmp_path, make_files(make_coco(note([SMALL], 9))))
    assert found.classes.names == ("background", "cat", "dog")
    assert [(one.path, one.part) for one in found.pictures] == [
        ("train2017/a.png", "train"),
        ("train2017/b.png", "train"),
    ]
    shown = found.pictures[0].open_mask(found.classes)
    assert (shown[2:6, 2:6] == 2).all()
    assert np.count_nonzero(shown) == 16
    assert not found.pictures[1].open_mask(found.classes).any()  # nobody annotated it


def test_a_category_called_background_is_the_background(tmp_path):
    named = [{"id": 0, "name": "background"}, {"id": 3, "name": "cat"}]
    found = read(tmp_path, make_files(make_coco(note([SMALL]), categories=named)))
    assert found.classes.names == ("background", "cat")
    assert found.count().tolist() == [2 * 96 - 16, 16]


@pytest.mark.parametrize("turned", [False, True], ids=["large first", "small first"])
def test_the_smaller_annotation_covers_the_larger(tmp_path, turned):
    both = [note([BIG], 3), note([SMALL], 9)]
    shown = show(tmp_path, *(both[::-1] if turned else both))
    assert (np.count_nonzero(shown == 1), np.count_nonzero(shown == 2)) == (48, 16)


def test_of_equally_large_annotations_the_later_is_seen(tmp_path):
    assert show(tmp_path, note([SMALL], 3), note([SMALL], 9))[3, 3] == 2


def test_crowds_are_void_but_where_an_annotation_covers_them(tmp_path):
    crowd = to_coco(np.ones((HEIGHT, WIDTH), bool))
    shown = show(tmp_path, note([BIG], 3), note(crowd, 3, iscrowd=1))
    assert (shown[:, :8] == 1).all()
    assert (shown[:, 8:] == 255).all()


@given(masks)
def test_run_lengths_give_the_mask_packed_or_plain(mask):
    size = mask.shape
    for counts in (pack_runs(count_runs(mask)), count_runs(mask).tolist()):
        annotation = Annotation(1, 3, RunLengths(size, counts))
        drawn = draw_mask(PurePosixPath("a.json"), size, [annotation], {3: 5})
        assert np.array_equal(drawn, mask * 5)


corner = st.floats(-20, 60, allow_nan=False)


@given(st.lists(st.lists(corner, min_size=6, max_size=16), min_size=1, max_size=3))
def test_polygons_are_drawn_as_coco_draws_them(polygons):
    even = [polygon[: len(polygon) // 2 * 2] for polygon in polygons]
    drawn = draw_mask(PurePosixPath("a.json"), (30, 40), [Annotation(1, 3, even)], {3: 1})
    wanted = coco.decode(coco.merge(coco.frPyObjects(even, 30, 40)))
    assert np.array_equal(drawn, wanted)


def refuse(folder, content: str) -> str:
    files = make_files(content)
    with pytest.raises((InvalidInput, TooLarge)) as refusal:
        read_folder(fill(folder, files), "coco")
    with pytest.raises((InvalidInput, TooLarge)), read_zip(make_zip(files), "coco"):
        pass
    return str(refusal.value)


def make_rle(counts: object, *size: int) -> dict[str, object]:
    return {"size": size or [HEIGHT, WIDTH], "counts": counts}


@pytest.mark.parametrize(
    ("segmentation", "reason"),
    [
        ([[*SMALL, 1]], "annotation '17': a polygon has an x without its y"),
        ([[1, 2, 3, 4]], "annotations.0.segmentation"),
        ([], "no annotation has a segmentation; boxes are not enough"),
        (None, "annotations.0.segmentation"),
        ([[1] * 8, *[1] * 9], "annotations.0.segmentation"),
        ([[[[1]]]], "annotations.0.segmentation"),
        ([[1, 2, 3, 4, 5, float("nan")]], "annotations.0.segmentation"),
        ([[1, 2, 3, 4, 5, 1e300]], "annotations.0.segmentation"),
        ([[0, 0, 1e6, 1e6, 0, 1e6]], "annotation '17': a polygon has more than 1000000 pixels"),
        (make_rle([96], 12, 8), "annotation '17' has run lengths of 8 x 12 pixels, its image has"),
        (make_rle([90]), "annotation '17': the run lengths do not cover the image exactly once"),
        (make_rle([90, 90]), "do not cover the image exactly once"),
        (make_rle([100, -4]), "annotations.0.segmentation"),
        (make_rle([10**30]), "annotations.0.segmentation"),
        (make_rle([]), "do not cover the image exactly once"),
        (make_rle(pack_runs(np.array([90]))), "do not cover the image exactly once"),
        (make_rle(pack_runs(np.array([0, 100, -4]))), "do not cover the image exactly once"),
        (make_rle(""), "annotation '17': The run lengths are not those that COCO packs"),
        (make_rle("PPP"), "annotation '17': The run lengths are not those that COCO packs"),
        (make_rle("\u6811"), "annotation '17': The run lengths are not those that COCO packs"),
        (make_rle("P" * 90 + "0"), "annotation '17': A run is longer than any picture"),
    ],
    ids=lambda given: given if isinstance(given, str) else json.dumps(given)[:40],
)
def test_a_segmentation_that_is_none_is_named(tmp_path, segmentation, reason):
    text = refuse(tmp_path, make_coco(note(segmentation)))
    assert FILE in text
    assert reason in text


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (make_coco(images=[{"id": 1, "file_name": "a.png"}]), "image '1' has no width and height"),
        (
            make_coco(images=[{"id": 1, "file_name": "a.png", "width": 5, "height": 4}]),
            "images.0 has 5 x 4 pixels, train2017/a.png has 12 x 8",
        ),
        (
            make_coco(images=[{"id": 1, "file_name": "a.png", "width": 10**6, "height": 10**6}]),
            "an image has 1000000 x 1000000 pixels, too many",
        ),
        (make_coco(images=[{"id": 1, "file_name": "c.png"}]), "the picture 'c.png' is missing"),
        (make_coco(note([SMALL], 4)), "there is no category '4'"),
        (make_coco(note([SMALL], image_id=5)), "an annotation is on image '5', which is missing"),
        (make_coco(categories=[{"id": 1, "name": " "}]), "the category '' is blank"),
        (make_coco(categories=[{"id": n, "name": "a"} for n in (1, 2)]), "there twice"),
        (
            make_coco(categories=[{"id": n, "name": str(n)} for n in range(255)]),
            "names 255 categories, more than 254",
        ),
        (
            '{"images": "annotations" "categories" "segmentation"' + "[" * 100_000,
            "is no COCO file",
        ),
        ('{"captions": []}', "There is no COCO file"),
    ],
    ids=[
        "no size",
        "another size",
        "huge",
        "no picture",
        "no category",
        "no image",
        "blank",
        "twice",
        "many",
        "deep",
        "captions",
    ],
)
def test_a_file_that_cannot_be_used_is_named(tmp_path, content, reason):
    assert reason in refuse(tmp_path, content)


@pytest.mark.parametrize(
    ("module", "limit", "most"),
    [
        (coco_json, "MAX_COMMAS", 9),
        (coco_masks, "MAX_STEPS", 500),
        (coco_masks, "MAX_PAINTED", 0.1),
    ],
    ids=["numbers", "steps", "paint"],
)
def test_what_would_take_too_long_is_refused(tmp_path, monkeypatch, module, limit, most):
    monkeypatch.setattr(module, limit, most)
    with pytest.raises(TooLarge, match=FILE):
        read_folder(fill(tmp_path, make_files(make_coco(note([SMALL])))))


def test_masks_as_files_count_unless_the_format_is_told(tmp_path):
    names = {f"images/{name}.png": make_picture(ord(name)) for name in "ab"}
    both = {**without(FOLDERS, "images/b.webp"), **names, "labels.json": make_coco(note([SMALL]))}
    assert read(tmp_path / "files", both).classes.names == ("0", "1", "2")
    told = read_folder(fill(tmp_path / "coco", both), "coco")
    assert told.classes.names == ("background", "cat", "dog")
