"""Labels as VOC writes them, and what is wrong with them in practice."""

import time

import pytest

from tests.workers.detect.labelled_files import (
    VOC,
    boxes,
    make_object,
    make_picture,
    make_xml,
    read,
    without,
)
from workers.detect.voc_format import parse_xml, read_box
from workers.runtime.run import InvalidInput


def test_voc_pixels_counted_from_one_become_edges(tmp_path):
    found = read(tmp_path, VOC)
    assert found.names == ("cat", "dog")
    assert [picture.path for picture in found.pictures] == [
        f"JPEGImages/{name}.jpg" for name in "abc"
    ]
    assert boxes(found, 0) == [[0, 0, 100, 80], [10, 20, 40, 60]]
    first = found.pictures[0].labels
    assert first.classes.tolist() == [1, 0]
    assert first.difficult.tolist() == [False, True]
    assert not first.crowd.any()
    assert found.pictures[1].labels.difficult.tolist() == [False]
    assert boxes(found, 2) == []


def test_a_voc_box_is_as_wide_as_its_pixels():
    # the devkit's width is xmax - xmin + 1
    assert read_box(1, 1, 640, 480) == (0, 0, 640, 480)
    left, _, right, _ = read_box(5, 5, 8, 9)
    assert right - left == 8 - 5 + 1


def test_lists_of_pictures_give_the_parts(tmp_path):
    found = read(tmp_path, VOC)
    assert found.parts() == ("train", "val")
    assert [len(found.part(part).pictures) for part in found.parts()] == [2, 1]


def test_folders_may_be_called_otherwise_and_lie_deeper(tmp_path):
    deeper = {
        f"set/{name.replace('JPEGImages', 'images').replace('Annotations', 'annotations')}": content
        for name, content in VOC.items()
    }
    found = read(tmp_path, deeper)
    assert found.parts() == ("train", "val")
    assert len(found.pictures) == 3


def test_pictures_without_an_xml_file_are_left_out(tmp_path):
    found = read(tmp_path, VOC | {"JPEGImages/d.jpg": make_picture()})
    assert len(found.pictures) == 3


def test_a_click_without_a_drag_is_dropped_and_counted(tmp_path):
    click = make_xml(make_object("cat", (50, 33, 50, 33)), make_object("cat", (1, 1, 5, 5)))
    found = read(tmp_path, VOC | {"Annotations/b.xml": click})
    assert found.empty == 1
    assert boxes(found, 1) == [[0, 0, 5, 5]]


@pytest.mark.parametrize("size", [None, (0, 0)])
def test_the_size_may_be_left_out(tmp_path, size):
    found = read(tmp_path, VOC | {"Annotations/c.xml": make_xml(size=size)})
    assert (found.pictures[2].width, found.pictures[2].height) == (100, 80)


@pytest.mark.parametrize(
    ("xml", "complaint"),
    [
        ("<annotation>", "no VOC annotation: no element found"),
        ("", "no VOC annotation: no element found"),
        ("\x00\x01", "no VOC annotation"),
        ("<html/>", "it holds 'html', not <annotation>"),
        ('<?xml version="1.0" encoding="klingon"?><annotation/>', "unknown encoding: klingon"),
        ("<annotation>" * 50_000, "no VOC annotation: no element found"),
        (make_xml("<object><name>cat</name></object>"), "<object> has no <bndbox/xmin>"),
        (make_xml(make_object("", (1, 2, 3, 4))), "<object> has no <name>"),
        (make_xml(make_object("cat", (1, 2, "three", 4))), "'three' is no coordinate"),
        (make_xml(make_object("cat", (1, 2, "nan", 4))), "'nan' is no coordinate"),
        (make_xml(make_object("cat", (1, 2, "1e300", 4))), "'1e300' is no coordinate"),
        (make_xml(make_object("cat", (30, 2, 10, 4))), "a box ends before it begins"),
        (make_xml(size=(80, 100)), r"tells of 80 x 100 pixels, JPEGImages/a\.jpg has 100 x 80"),
        ("<annotation><size><width>9</width></size></annotation>", "has no <size/height>"),
    ],
)
def test_broken_annotations_are_refused_by_name(tmp_path, xml, complaint):
    with pytest.raises(InvalidInput, match=rf"Annotations/a\.xml.*{complaint}"):
        read(tmp_path, VOC | {"Annotations/a.xml": xml})


def test_entities_are_refused_before_they_grow(tmp_path):
    lines = [f'<!ENTITY e{n} "{f"&e{n - 1};" * 10}">' for n in range(1, 10)]
    bomb = (
        f'<!DOCTYPE a [<!ENTITY e0 "{"x" * 1000}">{"".join(lines)}]><annotation>&e9;</annotation>'
    )
    start = time.perf_counter()
    for encoding in ("utf-8", "utf-16"):
        with pytest.raises(InvalidInput, match="a DOCTYPE is not allowed"):
            read(tmp_path, VOC | {"Annotations/a.xml": bomb.encode(encoding)})
    assert time.perf_counter() - start < 5


def test_files_of_the_machine_are_not_read(tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("cat")
    outside = f'<!DOCTYPE a [<!ENTITY e SYSTEM "file://{secret}">]><annotation>&e;</annotation>'
    with pytest.raises(ValueError, match="a DOCTYPE is not allowed"):
        parse_xml(outside.encode())


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (without(VOC, "JPEGImages/a.jpg"), r"Annotations/a\.xml: there is no picture a"),
        (VOC | {"JPEGImages/a.png": make_picture(kind="PNG")}, r"may mean .*a\.jpg or .*a\.png"),
        (VOC | {"JPEGImages/a.jpg": make_picture()[:-20]}, r"JPEGImages/a\.jpg: .*damaged"),
        (VOC | {"JPEGImages/a.jpg": "text"}, r"JPEGImages/a\.jpg: .*not a JPEG"),
        (VOC | {"more/a.xml": make_xml()}, r"more/a\.xml: the picture .*a\.jpg is labelled twice"),
        (VOC | {"ImageSets/Main/val.txt": "b\nc"}, r"val\.txt: b is in train too"),
        (VOC | {"ImageSets/Main/val.txt": "d"}, r"val\.txt: 'd' is listed but has no XML file"),
        (VOC | {"ImageSets/Main/val.txt": b"\xff\xfe\x00"}, r"val\.txt is not UTF-8"),
        ({"a.xml": make_xml(), "a.jpg": make_picture()}, "names no classes"),
    ],
)
def test_files_that_do_not_fit_together_are_refused_by_name(tmp_path, files, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        read(tmp_path, files)
