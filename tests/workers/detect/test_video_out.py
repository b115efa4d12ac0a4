"""A written video has the pictures and times it was given, in a form that browsers play."""

from pathlib import Path

import av
import pytest
from PIL import Image

from tests.workers.detect.videos import draw_greys, find_middle_grey, grey_of
from workers.detect import video_out
from workers.detect.video_out import MOST_SIDE, VideoWriter, choose_size


def write(path: Path, pictures: list[Image.Image], times: list[float], fps: float = 25) -> Path:
    with VideoWriter(path, fps) as writer:
        for picture, seconds in zip(pictures, times, strict=True):
            writer.add(picture, seconds)
    return path


def read(path: Path) -> list[tuple[float, Image.Image]]:
    with av.open(str(path)) as container:
        return [(frame.time, frame.to_image()) for frame in container.decode(video=0)]


def test_frames_keep_their_uneven_times_and_the_video_is_as_long(tmp_path: Path):
    times = [0, 0.04, 0.5, 0.54, 3.0]
    path = write(tmp_path / "out.mp4", draw_greys(5), times)
    frames = read(path)
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=1e-4)
    greys = [find_middle_grey(picture) for _, picture in frames]
    assert greys == pytest.approx([grey_of(number) for number in range(5)], abs=4)
    with av.open(str(path)) as container:
        assert container.duration / 1e6 == pytest.approx(3.04, abs=0.01)


def test_it_is_what_browsers_play_and_starts_before_it_is_whole(tmp_path: Path):
    """H.264 (avc1), 4:2:0, 8 bits; the index stands before the frames."""
    path = write(tmp_path / "out.mp4", draw_greys(30), [number / 25 for number in range(30)])
    content = path.read_bytes()
    assert content.index(b"moov") < content.index(b"mdat")
    assert b"avc1" in content
    with av.open(str(path)) as container:
        [stream] = container.streams
        assert (stream.codec_context.name, stream.pix_fmt) == ("h264", "yuv420p")
        assert stream.codec_context.profile == "High"
        assert set(container.metadata) == {"major_brand", "minor_version", "compatible_brands"}
        assert stream.average_rate == 25


def test_colours_survive(tmp_path: Path):
    colours = [(200, 40, 30), (20, 160, 60), (30, 60, 200)]
    pictures = [Image.new("RGB", (1280, 720), colour) for colour in colours]
    for (_, picture), colour in zip(
        read(write(tmp_path / "out.mp4", pictures, [0, 1, 2])), colours, strict=True
    ):
        assert picture.getpixel((640, 360)) == pytest.approx(colour, abs=4)


def test_a_picture_of_another_shape_lies_between_black_borders(tmp_path: Path):
    wide, high = Image.new("RGB", (128, 64), "white"), Image.new("RGB", (32, 64), "white")
    [_, (_, picture)] = read(write(tmp_path / "out.mp4", [wide, high], [0, 1]))
    assert picture.size == (128, 64)
    assert picture.getpixel((64, 32)) == pytest.approx((255, 255, 255), abs=4)
    assert picture.getpixel((10, 32)) == pytest.approx((0, 0, 0), abs=4)


@pytest.mark.parametrize(
    ("size", "chosen"),
    [
        ((640, 360), (640, 360)),
        ((641, 361), (640, 360)),
        ((1, 1), (2, 2)),
        ((1, 9000), (2, MOST_SIDE)),
        ((8000, 5000), (3884, 2428)),
        ((4096, 2304), (4096, 2304)),
    ],
)
def test_sizes_are_even_and_no_larger_than_players_can(
    size: tuple[int, int], chosen: tuple[int, int]
):
    assert choose_size(*size) == chosen


@pytest.mark.parametrize("size", [(1, 1), (641, 3), (35, 99)])
def test_a_picture_of_any_size_can_be_written(size: tuple[int, int], tmp_path: Path):
    [(_, picture)] = read(write(tmp_path / "out.mp4", draw_greys(1, size), [0]))
    assert picture.size == choose_size(*size)


def test_times_that_stand_still_still_go_on(tmp_path: Path):
    times = [seconds for seconds, _ in read(write(tmp_path / "o.mp4", draw_greys(3), [0, 0, 0]))]
    assert times == sorted(set(times))


def test_no_frame_is_shown_for_more_than_an_hour(tmp_path: Path):
    frames = read(write(tmp_path / "o.mp4", draw_greys(3), [0, 1e6, 1e6 + 1], fps=1e-5))
    times = [seconds for seconds, _ in frames]
    assert times == pytest.approx([0, 3600, 7200], abs=0.01)


def test_it_is_full_at_its_longest_and_whole_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(video_out, "MOST_BYTES", 50_000)
    path, written = tmp_path / "out.mp4", 0
    with VideoWriter(path, 25) as writer:
        while not writer.full:
            noise = Image.effect_noise((320, 240), 200).convert("RGB")
            writer.add(noise, written / 25)
            written += 1
    assert 1 < written == len(read(path))
