"""Videos from outside become upright frames with their times; what means harm is refused."""

from collections.abc import Callable
from io import BytesIO
from typing import Any

import av
import pytest
from av.stream import Disposition
from PIL import Image

from shared.blobs import BlobInfo, sniff
from tests.workers.detect.videos import (
    KINDS,
    draw_greys,
    find_middle_grey,
    grey_of,
    make_movie,
    make_reference,
    make_video,
)
from workers.detect.video import FORMATS, MOST_PIXELS, open_video
from workers.runtime.run import Cancelled, InvalidInput


def stay() -> None:
    """The job goes on."""


def look(
    content: bytes, max_pixels: int = 10**7, check_alive: Callable[[], None] = stay
) -> tuple[list[tuple[float, Image.Image]], Any]:
    """The frames, with their seconds, and the video as it was left."""
    found = BlobInfo("0" * 64, len(content), sniff(content))
    with open_video(BytesIO(content), found, max_pixels, check_alive) as video:
        frames = [(seconds, video.convert(frame)) for seconds, frame in video.decode()]
        assert video.measure_position() <= 1
        return frames, video


@pytest.mark.parametrize("kind", KINDS)
def test_every_container_and_codec_gives_all_frames_in_order(kind: str):
    frames, video = look(make_video(draw_greys(12), kind))
    greys = [find_middle_grey(picture) for _, picture in frames]
    assert greys == pytest.approx([grey_of(number) for number in range(12)], abs=6)
    assert [seconds for seconds, _ in frames] == pytest.approx(
        [number / 25 for number in range(12)], abs=0.002
    )
    assert (video.fps, video.frames, video.damaged) == (25, 12, False)


@pytest.mark.parametrize("kind", ["mp4-h264", "webm-vp9", "mkv-h264"])
def test_frames_keep_their_uneven_times(kind: str):
    times = [0, 0.04, 0.5, 0.54, 2.0]
    frames, _ = look(make_video(draw_greys(5), kind, times=times))
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=0.002)


def test_times_begin_with_the_first_frame():
    frames, _ = look(make_video(draw_greys(3), "mkv-h264", times=[7.0, 7.5, 8.0]))
    assert [seconds for seconds, _ in frames] == pytest.approx([0, 0.5, 1.0], abs=0.002)


def test_a_frame_that_claims_to_come_a_day_later_comes_next():
    times = [0.0, 0.04, 24 * 3600.0, 24 * 3600.0 + 0.04]
    frames, video = look(make_video(draw_greys(4), "mkv-h264", times=times))
    seconds = [seconds for seconds, _ in frames]
    assert seconds == sorted(set(seconds))
    assert seconds[-1] < 10
    assert video.frames is None or video.frames >= 1


def test_an_odd_size_is_kept():
    [(_, picture)], _ = look(make_video(draw_greys(1, (63, 37)), "avi-mjpeg"))
    assert picture.size == (63, 37)


@pytest.mark.parametrize("kind", ["mp4-h264", "webm-vp8", "avi-mpeg4"])
def test_a_video_over_the_pixel_limit_is_refused_with_its_size(kind: str):
    content = make_video(draw_greys(1, (320, 200)), kind)
    with pytest.raises(InvalidInput, match="320 x 200 pixels"):
        look(content, max_pixels=320 * 200 - 1)
    assert len(look(content, max_pixels=320 * 200)[0]) == 1


def test_a_video_has_a_limit_of_its_own_below_that_of_pictures():
    """A decoder keeps more than one frame."""
    content = make_video(draw_greys(1, (4096, 2320)))
    with pytest.raises(InvalidInput, match=f"{MOST_PIXELS} in all"):
        look(content, max_pixels=10**9)


@pytest.mark.parametrize("pixels", [128 * 128 - 1, 64 * 64])  # just below, and far below
def test_frames_that_grow_over_the_limit_are_left_out(pixels: int):
    """JPEGs of two sizes in one stream, which says it has the small one."""
    small, large = (make_video(draw_greys(1, size), "avi-mjpeg") for size in [(64, 64), (128, 128)])
    grown = BytesIO()
    with av.open(grown, "w", format="avi") as container:
        target = None
        for content in (small, large, small):
            with av.open(BytesIO(content)) as source:
                stream = source.streams.video[0]
                target = target or container.add_stream_from_template(stream)
                for packet in source.demux(stream):
                    if packet.size:
                        packet.stream, packet.pts, packet.dts = target, None, None
                        container.mux(packet)
    frames, video = look(grown.getvalue(), max_pixels=pixels)
    assert [picture.size for _, picture in frames] == [(64, 64), (64, 64)]
    assert video.damaged
    assert len(look(grown.getvalue())[0]) == 3


@pytest.mark.parametrize("kind", ["mkv-h264", "webm-vp9", "avi-mpeg4"])
def test_a_video_that_is_cut_off_gives_the_frames_before(kind: str):
    content = make_video(draw_greys(40, (128, 128)), kind)
    frames, _ = look(content[: len(content) * 2 // 3])
    assert 5 < len(frames) < 40
    assert find_middle_grey(frames[1][1]) == pytest.approx(grey_of(1), abs=6)


def test_an_mp4_without_its_index_is_refused_with_advice():
    content = make_video(draw_greys(10))
    with pytest.raises(InvalidInput, match="Convert it to MP4"):
        look(content[: len(content) // 2])


def test_damage_in_the_middle_costs_the_frames_it_hits():
    content = bytearray(make_video(draw_greys(30, (128, 128)), "avi-mjpeg"))
    start = content.find(b"\xff\xd8", len(content) // 2)
    content[start : start + 200] = bytes(200)
    frames, video = look(bytes(content))
    assert 25 <= len(frames) < 30
    assert video.damaged


@pytest.mark.parametrize("kind", KINDS)
def test_no_damage_does_more_than_lose_frames(kind: str):
    """Every so many bytes are overwritten: it is refused, or decoded as far as it goes."""
    whole = make_video(draw_greys(6), kind)
    for step in (3, 17, 101, 499):
        for start in (40, len(whole) // 3):
            content = bytearray(whole)
            content[start::step] = bytes(len(content[start::step]))
            try:
                frames, _ = look(bytes(content), max_pixels=10**6)
            except InvalidInput:
                continue
            assert all(picture.width * picture.height <= 10**6 for _, picture in frames)


@pytest.mark.parametrize(
    "content",
    [
        b"\0\0\0\x18ftypmp42",
        b"\0\0\0\x08moov",
        b"\x1aE\xdf\xa3",
        b"\x1aE\xdf\xa3" + bytes(1000),
        b"RIFF\x24\0\0\0AVI LIST",
        make_movie(),
    ],
    ids=["ftyp", "moov", "ebml", "ebml-zeros", "riff", "no-frames"],
)
def test_a_file_without_frames_is_refused(content: bytes):
    with pytest.raises(InvalidInput, match="Convert it to MP4"):
        look(content)


def test_an_unknown_codec_is_refused_with_the_known_ones():
    with pytest.raises(InvalidInput, match=r"known are H\.264, .* Motion JPEG"):
        look(make_movie(coding=b"apcn"))  # Apple ProRes


def test_a_codec_nobody_knows_is_refused():
    with pytest.raises(InvalidInput):
        look(make_movie(coding=b"zzzz"))


def test_a_file_with_sound_alone_is_refused():
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        stream = container.add_stream("aac", rate=44100)
        frame = av.AudioFrame(format="fltp", layout="mono", samples=1024)
        frame.rate = 44100
        frame.planes[0].update(bytes(4096))
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    with pytest.raises(InvalidInput, match="no moving pictures"):
        look(file.getvalue())


def test_a_file_that_points_to_another_does_not_open_it():
    content = make_movie(reference=make_reference("secret.mp4"))
    asked: list[str] = []

    def note(url: str, _flags: int, _options: dict[str, str]) -> BytesIO:
        asked.append(url)
        raise PermissionError(url)

    with pytest.raises(PermissionError):  # FFmpeg would, if it were allowed to
        av.open(BytesIO(content), "r", options={"enable_drefs": "1"}, io_open=note)
    assert asked == ["secret.mp4"]
    with pytest.raises(InvalidInput):
        look(content)


@pytest.mark.parametrize("content", [b"#EXTM3U\n/etc/passwd\n", b"ffconcat version 1.0\nfile a\n"])
def test_a_list_of_files_is_no_video(content: bytes):
    assert sniff(content) not in FORMATS
    for media_type in FORMATS:
        found = BlobInfo("0" * 64, len(content), media_type)
        with pytest.raises(InvalidInput), open_video(BytesIO(content), found, 10**6, stay):
            pass


def test_a_job_is_stopped_between_packets():
    calls = 0

    def stop_soon() -> None:
        nonlocal calls
        calls += 1
        if calls == 5:
            raise Cancelled

    with pytest.raises(Cancelled):
        look(make_video(draw_greys(30)), check_alive=stop_soon)
    assert calls == 5


def test_a_video_that_does_not_say_how_many_frames_it_has_is_read_to_its_end():
    file = BytesIO()
    live = {"live": "1"}  # as a browser records: no duration, no index
    with av.open(file, "w", format="webm", options=live) as container:
        stream = container.add_stream("libvpx", rate=10)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuv420p"
        for picture in draw_greys(9):
            container.mux(stream.encode(av.VideoFrame.from_image(picture)))
        container.mux(stream.encode(None))
    frames, video = look(file.getvalue())
    assert len(frames) == 9
    assert video.frames is None


def test_a_cover_picture_is_not_the_video():
    file = BytesIO()
    with av.open(file, "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.disposition = Disposition.attached_pic
        cover.width = cover.height = 32
        cover.pix_fmt = "yuvj420p"
        moving = container.add_stream("libx264", rate=25)
        moving.width = moving.height = 64
        moving.pix_fmt = "yuv420p"
        container.start_encoding()
        container.mux(cover.encode(av.VideoFrame.from_image(Image.new("RGB", (32, 32)))))
        container.mux(cover.encode(None))
        for picture in draw_greys(6):
            container.mux(moving.encode(av.VideoFrame.from_image(picture)))
        container.mux(moving.encode(None))
    frames, _ = look(file.getvalue())
    assert [picture.size for _, picture in frames] == [(64, 64)] * 6
