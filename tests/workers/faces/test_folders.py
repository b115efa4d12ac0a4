"""A folder for each person, from disk and from a zip that somebody sent."""

import zipfile
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.faces import folders
from workers.faces.folders import FaceFolders, read_folder, read_zip
from workers.runtime.run import InvalidInput, TooLarge


def make_picture(shade: int, kind: str = "PNG", size: tuple[int, int] = (20, 30)) -> bytes:
    file = BytesIO()
    Image.new("L" if kind == "PPM" else "RGB", size, shade if kind == "PPM" else (shade,) * 3).save(
        file, kind
    )
    return file.getvalue()


GOOD = {
    "ann/1.png": make_picture(10),
    "ann/2.JPG": make_picture(20, "JPEG"),
    "bob/1.webp": make_picture(30, "WEBP"),
    "bob/2.png": make_picture(40),
    "bob/3.png": make_picture(50),
}


def make_zip(files: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def fill(folder: Path, files: dict[str, bytes]) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    return folder


def read_both(folder: Path, files: dict[str, bytes]) -> list[FaceFolders]:
    return [read_folder(fill(folder, files), 16), read_zip(make_zip(files), 16)]


def test_folders_and_zips_give_the_same_faces(tmp_path):
    for found in read_both(tmp_path, GOOD):
        assert found.names == ("ann", "bob")
        assert found.labels.tolist() == [0, 0, 1, 1, 1]
        assert found.chips.shape == (5, 16, 16, 3)
        assert found.chips[:, 8, 8, 0] == pytest.approx([10, 20, 30, 40, 50], abs=2)
    assert len({found.fingerprint() for found in read_both(tmp_path, GOOD)}) == 1


def test_pgm_is_read_from_disk_only(tmp_path):
    files = {"ann/1.pgm": make_picture(10, "PPM"), "ann/2.pgm": make_picture(20, "PPM")}
    found = read_folder(fill(tmp_path, files), 16)
    assert found.chips[:, 0, 0].tolist() == [[10] * 3, [20] * 3]
    with pytest.raises(InvalidInput, match=r"ann/1\.pgm is not a picture"):
        read_zip(make_zip(files), 16)


def test_hidden_files_and_what_lies_beside_the_people_is_left_out(tmp_path):
    junk = {
        "__MACOSX/ann/._1.png": b"x",
        "ann/.DS_Store": b"x",
        "ann/._1.png": b"x",
        ".hidden/1.png": b"x",
        "LICENSE": b"x",
    }
    for found in read_both(tmp_path, GOOD | junk):
        assert found.names == ("ann", "bob")
        assert len(found.chips) == 5


def test_the_folders_may_lie_in_another_folder(tmp_path):
    for found in read_both(tmp_path, {f"faces/2026/{name}": file for name, file in GOOD.items()}):
        assert found.names == ("ann", "bob")


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ({}, "no pictures"),
        ({"README": b"x"}, "no pictures"),
        (GOOD | {"cat/1.png": make_picture(1)}, "cat has only one picture"),
        (GOOD | {"ann/3.png": b"not a picture"}, r"ann/3\.png: .*not a JPEG"),
        (GOOD | {"ann/3.png": GOOD["ann/1.png"][:60]}, r"ann/3\.png: .*damaged"),
        (GOOD | {"ann/notes.txt": b"x"}, r"ann/notes\.txt is not a picture"),
        (GOOD | {"loose.png": make_picture(1)}, r"loose\.png lies in no folder"),
        (GOOD | {f"old/{name}": file for name, file in GOOD.items()}, "Two folders are called ann"),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path, files, message):
    with pytest.raises(InvalidInput, match=message):
        read_folder(fill(tmp_path, files), 16)
    with pytest.raises(InvalidInput, match=message):
        read_zip(make_zip(files), 16)


def test_a_damaged_pgm_is_named(tmp_path):
    files = {"ann/1.pgm": make_picture(1, "PPM"), "ann/2.pgm": b"P5 20 30 255\n12"}
    with pytest.raises(InvalidInput, match=r"ann/2\.pgm: .*PGM"):
        read_folder(fill(tmp_path, files), 16)


def test_a_missing_folder_is_named(tmp_path):
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_folder(tmp_path / "nowhere", 16)


@pytest.mark.parametrize("name", ["../ann/3.png", "/ann/3.png", "ann/../../3.png", "ann\\3.png"])
def test_a_path_that_leaves_the_zip_is_refused(name):
    content = make_zip(GOOD | {name: make_picture(1)})
    with pytest.raises(InvalidInput, match="leaves the zip"):
        read_zip(content, 16)


@pytest.mark.parametrize("content", [b"", b"PK no zip", make_zip(GOOD)[:-30], make_picture(1)])
def test_what_is_no_zip_is_refused(content):
    with pytest.raises(InvalidInput, match="zip cannot be read"):
        read_zip(content, 16)


def test_a_file_whose_bytes_were_changed_is_named():
    content = bytearray(make_zip(GOOD))
    content[60] ^= 255
    with pytest.raises(InvalidInput, match=r"ann/1\.png: It cannot be unpacked"):
        read_zip(bytes(content), 16)


def test_an_encrypted_file_is_named():
    content = bytearray(make_zip(GOOD))
    content[content.index(b"PK\x01\x02") + 8] |= 1  # the flag in the directory
    content[6] |= 1  # and before the file
    with pytest.raises(InvalidInput, match=r"ann/1\.png: It cannot be unpacked"):
        read_zip(bytes(content), 16)


def test_an_error_of_the_callers_cut_is_not_blamed_on_the_zip():
    def fail(*_: object) -> np.ndarray:
        raise RuntimeError("out of memory")

    with pytest.raises(RuntimeError, match="out of memory"):
        read_zip(make_zip(GOOD), 16, fail)


@pytest.mark.parametrize(("limit", "value"), [("MAX_FILES", 4), ("MAX_BYTES", 500)])
def test_a_zip_beyond_a_limit_is_refused_before_it_is_unpacked(monkeypatch, limit, value):
    monkeypatch.setattr(folders, limit, value)
    monkeypatch.setattr(folders, "decode", lambda _: pytest.fail("unpacked"))
    with pytest.raises(TooLarge, match="5 files"):
        read_zip(make_zip(GOOD), 16)


def test_the_pixels_of_all_pictures_are_limited(monkeypatch):
    monkeypatch.setattr(folders, "MAX_PIXELS", 5 * 600)
    assert len(read_zip(make_zip(GOOD), 16).chips) == 5
    monkeypatch.setattr(folders, "MAX_PIXELS", 5 * 600 - 1)
    with pytest.raises(TooLarge, match="pixels together"):
        read_zip(make_zip(GOOD), 16)


def test_a_caller_can_cut_the_faces_himself():
    found = read_zip(make_zip(GOOD), 16, lambda _, side: np.full((side, side, 3), 7, np.uint8))
    assert np.all(found.chips == 7)


def test_a_split_keeps_people_whole_and_is_the_same_each_time():
    labels = np.repeat(np.arange(10), 3)
    chips = np.broadcast_to(labels[:, None, None, None], (30, 16, 16, 3)).astype(np.uint8)
    people = FaceFolders(tuple(f"p{i}" for i in range(10)), chips, labels)
    rest, taken = people.split(0.3, seed=1)
    assert (len(rest.names), len(taken.names)) == (7, 3)
    assert set(rest.names).isdisjoint(taken.names)
    for part in (rest, taken):  # every face still has its own name
        assert [part.names[label] for label in part.labels] == [
            f"p{c}" for c in part.chips[:, 0, 0, 0]
        ]
    assert taken.names == people.split(0.3, seed=1)[1].names
    assert taken.names != people.split(0.3, seed=2)[1].names


def test_selecting_somebody_unknown_is_an_error():
    people = read_zip(make_zip(GOOD), 16)
    with pytest.raises(ValueError, match="no pictures of zoe"):
        people.select(["ann", "zoe"])
