"""Data sets of labelled pictures: what is checked, how they are shared out, when they are equal."""

import zipfile
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.detect.labelled_files import (
    COCO,
    VOC,
    YOLO,
    boxes,
    fill,
    make_object,
    make_picture,
    make_xml,
    make_zip,
    read,
    without,
)
from workers.detect import labelled, read_labelled
from workers.detect.labelled import LabelledPictures
from workers.detect.read_labelled import read_folder, read_zip
from workers.runtime.run import InvalidInput, TooLarge


@pytest.mark.parametrize(
    ("files", "paths"),
    [
        (VOC, ["JPEGImages/a.jpg", "JPEGImages/b.jpg", "JPEGImages/c.jpg"]),
        (COCO, ["train2017/a.jpg", "train2017/b.jpg"]),
        (YOLO, ["images/train/a.jpg", "images/train/b.jpg", "images/val/c.jpg"]),
    ],
)
def test_the_format_is_found_by_the_files(tmp_path, files, paths):
    found = read(tmp_path, files)
    assert [picture.path for picture in found.pictures] == paths
    assert found.names == ("cat", "dog")


def test_of_several_formats_one_must_be_said(tmp_path):
    both = COCO | {"train2017/a.xml": make_xml(make_object("bird", (1, 1, 9, 9)))}
    with pytest.raises(InvalidInput, match=r"several formats: .*\['voc', 'coco'\]"):
        read(tmp_path, both)
    assert read(tmp_path, both, kind="coco").names == ("cat", "dog")
    assert read(tmp_path, both, kind="voc").names == ("bird",)


def test_hidden_files_are_not_looked_at(tmp_path):
    hidden = {"__MACOSX/Annotations/._a.xml": "x", ".git/config.xml": "x", ".DS_Store": "x"}
    assert read(tmp_path, VOC | hidden).count() == {"cat": 2, "dog": 1}


def test_boxes_are_clipped_at_the_border_and_dropped_beyond_it(tmp_path):
    xml = make_xml(
        make_object("cat", (-10, 70, 50, 300)),
        make_object("cat", (101, 10, 120, 20)),  # begins where the picture ends
        make_object("cat", (1, 200, 50, 300)),
    )
    found = read(tmp_path, VOC | {"Annotations/a.xml": xml})
    assert boxes(found, 0) == [[0, 69, 50, 80]]
    assert found.empty == 2


def test_a_label_that_is_there_twice_counts_once(tmp_path):
    same = make_object("cat", (11, 21, 40, 60))
    xml = make_xml(make_object("dog", (11, 21, 40, 60)), same, make_object("cat", (1, 1, 9, 9)))
    twice = xml.replace("</annotation>", f"{same}</annotation>")
    found = read(tmp_path, VOC | {"Annotations/a.xml": twice})
    assert found.repeated == 1
    assert found.pictures[0].labels.classes.tolist() == [1, 0, 0]  # in their order


def test_boxes_lie_on_the_upright_picture(tmp_path):
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned by a quarter
    Image.new("RGB", (100, 80)).save(file, "JPEG", exif=exif)
    upright = make_xml(make_object("cat", (1, 1, 80, 100)), size=(80, 100))
    turned = VOC | {"JPEGImages/a.jpg": file.getvalue(), "Annotations/a.xml": upright}
    found = read(tmp_path, turned).pictures[0]
    assert (found.width, found.height) == (80, 100)
    assert found.labels.boxes.tolist() == [[0, 0, 80, 100]]
    with pytest.raises(InvalidInput, match=r"tells of 100 x 80 pixels, .* has 80 x 100"):
        read(tmp_path, turned | {"Annotations/a.xml": make_xml()})


def test_a_part_that_is_not_there_is_refused(tmp_path):
    found = read(tmp_path, VOC)
    assert [one.path for one in found.part("val").pictures] == ["JPEGImages/c.jpg"]
    with pytest.raises(ValueError, match="No picture is in part 'test'; the parts: train, val"):
        found.part("test")


def make_many(folder, shades: list[int]) -> LabelledPictures:
    files = {"classes.txt": "cat\n"}
    for place, shade in enumerate(shades):
        files[f"{place:03}.png"] = make_picture(shade, (8, 8), "PNG")
        files[f"{place:03}.txt"] = "0 0.5 0.5 0.5 0.5"
    return read_folder(fill(folder, files))


def test_a_split_by_share_covers_everything_once_and_repeats_itself(tmp_path):
    whole = make_many(tmp_path, list(range(40)))
    rest, taken = whole.split(0.25, seed=3)
    assert (len(rest.pictures), len(taken.pictures)) == (30, 10)
    paths = {one.path for one in rest.pictures} | {one.path for one in taken.pictures}
    assert paths == {one.path for one in whole.pictures}
    again = whole.split(0.25, seed=3)[1]
    assert again.fingerprint() == taken.fingerprint()
    assert whole.split(0.25, seed=4)[1].fingerprint() != taken.fingerprint()
    assert whole.split(0, seed=3)[0].fingerprint() == whole.fingerprint()


def test_equal_pictures_are_told_and_stay_on_one_side(tmp_path):
    whole = make_many(tmp_path, [*range(10), *range(10)])
    assert len(whole.duplicates()) == 10
    assert ["000.png", "010.png"] in whole.duplicates()
    for seed in range(5):
        rest, taken = whole.split(0.3, seed)
        assert not {one.digest for one in rest.pictures} & {one.digest for one in taken.pictures}
        assert len(taken.pictures) == 6


def test_equal_pixels_are_equal_pictures_whatever_the_file(tmp_path):
    files = {"classes.txt": "cat", "a.txt": "0 .5 .5 .5 .5"}
    files |= {"a.png": make_picture(7, kind="PNG"), "b.webp": make_picture(7, kind="WEBP")}
    files |= {"c.png": make_picture(8, kind="PNG"), "d.png": make_picture(8, (80, 100), "PNG")}
    assert read(tmp_path, files).duplicates() == [["a.png", "b.webp"]]


def test_the_fingerprint_is_of_what_is_learnt_from(tmp_path):
    def fingerprint(name: str, files: dict) -> str:
        return read(tmp_path / name, files).fingerprint()

    first = fingerprint("first", VOC)
    renamed = {
        name.replace("a.", "z.") if "ImageSets" not in name else name: (
            "z\nb\n" if name.endswith("Main/train.txt") else content
        )
        for name, content in VOC.items()
    }
    assert fingerprint("renamed", renamed) == first
    dog = make_xml(make_object("dog", (1, 1, 100, 80)), make_object("cat", (11, 21, 40, 60), 0))
    others = {
        "pixels": {"JPEGImages/a.jpg": make_picture(99)},
        "box": {"Annotations/b.xml": make_xml(make_object("cat", (11, 21, 40, 61)))},
        "class": {"Annotations/b.xml": make_xml(make_object("dog", (11, 21, 40, 60)))},
        "difficult": {"Annotations/a.xml": dog},
        "part": {"ImageSets/Main/train.txt": "a", "ImageSets/Main/val.txt": "b\nc"},
    }
    found = {fingerprint(name, VOC | change) for name, change in others.items()}
    assert len(found | {first}) == len(others) + 1


def test_boxes_of_a_class_are_counted(tmp_path):
    found = read(tmp_path, VOC)
    assert found.count() == {"cat": 2, "dog": 1}
    assert found.part("val").count() == {"cat": 0, "dog": 0}


def test_labels_have_their_types_even_without_an_object(tmp_path):
    empty = read(tmp_path, VOC).pictures[2].labels
    assert (empty.boxes.shape, empty.boxes.dtype) == ((0, 4), np.float32)
    assert (empty.classes.dtype, empty.difficult.dtype) == (np.int64, np.bool_)


def test_zips_are_read_within_limits(monkeypatch):
    content = make_zip(VOC)
    for limit, message in (("MAX_FILES", r"at most 3\s+files"), ("MAX_BYTES", "3 bytes")):
        with monkeypatch.context() as patch:
            patch.setattr(read_labelled, limit, 3)
            with pytest.raises(TooLarge, match=message), read_zip(content):
                pass
    monkeypatch.setattr(labelled, "MAX_PIXELS", 2 * 100 * 80)
    with pytest.raises(TooLarge, match="more than 16000 pixels together"), read_zip(content):
        pass


def test_zips_that_are_no_zips_or_leave_themselves_are_refused():
    for content, message in (
        (BytesIO(b"text"), "cannot be read"),
        (make_zip({"../a.xml": "x"}), "leaves the zip"),
        (make_zip({}), "There are no labels"),
    ):
        with pytest.raises(InvalidInput, match=message), read_zip(content):
            pass


def test_a_path_that_is_twice_in_a_zip_is_refused():
    content = make_zip(COCO)
    with zipfile.ZipFile(content, "a") as archive, pytest.warns(UserWarning, match="Duplicate"):
        archive.writestr("train2017/a.jpg", make_picture(99))
    with pytest.raises(InvalidInput, match="have the same path"), read_zip(content):
        pass


@pytest.mark.parametrize("name", ["images/train/a.jpg", "labels/train/a.txt"])
def test_a_damaged_member_is_refused_by_its_name(name):
    content = make_zip(YOLO).getvalue()
    place = content.index(name.encode()) + len(name) + 20  # in its content
    broken = BytesIO(content[:place] + b"\xff\xff\xff\xff" + content[place + 4 :])
    with pytest.raises(InvalidInput, match=f"{name}: .*unpacked"), read_zip(broken):
        pass


def test_folders_that_are_missing_or_without_labels_are_refused(tmp_path):
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_folder(tmp_path / "nowhere")
    with pytest.raises(InvalidInput, match="There are no labels"):
        read(tmp_path, without(YOLO, "labels/train/a.txt", "labels/val/c.txt"))
