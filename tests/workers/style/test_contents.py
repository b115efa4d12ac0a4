"""Pictures to learn from: found in any folders, and what is none left out."""

from io import BytesIO

import pytest
from PIL import Image

from tests.workers.file_sets import Contents, fill, make_zip
from tests.workers.style.desk import draw_noise, save
from workers.runtime.run import Cancelled, InvalidInput, TooLarge
from workers.style import contents
from workers.style.contents import read_folder, read_zip, watch_nothing

PICTURES: Contents = {
    "b/two.webp": save(draw_noise(20, 30), "WEBP"),
    "a/deep/one.JPG": save(draw_noise(40, 10), "JPEG"),
    "three.png": save(Image.new("RGBA", (8, 8), (9, 9, 9, 0))),
}
OTHERS: Contents = {
    "notes.txt": "no picture",
    "broken.png": PICTURES["three.png"][:40],
    "renamed.jpg": "no picture either",
    "movie.gif": save(draw_noise(), "GIF"),
}
HIDDEN: Contents = {".DS_Store": "", "__MACOSX/three.png": PICTURES["three.png"]}


def check_nothing() -> None:
    """Nobody stops the reading."""


def test_pictures_of_any_folders_are_found_and_others_are_counted(tmp_path):
    files = PICTURES | OTHERS | HIDDEN
    found = read_folder(fill(tmp_path, files))
    assert [one.path for one in found.pictures] == ["a/deep/one.JPG", "b/two.webp", "three.png"]
    assert [(one.width, one.height) for one in found.pictures] == [(40, 10), (20, 30), (8, 8)]
    assert (len(found), found.left_out) == (3, len(OTHERS))
    assert found.pictures[2].open().getpixel((0, 0)) == (255, 255, 255)
    with read_zip(make_zip(files), watch_nothing, check_nothing) as zipped:
        assert zipped == found
        assert zipped.pictures[1].open().size == (20, 30)


def test_the_fingerprint_is_of_the_pictures(tmp_path):
    found = read_folder(fill(tmp_path / "all", PICTURES | OTHERS))
    same = read_folder(fill(tmp_path / "same", PICTURES))
    fewer = read_folder(fill(tmp_path / "fewer", {"one.jpg": PICTURES["a/deep/one.JPG"]}))
    assert found.fingerprint() == same.fingerprint() != fewer.fingerprint()


def test_data_without_pictures_is_refused(tmp_path):
    with pytest.raises(InvalidInput, match="None of the 4 files is a picture that can be used"):
        read_folder(fill(tmp_path, OTHERS))
    with pytest.raises(InvalidInput, match="is not a folder"):
        read_folder(tmp_path / "nowhere")


@pytest.mark.parametrize(
    ("limit", "most"), [("MAX_FILES", 2), ("MAX_BYTES", 1000), ("MAX_PIXELS", 900)]
)
def test_more_than_can_be_used_is_refused(monkeypatch, limit, most):
    monkeypatch.setattr(contents, limit, most)
    with (
        pytest.raises(TooLarge, match=f"{most} "),
        read_zip(make_zip(PICTURES), watch_nothing, check_nothing),
    ):
        pass


def test_a_file_that_is_too_large_is_left_out(monkeypatch):
    monkeypatch.setattr(contents, "MAX_FILE", len(PICTURES["a/deep/one.JPG"]))
    files = PICTURES | {"four.png": save(draw_noise(100, 100))}
    with read_zip(make_zip(files), watch_nothing, check_nothing) as found:
        assert "four.png" not in [one.path for one in found.pictures]
        assert found.left_out >= 1


def test_a_path_that_leaves_the_zip_is_refused():
    with (
        pytest.raises(InvalidInput, match="leaves the zip"),
        read_zip(make_zip({"../one.png": PICTURES["three.png"]}), watch_nothing, check_nothing),
    ):
        pass


def test_what_is_no_zip_is_refused():
    with (
        pytest.raises(InvalidInput, match="The zip cannot be read"),
        read_zip(BytesIO(b"no zip"), watch_nothing, check_nothing),
    ):
        pass


def test_every_file_is_told_before_it_is_looked_at(tmp_path):
    told: list[tuple[int, int]] = []
    read_folder(fill(tmp_path, PICTURES), lambda done, count: told.append((done, count)))
    assert told == [(0, 3), (1, 3), (2, 3)]


def test_reading_can_be_stopped():
    reads: list[str] = []

    def stop() -> None:
        reads.append("one")
        if len(reads) == 2:
            raise Cancelled

    with pytest.raises(Cancelled), read_zip(make_zip(PICTURES), watch_nothing, stop):
        pass
    assert len(reads) == 2
