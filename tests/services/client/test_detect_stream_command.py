"""`atelier detect stream`: a line for each frame, once and in order, whatever happens to events."""

import json
import os
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import DRAWN, FakeApi, JobFailed
from tests.services.client.fake_detect import FakeDetect, make_line
from workers.detect.stream_contract import StreamRequest

pytestmark = pytest.mark.usefixtures("detect")

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bears.mp4").write_bytes(b"a video of bears")
    return "bears.mp4"


def tell(*parts: range) -> list[tuple[str, str, dict[str, Any]]]:
    """The events of a job: its lines, one range of frames after the other."""
    progress = ("0", "progress", {"fraction": 0.5, "step": "frame 4", "preview": None})
    lines = [[make_line(frame) for frame in part] for part in parts]
    return [progress] + [(str(n + 1), "partial", {"lines": told}) for n, told in enumerate(lines)]


def count_downloads(api: FakeApi) -> int:
    return sum(path.startswith("/v1/blobs/") for _, path, _ in api.requests)


@pytest.mark.parametrize(
    ("told", "lost", "downloads"),
    [
        (tell(range(3), range(3, 8)), 0, 0),
        (tell(range(3), range(4, 6), range(7, 8)), 1, 1),  # frame 3 was lost, then 6
        (tell(range(2, 8)), 2, 1),  # the first were
        (tell(range(5)), 0, 1),  # the last were
        (tell(), 0, 1),
        (tell(range(4), range(6), range(6, 8)), 0, 0),  # the job started again
        (tell(range(2), range(4, 6), range(8)), 2, 1),  # both
    ],
    ids=["whole", "gap", "late", "short", "silent", "again", "gap and again"],
)
def test_each_frame_is_a_line_once_and_in_order(
    run: CliRunner, detect: FakeDetect, video: str, told: Any, lost: int, downloads: int
) -> None:
    detect.api.events = told
    result = run.invoke(app, ["detect", "stream", video])
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        make_line(frame) for frame in range(8)
    ]
    gap = f"{lost} frames are not shown live; the rest follows at the end.\n"
    assert result.stderr == gap * (lost > 0) + "8 frames, nanodet-g: 8 x bear.\n"
    assert count_downloads(detect.api) == downloads
    (request,) = detect.requests("stream")
    assert detect.api.blobs[request["video"]] == b"a video of bears"
    assert request["annotate"] is False


def test_frames_may_be_left_out(run: CliRunner, detect: FakeDetect, video: str) -> None:
    lines = [make_line(frame, line) for line, frame in enumerate(range(0, 24, 3))]
    detect.api.events = [("0", "partial", {"lines": lines})]
    result = run.invoke(app, ["detect", "stream", video, "--every", "3"])
    frames = [json.loads(line)["frame"] for line in result.stdout.splitlines()]
    assert frames == list(range(0, 24, 3))
    assert count_downloads(detect.api) == 0


def test_the_video_with_boxes_is_saved_and_the_totals_are_the_last_line(
    run: CliRunner, video: str
) -> None:
    result = run.invoke(app, ["detect", "stream", video, "--save", "boxes.mp4", "--json"])
    assert result.exit_code == 0, result.output
    assert Path("boxes.mp4").read_bytes() == DRAWN
    *lines, totals = map(json.loads, result.stdout.splitlines())
    assert len(lines) == 8
    assert (totals["saved"], totals["objects"]) == ("boxes.mp4", {"bear": 8})
    assert result.stderr == ""


def test_every_option_of_the_contract_can_be_chosen(
    run: CliRunner, detect: FakeDetect, video: str
) -> None:
    looks = ["--model", "nanodet-g", "--score", "0.1", "--iou", "0.7", "--max", "3"]
    more = ["--class", "bear", "--class-agnostic", "--decay", "linear", "--every", "2"]
    ends = ["--max-frames", "9", "--fps", "5"]
    assert run.invoke(app, ["detect", "stream", video, *looks, *more, *ends]).exit_code == 0
    (request,) = detect.requests("stream")
    chosen = StreamRequest.model_validate(request).model_dump()
    default = StreamRequest(video=request["video"]).model_dump()
    assert {name for name in chosen if chosen[name] == default[name]} == {"video"}


def test_a_folder_of_pictures_is_sent_as_a_zip(
    run: CliRunner, detect: FakeDetect, tmp_path: Path
) -> None:
    for name in ("b.jpg", "a.png", "notes.txt", ".hidden.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    assert run.invoke(app, ["detect", "stream", str(tmp_path)]).exit_code == 0
    (request,) = detect.requests("stream")
    with zipfile.ZipFile(BytesIO(detect.api.blobs[request["video"]])) as archive:
        assert archive.namelist() == ["a.png", "b.jpg"]


@pytest.mark.parametrize(
    "arguments",
    [
        ["missing.mp4"],
        ["bears.mp4", "--save", "no/boxes.mp4"],
        ["bears.mp4", "--save", "."],
        ["bears.mp4", "--max", "1001"],
        ["bears.mp4", "--class", "x" * 201],
        ["bears.mp4", "--max-frames", "200001"],
    ],
)
def test_what_cannot_be_done_is_a_usage_error_before_the_work(
    run: CliRunner, detect: FakeDetect, video: str, arguments: list[str]
) -> None:
    assert video in os.listdir()
    assert run.invoke(app, ["detect", "stream", *arguments]).exit_code == 2
    assert not detect.api.jobs
    assert not detect.api.blobs


def test_frames_that_could_not_be_decoded_are_said(
    run: CliRunner, detect: FakeDetect, video: str
) -> None:
    answer = detect.api.answers["detect.stream"]
    detect.api.answers["detect.stream"] = lambda asked: answer(asked) | {"damaged": True}
    assert "damaged" in run.invoke(app, ["detect", "stream", video]).stderr


@pytest.mark.parametrize(("reason", "said"), [("max_frames", "--max-frames"), ("size", "--every")])
def test_a_video_that_was_cut_is_said_and_why(
    run: CliRunner, detect: FakeDetect, video: str, reason: str, said: str
) -> None:
    answer = detect.api.answers["detect.stream"]
    cut = {"cut": True, "reason": reason}
    detect.api.answers["detect.stream"] = lambda asked: answer(asked) | cut
    assert said in run.invoke(app, ["detect", "stream", video]).stderr


@pytest.mark.parametrize("told", [range(8), range(2)], ids=["told", "told in part"])
def test_lines_of_another_detector_are_not_mixed_with_those_before(
    run: CliRunner, detect: FakeDetect, video: str, told: range
) -> None:
    """The job began again after another version was put in use."""
    detect.add("bears@2")
    before = [make_line(frame, model="bears@1") for frame in range(4)]
    lines = [make_line(frame, model="bears@2") for frame in told]
    detect.api.events = [("0", "partial", {"lines": before}), ("1", "partial", {"lines": lines})]
    result = run.invoke(app, ["detect", "stream", video, "--model", "bears"])
    assert result.exit_code == 0, result.output
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        *before,
        *[make_line(frame, model="bears@2") for frame in range(8)],
    ]
    again = "The job began again with bears@2: its lines follow at the end.\n"
    assert result.stderr.startswith(
        again + "The lines so far are of bears@1. Here are all again, of bears@2.\n"
    )


def test_a_failure_is_said_after_the_lines_that_came(
    run: CliRunner, detect: FakeDetect, video: str
) -> None:
    def fail(_: dict[str, Any]) -> dict[str, Any]:
        raise JobFailed("invalid_input", "The video breaks off.")

    detect.api.answers["detect.stream"] = fail
    detect.api.events = tell(range(3))
    result = run.invoke(app, ["detect", "stream", video])
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 3
    assert result.stderr == "invalid_input: The video breaks off.\n"


@contextmanager
def running(video: str) -> Iterator[subprocess.Popen[str]]:
    child = subprocess.Popen(
        [sys.executable, "-m", "services.client.cli", "detect", "stream", video],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.communicate()


def test_lines_come_while_the_job_runs_and_ctrl_c_stops_it(detect: FakeDetect, video: str) -> None:
    detect.api.hold = True
    detect.api.events = tell(range(3))
    with running(video) as child:
        assert child.stdout is not None
        lines = [json.loads(child.stdout.readline()) for _ in range(3)]
        assert lines == [make_line(frame) for frame in range(3)]
        (job,) = detect.api.jobs.values()
        assert job["finished_at"] is None
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=20)
    assert child.returncode == 130
    assert f"Cancelled: job {job['id']}." in stderr
    assert "Traceback" not in stderr
    assert job["state"] == "cancelled"


def test_a_reader_who_leaves_stops_the_job(detect: FakeDetect, video: str) -> None:
    detect.api.hold = True
    detect.api.events = tell(*[range(frame, frame + 1) for frame in range(2000)])
    with running(video) as child:
        assert child.stdout is not None
        child.stdout.readline()
        child.stdout.close()
        ends = time.monotonic() + 20
        while child.poll() is None:
            assert time.monotonic() < ends
            time.sleep(0.02)
    (job,) = detect.api.jobs.values()
    assert job["state"] == "cancelled"
