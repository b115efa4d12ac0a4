"""Labels as Darknet and its successors write them, and what is wrong with them in practice."""

import pytest

from tests.workers.detect.labelled_files import YOLO, boxes, make_picture, read, without
from workers.runtime.run import InvalidInput

LABELS = "labels/train/a.txt"
FLAT = {
    "a.jpg": make_picture(1),
    "b.jpg": make_picture(2),
    "a.txt": "0 0.5 0.5 0.5 0.5",
    "classes.txt": "cat\ndog\n",
}


def test_yolo_shares_become_pixels(tmp_path):
    found = read(tmp_path, YOLO)
    assert found.names == ("cat", "dog")
    assert boxes(found, 0)[0] == pytest.approx([10, 20, 40, 60], abs=1e-4)
    assert boxes(found, 0)[1] == [0, 0, 100, 80]
    assert found.pictures[0].labels.classes.tolist() == [0, 1]
    assert [one.part for one in found.pictures] == ["train", "train", "val"]


def test_a_picture_without_a_label_file_shows_nothing(tmp_path):
    found = read(tmp_path, YOLO)
    assert [len(one.labels) for one in found.pictures] == [2, 0, 0]


def test_label_files_may_lie_beside_the_pictures(tmp_path):
    found = read(tmp_path, FLAT)
    assert boxes(found, 0) == [[25, 20, 75, 60]]
    assert found.names == ("cat", "dog")
    assert found.parts() == ()


@pytest.mark.parametrize(
    "names",
    [
        {"data.yaml": "names: {1: dog, 0: cat}"},
        {"data.yaml": "nc: 2\nnames: ['cat', 'dog']"},
        {"data.yaml": "names:\n- cat\n- dog"},
        {"data/obj.names": "cat\n\ndog\n"},
        {"labels/classes.txt": "\ufeffcat\r\ndog\r\n"},
    ],
)
def test_class_names_are_found_wherever_tools_write_them(tmp_path, names):
    found = read(tmp_path, without(YOLO, "data.yaml") | names)
    assert found.names == ("cat", "dog")
    assert found.parts() == ("train", "val")  # the folders tell


@pytest.mark.parametrize(
    "lists",
    [
        {"data.yaml": "train: ../train_it\nval: [/home/me/set/b, ./c]\nnames: [cat]"},
        {"data.yaml": "train: data/t.txt\nval: v.txt\nnames: [cat]", "t.txt": "train_it/a.jpg"}
        | {"v.txt": "set\\b\\b.jpg\nc/c.jpg"},
        {
            "classes.txt": "cat",
            "train.txt": "./train_it/a.jpg",
            "val.txt": "/x/set/b/b.jpg\nc.jpg\n",
        },
    ],
)
def test_parts_may_be_folders_or_lists(tmp_path, lists):
    pictures = {
        "train_it/a.jpg": make_picture(1),
        "set/b/b.jpg": make_picture(2),
        "c/c.jpg": make_picture(3),
        "c/c.txt": "0 .5 .5 .1 .1",
    }
    found = read(tmp_path, pictures | lists)
    parts = {one.path: one.part for one in found.pictures}
    assert parts["train_it/a.jpg"] == "train"
    assert parts["c/c.jpg"] == "val"


def test_a_picture_in_two_parts_belongs_to_the_first(tmp_path):
    found = read(tmp_path, YOLO | {"data.yaml": "train: images\nval: images\nnames: [cat, dog]"})
    assert found.parts() == ("train",)


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("0 0.5 0.5 0.5", "4 words, where a class and four numbers are a box"),
        ("0 0.1 0.1 0.2 0.2 0.3 0.3", "7 words"),
        ("0 0.5 0.5 0.5 half", "'half' is no coordinate"),
        ("cat 0.5 0.5 0.5 0.5", "invalid literal"),
        ("0.5 0.5 0.5 0.5 0.5", "invalid literal"),
        ("2 0.5 0.5 0.5 0.5", "there is no class 2"),
        ("-1 0.5 0.5 0.5 0.5", "there is no class -1"),
        ("0 50 40 30 40", "in shares of the picture, 0 to 1"),
        ("0 0.5 0.5 -0.5 0.5", "in shares of the picture, 0 to 1"),
        ("0 nan 0.5 0.5 0.5", "'nan' is no coordinate"),
        ("0 0.5 0.5 0.5 inf", "'inf' is no coordinate"),
    ],
)
def test_broken_lines_are_refused_by_file_and_number(tmp_path, line, complaint):
    with pytest.raises(InvalidInput, match=rf"labels/train/a\.txt, line 2: .*{complaint}"):
        read(tmp_path, YOLO | {LABELS: f"0 0.5 0.5 0.5 0.5\n{line}\n"})


@pytest.mark.parametrize(
    ("files", "complaint"),
    [
        (without(YOLO, "images/train/a.jpg"), r"labels/train/a\.txt: its picture is missing"),
        (YOLO | {LABELS: b"\xff\xfe"}, r"labels/train/a\.txt is not UTF-8 text"),
        (YOLO | {"images/val/c.jpg": b"\xff\xd8\xff"}, r"images/val/c\.jpg: .*(damaged|not a)"),
        (without(YOLO, "data.yaml"), "The classes have no names"),
        (without(FLAT, "classes.txt") | {"classes.txt": "cat\ncat"}, "'cat' is blank or there twi"),
        (YOLO | {"t.txt": "z.jpg", "data.yaml": "names: [a, b]\ntrain: t.txt"}, "line 1: .*z.jpg"),
        (YOLO | {"t.txt": "..", "data.yaml": "names: [a, b]\ntrain: t.txt"}, "line 1: .* missing"),
    ],
)
def test_files_that_do_not_fit_together_are_refused_by_name(tmp_path, files, complaint):
    with pytest.raises(InvalidInput, match=complaint):
        read(tmp_path, files)


@pytest.mark.parametrize(
    ("yaml", "complaint"),
    [
        ("names: [cat", "is no plain YAML file"),
        ("{a: " * 20_000, "is no plain YAML file"),
        ("!!python/object/apply:os.system [ls]", "is no plain YAML file"),
        ("2020-99-99", "names no classes"),
        ("- cat", "names no classes"),
        ("a: &b 1\nnames: [*b]", "is no plain YAML file"),
        ("names: !!bool foo", "is no plain YAML file"),
        ("names: !!timestamp foo", "is no plain YAML file"),
        ("names: !!int ''", "is no plain YAML file"),
        ("names: [!!float '']", "is no plain YAML file"),
        ("names: !list [cat]", "is no plain YAML file"),
        ("", "names no classes"),
        ("names: []", "names no classes"),
        ("names: cat", "is not a list of names"),
        ("names: [[cat]]", "is not a list of names"),
        ("names: {0: cat, 2: dog}", "not numbered 0, 1, 2"),
        ("names: [cat, dog]\ntrain: [" + "a, " * 21 + "]", "more than 20 places"),
    ],
)
def test_broken_yaml_is_refused_by_name(tmp_path, yaml, complaint):
    with pytest.raises(InvalidInput, match=rf"data\.yaml.*{complaint}"):
        read(tmp_path, YOLO | {"data.yaml": yaml})


@pytest.mark.parametrize(
    "names", ["[yes, 0x" + "f" * 4000 + "]", "[" + "1:" * 2000 + "0.5, ~]", "[2020-99-99, 1.5]"]
)
def test_names_are_texts_even_if_they_look_otherwise(tmp_path, names):
    yaml = YOLO | {"data.yaml": f"names: {names}"}
    if len(names) > 1000:
        with pytest.raises(InvalidInput, match=r"class name '.{80}\.\.\.' is longer than 200"):
            read(tmp_path, yaml)
    else:
        assert read(tmp_path, yaml).names == ("2020-99-99", "1.5")


def test_yaml_that_repeats_itself_is_refused_before_it_grows(tmp_path):
    lines = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    bomb = "\n".join(["names: [cat, dog]", "a0: &a0 {x: y}", *lines])
    with pytest.raises(InvalidInput, match=r"data\.yaml is no plain YAML file"):
        read(tmp_path, YOLO | {"data.yaml": bomb})


def test_parts_that_are_no_paths_are_left_out(tmp_path):
    yaml = "names: [cat, dog]\ntrain: {a: b}\nval: 7\ntest: null\n"
    assert read(tmp_path, YOLO | {"data.yaml": yaml}).parts() == ("train", "val")  # the folders'
