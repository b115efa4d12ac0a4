"""Objects in the frames of a video: told while it is read, kept in files at the end."""

import json
import weakref
from collections.abc import Callable
from io import BytesIO
from typing import Any

import av
import pytest
from PIL import Image

from tests.workers.detect.desk import Desk
from tests.workers.detect.videos import draw_greys, make_video, make_zip, pan, write_png
from workers.detect import footage, frame_lines, stream_tasks, video_out
from workers.detect.footage import Frame
from workers.detect.objects_contract import ObjectsRequest
from workers.detect.objects_tasks import objects
from workers.detect.stream_contract import FrameView, StreamRequest, StreamResult
from workers.detect.stream_tasks import stream
from workers.runtime.images import decode
from workers.runtime.run import Cancelled


@pytest.fixture(scope="session")
def cats(photo: Callable[[str], bytes]) -> list[Image.Image]:
    """A window that moves over the face of a cat: every frame has it."""
    return pan(decode(photo("chelsea.png")), 20, (400, 300))


def ask(desk: Desk, content: bytes, **options: Any) -> StreamResult:
    return desk.do(stream, StreamRequest(video=desk.add(content), **options))


def read_lines(desk: Desk, result: StreamResult) -> list[FrameView]:
    lines = desk.read(result.results).decode().splitlines()
    return [FrameView.model_validate_json(line) for line in lines]


def read_video(desk: Desk, result: StreamResult) -> list[tuple[float, Image.Image]]:
    with av.open(BytesIO(desk.read(result.annotated))) as container:
        return [(frame.time, frame.to_image()) for frame in container.decode(video=0)]


def test_the_cat_is_found_in_every_frame(desk: Desk, cats: list[Image.Image]):
    result = ask(desk, make_video(cats, fps=10))
    lines = read_lines(desk, result)
    assert [line.frame for line in lines] == list(range(20))
    assert [line.seconds for line in lines] == [number / 10 for number in range(20)]
    assert [line.line for line in lines] == list(range(20))
    assert {line.model for line in lines} == {"nanodet-g"}
    assert all("cat" in [box.label for box in line.boxes] for line in lines)
    assert (result.model, result.frames, result.fps) == ("nanodet-g", 20, 10)
    assert (result.width, result.height) == (400, 300)
    assert result.objects["cat"] >= 20
    assert not result.cut
    assert not result.damaged


def test_a_frame_has_the_boxes_that_its_picture_has(sqlite_desk: Desk, cats: list[Image.Image]):
    """Frames that share a pass do not mix."""
    files = {f"{number}.png": write_png(picture) for number, picture in enumerate(cats)}
    lines = read_lines(sqlite_desk, ask(sqlite_desk, make_zip(files), annotate=False))
    for number in (0, 7, 8, 19):
        picture = sqlite_desk.add(files[f"{number}.png"])
        alone = sqlite_desk.do(objects, ObjectsRequest(picture=picture))
        assert len(alone.boxes) == len(lines[number].boxes) > 0
        for box, same in zip(alone.boxes, lines[number].boxes, strict=True):
            assert box.xyxy == pytest.approx(same.xyxy, abs=0.05)


def test_the_lines_are_told_in_order_while_it_runs(sqlite_desk: Desk, cats: list[Image.Image]):
    result = ask(sqlite_desk, make_video(cats))
    assert sqlite_desk.lines == [
        json.loads(line) for line in sqlite_desk.read(result.results).decode().splitlines()
    ]


def test_the_annotated_video_has_every_frame_at_its_time(
    sqlite_desk: Desk, cats: list[Image.Image]
):
    times = [0.0, 0.1, 0.15, 1.0, 1.2]
    result = ask(sqlite_desk, make_video(cats[:5], "mkv-h264", times=times))
    frames = read_video(sqlite_desk, result)
    assert [seconds for seconds, _ in frames] == pytest.approx(times, abs=0.002)
    lines = read_lines(sqlite_desk, result)
    assert [line.seconds for line in lines] == pytest.approx(times, abs=0.002)
    zoom = frames[0][1].width / 400
    box = lines[0].boxes[0]
    left, middle = box.xyxy[0] * zoom, (box.xyxy[1] + box.xyxy[3]) / 2 * zoom
    drawn = frames[0][1].getpixel((round(left), round(middle)))
    bare = cats[0].resize(frames[0][1].size).getpixel((round(left), round(middle)))
    assert sum(abs(one - other) for one, other in zip(drawn, bare, strict=True)) > 100


def test_only_every_so_many_frames_are_looked_at(sqlite_desk: Desk, cats: list[Image.Image]):
    result = ask(sqlite_desk, make_video(cats, fps=10), every=7)
    assert [line.frame for line in read_lines(sqlite_desk, result)] == [0, 7, 14]
    assert result.frames == 3
    times = [seconds for seconds, _ in read_video(sqlite_desk, result)]
    assert times == pytest.approx([0, 0.7, 1.4], abs=0.002)


@pytest.mark.parametrize(("most", "cut"), [(5, True), (20, False), (100, False)])
def test_it_ends_after_the_frames_that_were_asked_for(
    most: int, cut: bool, sqlite_desk: Desk, cats: list[Image.Image]
):
    result = ask(sqlite_desk, make_video(cats), max_frames=most, annotate=False)
    assert (result.frames, result.cut) == (min(most, 20), cut)
    assert result.reason == ("max_frames" if cut else None)
    assert sqlite_desk.progress[-1] == 1


@pytest.mark.parametrize(("most", "cut"), [(2, True), (3, False)])
def test_it_is_cut_only_if_another_frame_was_to_be_looked_at(
    most: int, cut: bool, sqlite_desk: Desk
):
    """Of frames 0, 7 and 14 the last is not the end of the video."""
    result = ask(sqlite_desk, make_video(draw_greys(20)), every=7, max_frames=most)
    assert (result.frames, result.cut) == (most, cut)


@pytest.mark.parametrize(("module", "most"), [(frame_lines, 3000), (video_out, 20_000)])
def test_it_ends_where_a_file_is_as_long_as_may_be(
    module: Any, most: int, sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(module, "MOST_BYTES", most)
    noise = [Image.effect_noise((320, 240), 200).convert("RGB") for _ in range(80)]
    result = ask(sqlite_desk, make_video(noise), score_threshold=0.01)
    assert 0 < result.frames < 80
    assert (result.cut, result.reason) == (True, "size")
    assert len(read_lines(sqlite_desk, result)) == result.frames
    assert len(read_video(sqlite_desk, result)) == result.frames


def test_wishes_are_those_of_pictures(sqlite_desk: Desk, cats: list[Image.Image]):
    content = make_video(cats[:3])
    loose = ask(sqlite_desk, content, score_threshold=0.01, classes=["dog"], model="yolov3-tiny")
    assert set(loose.objects) == {"dog"}
    assert loose.model == "yolov3-tiny"
    strict = ask(sqlite_desk, content, score_threshold=0.999)
    assert strict.objects == {}
    one = ask(sqlite_desk, content, score_threshold=0.01, max_detections=1)
    assert [len(line.boxes) for line in read_lines(sqlite_desk, one)] == [1, 1, 1]


def test_unknown_labels_and_models_are_refused(sqlite_desk: Desk):
    video = sqlite_desk.add(make_video(draw_greys(1)))
    code, text = sqlite_desk.refuse(stream, StreamRequest(video=video, classes=["kat"]))
    assert code == "invalid_input"
    assert "cat" in text
    code, _ = sqlite_desk.refuse(stream, StreamRequest(video=video, model="birds@1"))
    assert code == "unknown_model"


def test_without_annotate_there_is_no_video(sqlite_desk: Desk):
    assert ask(sqlite_desk, make_video(draw_greys(3)), annotate=False).annotated is None


def test_a_video_of_one_pixel_is_answered(sqlite_desk: Desk):
    """As MJPEG, which can have that size."""
    result = ask(sqlite_desk, make_video(draw_greys(3, (1, 1)), "avi-mjpeg"))
    assert (result.width, result.height, result.frames) == (1, 1, 3)
    assert len(read_video(sqlite_desk, result)) == 3


def test_a_damaged_end_is_told(sqlite_desk: Desk):
    content = bytearray(make_video(draw_greys(20, (128, 128)), "avi-mjpeg"))
    start = content.find(b"\xff\xd8", len(content) // 2)
    content[start : start + 300] = bytes(300)
    result = ask(sqlite_desk, bytes(content))
    assert result.damaged
    assert 10 < result.frames < 20


def test_a_video_that_is_gone_is_refused(sqlite_desk: Desk):
    code, text = sqlite_desk.refuse(stream, StreamRequest(video="0" * 64))
    assert code == "invalid_input"
    assert "Upload it again" in text


def test_another_tenants_video_is_gone_too(sqlite_desk: Desk):
    video = Desk(sqlite_desk.worker).add(make_video(draw_greys(1)))
    assert sqlite_desk.refuse(stream, StreamRequest(video=video))[0] == "invalid_input"


def test_progress_names_the_frames_and_shows_one(sqlite_desk: Desk, cats: list[Image.Image]):
    ask(sqlite_desk, make_video(cats))
    assert sqlite_desk.progress == [0.4, 0.8, 1.0]
    assert sqlite_desk.steps[0]["step"].startswith("frame 8 of 20, ")
    preview = decode(sqlite_desk.read(sqlite_desk.steps[0]["preview"]))
    assert max(preview.size) == 640


def test_a_job_is_stopped_before_the_next_frames(sqlite_desk: Desk, cats: list[Image.Image]):
    sqlite_desk.stops = lambda: len(sqlite_desk.steps) == 1
    with pytest.raises(Cancelled):
        ask(sqlite_desk, make_video(cats))
    assert len(sqlite_desk.steps) == 1


def test_large_frames_get_smaller_batches(
    sqlite_desk: Desk, cats: list[Image.Image], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(stream_tasks, "BATCH_PIXELS", 400 * 300 * 3)
    ask(sqlite_desk, make_video(cats), annotate=False)
    assert len(sqlite_desk.steps) == 7


def test_no_more_frames_are_kept_than_are_looked_at_together(
    sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch
):
    made: list[weakref.ref[Frame]] = []
    most = 0

    class CountedFrame(Frame):
        def __init__(self, *what: Any) -> None:
            nonlocal most
            super().__init__(*what)
            made.append(weakref.ref(self))
            most = max(most, sum(frame() is not None for frame in made))

    monkeypatch.setattr(footage, "Frame", CountedFrame)
    ask(sqlite_desk, make_video(draw_greys(40)))
    assert len(made) == 40
    assert most <= stream_tasks.BATCH + 1
