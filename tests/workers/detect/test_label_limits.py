"""Labels from outside take bounded memory and time, and no more room in an error than they need."""

import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import PurePosixPath

import pytest

from tests.workers.detect.labelled_files import (
    COCO,
    VOC,
    YOLO,
    fill,
    make_coco,
    make_object,
    make_picture,
    make_xml,
    make_zip,
    without,
)
from workers.detect import coco_format, labelled, voc_format, yolo_format
from workers.detect.coco_format import read_coco
from workers.detect.label_files import Files
from workers.detect.read_labelled import READERS, Format, read_folder, read_zip
from workers.detect.voc_format import read_voc
from workers.detect.yolo_format import read_yolo
from workers.runtime import coco_json
from workers.runtime.data_paths import find_picture, quote
from workers.runtime.run import InvalidInput, TooLarge

COCO_FILE = "annotations/instances_train2017.json"
MANY = 20_000  # pictures: were each compared with each, it would take minutes


@contextmanager
def within(seconds: float) -> Iterator[None]:
    start = time.process_time()
    yield
    assert time.process_time() - start < seconds


def in_memory(files: dict[str, str]) -> Files:
    def hold(content: str):
        return lambda most: content.encode()[: most + 1]

    return {PurePosixPath(path): hold(content) for path, content in files.items()}


@pytest.mark.parametrize(
    ("files", "name", "most"),
    [
        (VOC, "Annotations/a.xml", voc_format.MAX_BYTES),
        (VOC, "ImageSets/Main/val.txt", voc_format.MAX_BYTES),
        (COCO, "annotations/captions_train2017.json", coco_format.MAX_BYTES),
        (YOLO, "labels/train/a.txt", yolo_format.MAX_BYTES),
        (YOLO, "data.yaml", yolo_format.MAX_CONFIG_BYTES),
        (YOLO, "images/val/c.jpg", labelled.MAX_PICTURE),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_is_too_long_is_refused_by_its_name_before_it_is_unpacked(
    tmp_path, files, name, most
):
    content = make_zip(files | {name: bytes(most + 1)})
    tracemalloc.start()
    try:
        with pytest.raises(TooLarge, match=f"{name} has {most + 1} bytes"), read_zip(content):
            pass
        assert tracemalloc.get_traced_memory()[1] < 3_000_000
    finally:
        tracemalloc.stop()
    fill(tmp_path, files)
    with (tmp_path / name).open("wb") as sparse:
        sparse.truncate(most + 1)
    with pytest.raises(TooLarge, match=f"{name} has {most + 1} bytes"):
        read_folder(tmp_path)


@pytest.mark.parametrize("limit", ["MAX_OBJECTS", "MAX_IN_PICTURE"])
@pytest.mark.parametrize("files", [VOC, COCO, YOLO])
def test_more_objects_than_can_be_used_are_refused_while_labels_are_read(monkeypatch, files, limit):
    monkeypatch.setattr(labelled, limit, 1)  # there are two on a picture
    looked: list[int] = []
    refusal = pytest.raises(TooLarge, match="objects")
    with refusal, read_zip(make_zip(files), watch=lambda done, _: looked.append(done)):
        pass
    assert looked == []


def test_a_json_file_of_more_lists_than_fit_into_memory_is_refused_before_it_is_parsed(
    monkeypatch,
):
    monkeypatch.setattr(coco_json, "MAX_BRACKETS", 100)
    files = COCO | {COCO_FILE: make_coco(info=[[0]] * 100)}
    with (
        pytest.raises(TooLarge, match=rf"{COCO_FILE} holds more than 100"),
        read_zip(make_zip(files)),
    ):
        pass


@pytest.mark.parametrize("name", ["img", "folder-{}"])
def test_many_xml_files_find_their_pictures(name: str):
    xml = make_xml(make_object("cat", (1, 1, 9, 9)))
    files = {}
    for number in range(MANY // 4):
        stem = f"folder-{number}/{name.format(number)}"
        files |= {f"{stem}.xml": xml} | {f"{stem}.jpg": ""}
    with within(5):
        _, entries = read_voc(in_memory(files))
    assert all(entry.picture == entry.source.with_suffix(".jpg") for entry in entries)
    assert len(entries) == MANY // 4


@pytest.mark.parametrize("files_each", [1, MANY])
def test_many_coco_images_of_one_name_find_their_pictures(files_each: int):
    """One JSON for all, which names folders, or one in each folder."""
    pictures = {f"folder-{number}/img.jpg": "" for number in range(MANY // 4)}
    if files_each == 1:
        labels = {
            f"folder-{number}/l.json": make_coco(
                images=[{"id": 7, "file_name": "img.jpg"}], annotations=[]
            )
            for number in range(MANY // 4)
        }
    else:
        images = [{"id": place, "file_name": path} for place, path in enumerate(pictures)]
        labels = {"l.json": make_coco(images=images, annotations=[])}
    with within(5):
        _, entries = read_coco(in_memory(pictures | labels))
    assert {str(entry.picture) for entry in entries} == pictures.keys()


@pytest.mark.parametrize("line", ["img.jpg", "/x/folder-{}/img.jpg"])
def test_long_lists_of_one_name_find_their_pictures(line: str):
    pictures = {f"folder-{number}/img.jpg": "" for number in range(MANY)}
    lines = "\n".join(line.format(number) for number in range(MANY))
    with within(5):
        _, entries = read_yolo(in_memory(pictures | {"classes.txt": "cat", "train.txt": lines}))
    assert [entry.part for entry in entries] == ["train"] * MANY


@pytest.mark.parametrize("near", ["a/b/x.xml", "a/x.xml", "c/x.xml", "x.xml"])
def test_of_pictures_of_one_name_that_in_the_nearest_folder_is_meant(near: str):
    pictures = [PurePosixPath(path) for path in ("a/b/x.jpg", "a/c/d/x.jpg", "b/x.jpg", "c/x.jpg")]
    wanted = {"a/b/x.xml": "a/b/x.jpg", "c/x.xml": "c/x.jpg"}.get(near)
    if wanted is None:
        with pytest.raises(InvalidInput, match=r"may mean a/b/x\.jpg or a/c/d/x\.jpg"):
            find_picture(pictures, PurePosixPath(near))
    else:
        assert find_picture(pictures, PurePosixPath(near)) == PurePosixPath(wanted)


LONG = "\x1b[2J" + "x" * 100_000


@pytest.mark.parametrize(
    ("kind", "files"),
    [
        ("coco", COCO | {COCO_FILE: make_coco(images=[{"id": 7, "file_name": LONG}])}),
        ("coco", COCO | {COCO_FILE: make_coco(categories=[{"id": 3, "name": LONG}])}),
        ("coco", COCO | {COCO_FILE: make_coco(images=[{"id": LONG, "file_name": "a.jpg"}])}),
        ("voc", VOC | {"ImageSets/Main/val.txt": LONG.replace("x", "y")}),
        ("voc", VOC | {"Annotations/a.xml": f"<{LONG[4:]}/>"}),
        ("voc", VOC | {"Annotations/a.xml": make_xml(make_object(LONG[4:], (1, 1, 9, 9)))}),
        ("voc", VOC | {"Annotations/a.xml": make_xml(make_object("cat", (LONG[4:], 1, 9, 9)))}),
        ("yolo", YOLO | {"labels/train/a.txt": f"0 {LONG} 0 0 0"}),
        ("yolo", YOLO | {"labels/train/a.txt": f"{'9' * 4000} 0 0 0 0"}),
        ("yolo", YOLO | {"t.txt": LONG, "data.yaml": "names: [a, b]\ntrain: t.txt"}),
        ("yolo", without(YOLO, "data.yaml") | {"classes.txt": LONG}),
    ],
)
def test_what_a_file_says_is_shortened_and_escaped_in_errors(kind: Format, files):
    with pytest.raises(InvalidInput) as refusal, read_zip(make_zip(files), kind):
        pass
    assert len(str(refusal.value)) < 300
    assert str(refusal.value).isprintable()


def test_what_is_quoted_keeps_its_beginning():
    assert quote("cat") == "'cat'"
    assert quote("a\nb" + "x" * 100) == "'a\\nb" + "x" * 77 + "...'"


@pytest.mark.parametrize("kind", READERS)
def test_files_in_too_many_folders_are_refused(kind: Format):
    deep = {"x/" * 31 + "a.jpg": make_picture()}
    with (
        pytest.raises(InvalidInput, match="lies in more than 30 folders"),
        read_zip(make_zip(VOC | deep), kind),
    ):
        pass
