"""Data sets of pictures and masks: three layouts, and what is wrong with them in practice."""

import json
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.segment.mask_files import (
    FOLDERS,
    LISTS,
    SIZE,
    VOC,
    Contents,
    fill,
    make_mask,
    make_picture,
    make_zip,
    read,
    save,
    without,
)
from workers.runtime.run import InvalidInput, TooLarge
from workers.segment import labelled, read_labelled
from workers.segment.read_labelled import read_folder, read_zip


def refuse(folder, files: Contents) -> str:
    with pytest.raises((InvalidInput, TooLarge)) as refusal:
        read_folder(fill(folder, files))
    with pytest.raises((InvalidInput, TooLarge)), read_zip(make_zip(files)):
        pass
    return str(refusal.value)


def test_pascal_voc_is_read_with_its_classes_and_void(tmp_path):
    found = read(tmp_path, VOC)
    assert len(found.classes) == 21
    assert found.classes.names[15] == "person"
    assert [(one.path[-5:], one.part) for one in found.pictures] == [
        ("a.jpg", "train"),
        ("b.jpg", "val"),
    ]
    mask = found.pictures[0].open_mask(found.classes)
    assert mask[0].tolist() == [0] * 4 + [15] * 4 + [255] * 4


def test_lists_of_pairs_are_read_with_the_classes_of_camvid(tmp_path):
    found = read(tmp_path, LISTS)
    assert found.classes.names[10] == "Bicyclist"
    assert found.parts() == ("train", "val")
    mask = found.pictures[0].open_mask(found.classes)
    assert mask[0].tolist() == [0] * 4 + [10] * 4 + [255] * 4  # 11 is void
    counts = dict(zip(found.classes.names, found.count().tolist(), strict=True))
    assert (counts["Sky"], counts["Bicyclist"], counts["Road"], sum(counts.values())) == (
        32,
        32,
        96,
        160,
    )


def test_folders_are_read_with_numbers_as_names(tmp_path):
    found = read(tmp_path, FOLDERS)
    assert found.classes.names == ("0", "1", "2")
    assert found.parts() == ()
    assert [one.path for one in found.pictures] == ["images/a.png", "images/b.webp"]
    assert found.pictures[1].open().size == SIZE


@pytest.mark.parametrize(
    "places",
    [
        ("train/images/a.png", "train/masks/a.png"),
        ("images/train/a.png", "masks/train/a.png"),
        ("images/training/a.png", "labels/training/a.png"),
        ("train/a.png", "trainannot/a.png"),
        ("set/train_images/a.png", "set/train_masks/a.png"),
        ("train/a.png", "train/Annotations/a.png"),
    ],
)
def test_folders_are_found_wherever_people_put_them(tmp_path, places):
    picture, mask = places
    found = read(tmp_path, {picture: make_picture(1), mask: make_mask(0, 1)})
    assert [(one.path, one.part) for one in found.pictures] == [(picture, "train")]


def test_a_json_names_classes_and_colours_and_void(tmp_path):
    named = {
        "classes": [{"name": "cat", "colour": [1, 2, 3]}, "dog", {"name": "cow"}],
        "void": [7, 9],
    }
    files = FOLDERS | {"classes.json": json.dumps(named), "masks/a.png": make_mask(0, 1, 7, 9)}
    found = read(tmp_path, files)
    assert found.classes.names == ("cat", "dog", "cow")
    assert found.classes.palette == ((1, 2, 3), (128, 0, 0), (0, 128, 0))
    assert set(found.pictures[0].open_mask(found.classes)[0].tolist()) == {0, 1, 255}


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (json.dumps({"classes": ["a" * 101]}), "should have at most 100 characters"),
        ("{", "classes.json is not JSON"),
        ("[" * 100_000, "classes.json is not JSON"),
        ('"cat"', "the whole"),
        ('{"classes": []}', "classes"),
        ('{"classes": ["cat", "cat"]}', "there twice"),
        ('{"classes": [" "]}', "blank"),
        ('{"classes": ["cat"], "void": [0]}', "index 0 is void, and one of the classes"),
        ('{"classes": [{"name": "cat", "colour": [1, 2, 256]}]}', "classes.0"),
        (json.dumps({"classes": [str(number) for number in range(256)]}), "at most 255"),
        (b"\xff\xfe{", "is not JSON"),
        (json.dumps({"classes": ["cat"], "void": [9] * 257}), "void: List should have at most 256"),
    ],
    ids=[
        "long name",
        "cut off",
        "deep",
        "text",
        "no class",
        "one twice",
        "blank",
        "void too",
        "no colour",
        "many",
        "not UTF-8",
        "much void",
    ],
)
def test_a_json_that_names_no_classes_is_refused(tmp_path, content, reason):
    assert reason in refuse(tmp_path, FOLDERS | {"classes.json": content})


def noisy(size: tuple[int, int] = SIZE) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 3, (size[1], size[0]), dtype=np.uint8)
    return save(Image.fromarray(pixels))


@pytest.mark.parametrize(
    ("mask", "reason"),
    [
        (make_mask(0, 1, size=(8, 12)), "masks/a.png has 8 x 12 pixels, images/a.png has 12 x 8"),
        (make_mask(0, 5), "masks/a.png: The mask has the index 5, but there are 3 classes"),
        (make_mask(0, 128, mode="L"), "Greys that only look like classes must become 0, 1, 2"),
        (save(Image.new("RGB", SIZE)), r"colours, transparency or 16 bits (RGB)"),
        (save(Image.new("RGBA", SIZE)), r"(RGBA)"),
        (save(Image.new("LA", SIZE)), r"(LA)"),
        (save(Image.fromarray(np.zeros((8, 12), np.uint16))), r"(I;16)"),
        (noisy()[:-40], "masks/a.png: The mask is damaged or incomplete"),
        (noisy()[:60] + b"\0\0\0\0" + noisy()[64:], "masks/a.png: The mask is damaged"),
        (make_picture(kind="JPEG"), "masks/a.png: The mask is not a PNG"),
        (b"", "masks/a.png: The mask is not a PNG"),
        (make_mask(0, size=(8000, 5001)), "has 8000 x 5001 pixels, more than 40000000"),
    ],
    ids=[
        "another size",
        "unknown index",
        "greys",
        "colours",
        "colours and alpha",
        "grey and alpha",
        "16 bits",
        "cut off",
        "damaged",
        "JPEG",
        "empty",
        "too many pixels",
    ],
)
def test_a_mask_that_cannot_be_used_is_named(tmp_path, mask, reason):
    names = {"classes.json": '{"classes": ["a", "b", "c"]}'}
    assert reason in refuse(tmp_path, FOLDERS | names | {"masks/a.png": mask})


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        (without(FOLDERS, "images/a.png"), "masks/a.png: there is no picture images/a."),
        (without(VOC, "VOC2012/JPEGImages/b.jpg"), "there is no picture VOC2012/JPEGImages/b"),
        (without(LISTS, "train/a.jpg"), "train_pairs.txt, line 1: train/a.jpg is missing"),
        (without(LISTS, "valannot/b.png"), "val_pairs.txt, line 1: valannot/b.png is missing"),
        (LISTS | {"val_pairs.txt": "\n../train/a.jpg x.png"}, "line 2: ../train/a.jpg is missing"),
        (LISTS | {"val_pairs.txt": "train/a.jpg"}, "line 1: not a picture and a mask"),
        (LISTS | {"val_pairs.txt": b"\xff"}, "val_pairs.txt is not UTF-8 text"),
        (LISTS | {"classes.json": b" " * 2**21}, "classes.json has 2097152 bytes, more than"),
        (
            LISTS | {"val_pairs.txt": "train/a.jpg trainannot/a.png"},
            "val_pairs.txt, line 1: the picture train/a.jpg is there twice",
        ),
        (FOLDERS | {"images/a.png": b"GIF"}, "images/a.png: The file is not a JPEG, PNG or WEBP"),
        (FOLDERS | {"images/a.jpg": make_picture()}, "have the same name: which is it?"),
        ({"images/a.png": make_picture()}, "There are no masks"),
        ({}, "There are no masks"),
        (FOLDERS | {"masks/a.png": make_mask(255), "masks/b.png": make_mask(255)}, "show no class"),
    ],
)
def test_a_data_set_that_cannot_be_used_is_refused(tmp_path, files, reason):
    assert reason in refuse(tmp_path, files)


def test_masks_turn_upright_with_their_pictures(tmp_path):
    turned = Image.Exif()
    turned[0x0112] = 6  # a quarter to the right
    files: Contents = {}
    for name, content in (("images/a.png", make_picture()), ("masks/a.png", make_mask(0, 1))):
        file = BytesIO()
        Image.open(BytesIO(content)).save(file, "PNG", exif=turned)
        files[name] = file.getvalue()
    found = read(tmp_path, files).pictures[0]
    assert (found.width, found.height) == SIZE[::-1]


def test_a_mask_of_two_colours_has_two_classes(tmp_path):
    black = Image.fromarray(np.arange(96).reshape(8, 12) % 2 == 0)
    found = read(tmp_path, FOLDERS | {"masks/a.png": save(black), "masks/b.png": make_mask(1)})
    assert found.classes.names == ("0", "1")


def test_the_watcher_sees_every_pair_and_may_stop(tmp_path):
    calls = []
    read_folder(fill(tmp_path, FOLDERS), watch=lambda *call: calls.append(call))
    assert calls == [(0, 2), (1, 2)]

    def stop(*_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        read_folder(tmp_path, watch=stop)


def test_large_files_and_many_pixels_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(read_labelled, "MAX_FILE", 50)
    with pytest.raises(TooLarge, match="bytes, more than 50"), read_zip(make_zip(FOLDERS)):
        pass
    monkeypatch.setattr(labelled, "MAX_PIXELS", 100)
    with pytest.raises(TooLarge, match="more than 100 pixels together"):
        read_folder(fill(tmp_path, FOLDERS))


def test_a_damaged_file_of_a_zip_is_named():
    content = make_zip(LISTS).getvalue()
    place = content.index(b"val_pairs.txt") + len("val_pairs.txt")
    damaged = content[:place] + b"\xff\xff" + content[place + 2 :]
    with pytest.raises(InvalidInput, match=r"val_pairs.txt: It cannot be unpacked"):  # noqa: SIM117
        with read_zip(BytesIO(damaged)):
            pass


def test_equal_pictures_are_on_one_side_of_a_split(tmp_path):
    files: Contents = {}
    for number in range(20):
        files[f"images/{number}.png"] = make_picture(number // 2)
        files[f"masks/{number}.png"] = make_mask(0, 1)
    found = read(tmp_path, files)
    rest, part = found.split(0.3, seed=1)
    assert (len(rest.pictures), len(part.pictures)) == (14, 6)
    assert not {one.digest for one in rest.pictures} & {one.digest for one in part.pictures}
    assert found.split(0.3, seed=1) == (rest, part)
    assert found.split(0.3, seed=2) != (rest, part)


def test_a_part_is_chosen_by_its_name(tmp_path):
    found = read(tmp_path, LISTS)
    assert [one.path for one in found.part("val").pictures] == ["val/b.jpg"]
    with pytest.raises(ValueError, match="No picture is in part 'test'; the parts: train, val"):
        found.part("test")


@pytest.mark.parametrize(
    "change", [{"masks/a.png": make_mask(0, 1)}, {"images/a.png": make_picture(11)}]
)
def test_the_fingerprint_tells_data_sets_apart(tmp_path, change):
    first = read(tmp_path / "one", FOLDERS).fingerprint()
    assert read(tmp_path / "two", FOLDERS | change).fingerprint() != first
    renamed = {name.replace("/a.", "/c."): content for name, content in FOLDERS.items()}
    assert read(tmp_path / "three", renamed).fingerprint() == first
