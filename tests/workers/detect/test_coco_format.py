"""Labels as COCO writes them, and what is wrong with them in practice."""

import pytest

from tests.workers.detect.labelled_files import COCO, boxes, make_coco, make_picture, read, without
from workers.runtime.run import InvalidInput

FILE = "annotations/instances_train2017.json"


def test_coco_boxes_become_edges_and_ids_places(tmp_path):
    found = read(tmp_path, COCO)
    assert found.names == ("cat", "dog")  # by id, not as listed
    assert boxes(found, 0) == [[10, 20, 40, 60], [0, 0, 5, 5.5]]
    assert found.pictures[0].labels.classes.tolist() == [0, 1]
    assert found.pictures[0].labels.crowd.tolist() == [False, True]
    assert not found.pictures[0].labels.difficult.any()
    assert boxes(found, 1) == []
    assert found.parts() == ("train",)


def test_parts_are_read_from_names_of_files_or_folders(tmp_path):
    one = [{"id": 1, "file_name": "a.jpg"}]
    exported = {
        "train/_annotations.coco.json": make_coco(images=one, annotations=[]),
        "train/a.jpg": make_picture(1),
        "valid/_annotations.coco.json": make_coco(images=one, annotations=[]),
        "valid/a.jpg": make_picture(2),
    }
    found = read(tmp_path / "folders", exported)
    assert [(one.path, one.part) for one in found.pictures] == [
        ("train/a.jpg", "train"),
        ("valid/a.jpg", "val"),
    ]
    named = {
        "annotations/instances_train2017.json": make_coco(images=one, annotations=[]),
        "annotations/instances_val2017.json": make_coco(images=one, annotations=[]),
        "train2017/a.jpg": make_picture(1),
        "val2017/a.jpg": make_picture(2),
    }
    found = read(tmp_path / "names", named)
    assert [one.part for one in found.pictures] == ["train", "val"]


def test_a_file_name_may_have_folders(tmp_path):
    images = [{"id": 7, "file_name": "x/a.jpg"}]
    files = {"l.json": make_coco(images=images), "x/a.jpg": make_picture(), "y/a.jpg": b"broken"}
    assert [one.path for one in read(tmp_path, files).pictures] == ["x/a.jpg"]


def test_a_file_with_classes_that_the_first_does_not_have_is_refused(tmp_path):
    bird = make_coco(images=[], annotations=[], categories=[{"id": 1, "name": "bird"}])
    with pytest.raises(InvalidInput, match=r"z\.json: the class 'bird' is unknown"):
        read(tmp_path, COCO | {"z.json": bird})


def box(**changes: object) -> list[dict[str, object]]:
    return [{"image_id": 7, "category_id": 3, "bbox": [10, 20, 30, 40]} | changes]


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ('{"images": [], "annotations": [], "categories": [', "is no COCO file"),
        (make_coco(images=3), "images Input should be a valid"),
        (make_coco(annotations=box(bbox=[1, 2, 3])), r"annotations\.0\.bbox"),
        (make_coco(annotations=box(bbox=[1, 2, 3, "x"])), r"annotations\.0\.bbox\.3"),
        (make_coco(annotations=box(bbox=[1, 2, 3, float("inf")])), r"annotations\.0\.bbox\.3"),
        (make_coco(annotations=box(bbox=[1, 2, 3, float("nan")])), r"annotations\.0\.bbox\.3"),
        (make_coco(annotations=box(bbox=[1, 2, 1e30, 3])), r"annotations\.0\.bbox\.2"),
        (make_coco(annotations=box(bbox=[50, 20, -30, 4])), "a box ends before it begins"),
        (make_coco(annotations=box(category_id=4)), "there is no category '4'"),
        (make_coco(annotations=box(image_id=4)), "an annotation is on image '4', which is missing"),
        (make_coco(categories=[]), "names no classes"),
        (make_coco(categories=[{"id": 3, "name": " "}]), "' ' is blank or there twice"),
        (
            make_coco(categories=[{"id": 3, "name": "cat"}, {"id": 4, "name": "cat"}]),
            "'cat' is blank or there twice",
        ),
        (make_coco(categories=[{"id": 3, "name": "a"}] * 2), "two of the categories have one id"),
        (make_coco(images=[{"id": 7, "file_name": "a.jpg"}] * 2), "two of the images have one id"),
        (
            make_coco(images=[{"id": one, "file_name": "a.jpg"} for one in (7, 8)]),
            r"train2017/a\.jpg is labelled twice",
        ),
        (make_coco(images=[{"id": 7, "file_name": "z.jpg"}]), r"the picture 'z\.jpg' is missing"),
        (make_coco(images=[{"id": 7, "file_name": "."}]), "the picture '.' is missing"),
        (
            make_coco(images=[{"id": 7, "file_name": "a.jpg", "width": 8, "height": 8}]),
            r"tells of 8 x 8 pixels, train2017/a\.jpg has 100 x 80",
        ),
        ('{"images": "annotations" "categories"' + "[" * 100_000, "is no COCO file"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, content, complaint):
    with pytest.raises(InvalidInput, match=rf"{FILE}.*{complaint}"):
        read(tmp_path, COCO | {FILE: content})


def test_two_pictures_that_may_be_meant_are_refused(tmp_path):
    files = {
        "l.json": make_coco(images=[{"id": 7, "file_name": "a.jpg"}]),
        "x/a.jpg": make_picture(1),
        "y/a.jpg": make_picture(2),
    }
    with pytest.raises(InvalidInput, match=r"l\.json: it may mean x/a\.jpg or y/a\.jpg"):
        read(tmp_path, files)


def test_other_json_files_are_no_labels(tmp_path):
    with pytest.raises(InvalidInput, match="There are no labels"):
        read(tmp_path, without(COCO, FILE))
    with pytest.raises(InvalidInput, match="no COCO file with images"):
        read(tmp_path, without(COCO, FILE), kind="coco")
