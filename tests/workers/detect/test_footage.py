"""The pictures of a zip are the frames of a video; what is no picture costs no more than itself."""

import pytest
from PIL import Image

from tests.workers.detect.desk import Desk
from tests.workers.detect.test_stream_tasks import ask, read_lines, read_video
from tests.workers.detect.videos import make_zip, write_png
from workers.detect import footage
from workers.detect.footage import natural_order
from workers.detect.stream_contract import StreamRequest
from workers.detect.stream_tasks import stream
from workers.runtime.run import Cancelled

GOOD = write_png(Image.new("RGB", (8, 8)))


def test_pictures_of_a_zip_come_in_the_order_in_which_people_count(sqlite_desk: Desk):
    names = ["a/frame10.png", "a/frame9.png", "a/frame1.png", "b/frame2.png"]
    sizes = {name: 20 + place for place, name in enumerate(names)}
    files = {name: write_png(Image.new("RGB", (size, 8))) for name, size in sizes.items()}
    result = ask(sqlite_desk, make_zip(files), fps=4)
    lines = read_lines(sqlite_desk, result)
    assert [line.width for line in lines] == [22, 21, 20, 23]
    assert [line.seconds for line in lines] == [0, 0.25, 0.5, 0.75]
    assert result.fps == 4
    assert len(read_video(sqlite_desk, result)) == 4


def test_numbers_in_paths_are_compared_by_value():
    paths = ["f10", "f9", "f010a", "f", "f٣", "9" * 5000, "f09"]
    assert sorted(paths, key=natural_order) == ["9" * 5000, "f", "f09", "f9", "f10", "f010a", "f٣"]


@pytest.mark.parametrize("bad", [GOOD[:40], b"no picture", b""], ids=["cut", "text", "empty"])
def test_a_bad_picture_is_left_out_and_the_others_keep_their_numbers(sqlite_desk: Desk, bad: bytes):
    files = {"1.png": bad, "2.PNG": GOOD, "3.webp": bad, "4.jpeg": GOOD}
    result = ask(sqlite_desk, make_zip(files), fps=4)
    assert [(line.line, line.frame, line.seconds) for line in read_lines(sqlite_desk, result)] == [
        (0, 1, 0.25),
        (1, 3, 0.75),
    ]
    assert result.damaged
    assert sqlite_desk.progress[-1] == 1


def test_a_picture_that_is_too_large_is_left_out(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(footage, "MOST_PICTURE_BYTES", len(GOOD))
    large = write_png(Image.effect_noise((64, 64), 200).convert("RGB"))
    result = ask(sqlite_desk, make_zip({"1.png": large, "2.png": GOOD}))
    assert (result.frames, result.damaged) == (1, True)


def test_other_files_of_a_zip_are_no_frames(sqlite_desk: Desk):
    files = {"LICENSE": b"text", "1.png": GOOD, "notes.txt": b"text", "2.png": GOOD}
    result = ask(sqlite_desk, make_zip(files))
    assert (result.frames, result.damaged) == (2, False)


def test_only_so_many_pictures_are_looked_at_and_the_next_is_not_opened(sqlite_desk: Desk):
    files = {"1.png": b"bad", "2.png": GOOD, "3.png": GOOD, "4.png": b"bad"}
    result = ask(sqlite_desk, make_zip(files), max_frames=2)
    assert [line.frame for line in read_lines(sqlite_desk, result)] == [1, 2]
    assert (result.cut, result.reason) == (True, "max_frames")


def test_if_no_picture_can_be_decoded_the_first_is_named(sqlite_desk: Desk):
    video = sqlite_desk.add(make_zip({"deep/1.png": GOOD[:40], "deep/2.png": b""}))
    code, text = sqlite_desk.refuse(stream, StreamRequest(video=video))
    assert code == "invalid_input"
    assert "deep/1.png: " in text


def test_a_job_is_stopped_between_bad_pictures(sqlite_desk: Desk):
    asked: list[bool] = []
    sqlite_desk.stops = lambda: asked.append(True) or len(asked) > 10
    with pytest.raises(Cancelled):
        ask(sqlite_desk, make_zip({f"{number}.png": b"" for number in range(50)}))
    assert len(asked) == 11


@pytest.mark.parametrize("files", [{}, {"__MACOSX/1.png": GOOD}, {"notes.txt": b"text"}])
def test_a_zip_without_pictures_is_refused(sqlite_desk: Desk, files: dict[str, bytes]):
    video = sqlite_desk.add(make_zip(files) if files else b"PK\x03\x04")
    assert sqlite_desk.refuse(stream, StreamRequest(video=video))[0] == "invalid_input"
