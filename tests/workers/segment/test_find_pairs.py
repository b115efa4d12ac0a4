"""Which mask belongs to which picture, whatever the folders and files are called."""

import json
import time
from pathlib import PurePosixPath

import pytest

from tests.workers.segment.mask_files import (
    FOLDERS,
    SIZE,
    Contents,
    fill,
    make_mask,
    make_picture,
    read,
    without,
)
from workers.runtime.run import InvalidInput
from workers.segment.fields import Format
from workers.segment.find_pairs import find_layout, find_pairs
from workers.segment.read_labelled import read_folder

COCO = json.dumps(
    {
        "images": [{"id": 1, "file_name": "a.png", "width": SIZE[0], "height": SIZE[1]}],
        "annotations": [
            {"id": 2, "image_id": 1, "category_id": 3, "segmentation": [[0, 0, 4, 0, 4, 4]]}
        ],
        "categories": [{"id": 3, "name": "roof"}],
    }
)


def refuse(folder, files: Contents, kind: Format | None = None) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read_folder(fill(folder, files), kind)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("picture", "mask"),
    [
        ("roof-segmentation/images/a.png", "roof-segmentation/masks/a.png"),
        ("set/annotations/images/a.png", "set/annotations/masks/a.png"),
        ("images/a.png", "images/masks/a.png"),
        ("images/b.png", "masks/b_mask.png"),
        ("images/b.png", "masks/b-masks.png"),
        ("roofs/b.jpg", "roofs/b_mask.png"),
        ("images/b.png", "images/b-mask.png"),
        ("images/gas_mask.png", "masks/gas_mask.png"),
    ],
)
def test_the_deepest_folder_tells_masks_from_pictures_or_else_their_names_do(
    tmp_path, picture, mask
):
    kind = "PNG" if picture.endswith("png") else "JPEG"
    found = read(tmp_path, {picture: make_picture(1, kind=kind), mask: make_mask(0, 1)})
    assert [one.path for one in found.pictures] == [picture]
    assert found.pictures[0].read_mask() == make_mask(0, 1)
    assert found.without_mask == 0


def test_a_picture_of_a_mask_is_a_picture_where_a_folder_has_the_masks(tmp_path):
    files = {"images/gas.png": make_picture(1), "images/gas_mask.png": make_picture(2)}
    found = read(tmp_path, {**files, "masks/gas.png": make_mask(0, 1)})
    assert [one.path for one in found.pictures] == ["images/gas.png"]
    assert found.without_mask == 1


@pytest.mark.parametrize(
    ("files", "picture"),
    [
        (without(FOLDERS, "images/a.png"), "images/a"),
        ({"x.png": make_picture(), "train_masks/a.png": make_mask(0)}, "train/a"),
        ({"x.png": make_picture(), "trainannot/masks/a.png": make_mask(0)}, "trainannot/images/a"),
    ],
)
def test_a_mask_without_a_picture_tells_where_that_would_be(tmp_path, files, picture):
    assert f"masks/a.png: there is no picture {picture}." in refuse(tmp_path, files)
    found = read(tmp_path / "there", {**files, f"{picture}.png": make_picture(9)})
    assert f"{picture}.png" in [one.path for one in found.pictures]


@pytest.mark.parametrize(
    ("kind", "missing"),
    [("voc", "SegmentationClass"), ("lists", "train_pairs.txt"), ("coco", "There is no COCO file")],
)
def test_a_format_that_the_files_are_not_laid_out_as_is_told(tmp_path, kind, missing):
    assert missing in refuse(tmp_path, FOLDERS, kind)


def test_folders_that_are_none_are_told(tmp_path):
    files = {"masks/a.png": make_mask(0)}
    assert "laid out as folders: pictures in `images`" in refuse(tmp_path, files, "folders")


@pytest.mark.parametrize(
    ("picture", "labels"),
    [
        ("roof_segmentation/train/a.png", "roof_segmentation/train/_annotations.coco.json"),
        ("labels/a.png", "labels/labels.json"),
        ("photos/gas_mask.png", "labels.json"),
    ],
)
def test_pictures_of_a_json_may_lie_in_folders_called_after_masks(tmp_path, picture, labels):
    content = COCO.replace("a.png", PurePosixPath(picture).name)
    files = {picture: make_picture(), labels: content}
    beside = PurePosixPath(picture).with_name("b")  # two pictures that nobody annotated
    for number, others in enumerate(({}, {f"{beside}{end}": b"" for end in (".png", ".jpg")})):
        found = read(tmp_path / str(number), files | others)
        assert found.classes.names == ("background", "roof")
        assert [one.path for one in found.pictures] == [picture]


def test_many_files_in_deep_folders_are_paired_in_seconds():
    folders = "/".join(f"site-{number}-of-some-region" for number in range(8))
    kinds = "images", "masks"
    names = [f"{folders}/{number}/{kind}/a.png" for number in range(10_000) for kind in kinds]
    files = {PurePosixPath(name): bytes for name in names}
    start = time.process_time()
    assert find_layout(files) == "folders"
    assert len(find_pairs("folders", files)) == 10_000
    assert time.process_time() - start < 10
