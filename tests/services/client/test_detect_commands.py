"""`atelier detect` as people and programs use it."""

import json
import os
import signal
import subprocess
import sys
import time
from itertools import count
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import DRAWN, KEY, FakeApi, drop, refuse

ROOT = Path(__file__).parents[3]


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for name in ("a.jpg", "b.png", "c.JPEG"):
        (folder / name).write_bytes(name.encode())
    (folder / "notes.txt").write_text("not a picture")
    return folder


def test_a_folder_gives_a_row_for_each_picture_in_it(
    run: CliRunner, api: FakeApi, photos: Path
) -> None:
    result = run.invoke(app, ["detect", str(photos)])
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert sorted(Path(row[0]).name for row in rows) == ["a.jpg", "b.png", "c.JPEG"]
    assert {row[1] for row in rows} == {"dog 0.91"}
    assert all(row[2].endswith(" s") for row in rows)
    assert "\x1b" not in result.output  # no colours, no bar: this is not a terminal
    assert len(api.jobs) == 3


def test_json_is_one_object_a_photo_and_nothing_else(
    run: CliRunner, api: FakeApi, photos: Path
) -> None:
    (photos / "a.jpg").write_bytes(b"broken")
    options = [
        "--model",
        "yolov3-tiny",
        "--score",
        "0.3",
        "--iou",
        "0.5",
        "--max",
        "7",
        "--class",
        "dog",
        "--json",
    ]
    result = run.invoke(app, ["detect", str(photos / "*.*g"), "--priority", "low", *options])
    assert result.exit_code == 1
    lines = {Path(line["photo"]).name: line for line in map(json.loads, result.stdout.splitlines())}
    assert set(lines) == {"a.jpg", "b.png"}
    assert lines["b.png"]["result"]["boxes"][0]["label"] == "dog"
    assert lines["b.png"]["state"] == "succeeded"
    assert lines["a.jpg"]["error"] == "invalid_input: The picture is damaged."
    job = api.jobs[lines["b.png"]["job"]]
    assert job["priority"] == "low"
    del job["request"]["picture"]
    assert job["request"] == {
        "model": "yolov3-tiny",
        "score_threshold": 0.3,
        "iou_threshold": 0.5,
        "max_detections": 7,
        "classes": ["dog"],
    }


def test_failures_are_listed_with_their_reasons(run: CliRunner, api: FakeApi, photos: Path) -> None:
    (photos / "a.jpg").write_bytes(b"broken")
    api.fail_next("POST", "/v1/blobs", refuse(413))
    one_at_a_time = ["--parallel", "1"]
    result = run.invoke(app, ["detect", str(photos / "c.JPEG"), str(photos), *one_at_a_time])
    assert result.exit_code == 1
    assert f"{photos / 'c.JPEG'}: busy: Come back later." in result.stderr
    assert f"{photos / 'a.jpg'}: invalid_input: The picture is damaged." in result.stderr
    assert "of 3 failed." in result.stderr


def test_annotated_pictures_are_saved_under_names_of_their_own(
    run: CliRunner, api: FakeApi, photos: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "a.png").write_bytes(b"another a")
    saved = tmp_path / "new" / "saved"
    result = run.invoke(app, ["detect", str(photos), str(other), "--save", str(saved), "--json"])
    assert result.exit_code == 0, result.output
    assert sorted(file.name for file in saved.iterdir()) == ["a-2.jpg", "a.jpg", "b.jpg", "c.jpg"]
    assert {file.read_bytes() for file in saved.iterdir()} == {DRAWN}
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert {line["saved"] for line in lines} == {str(file) for file in saved.iterdir()}
    assert all(job["request"]["annotate"] for job in api.jobs.values())


def test_no_wait_prints_the_job_ids_and_leaves(run: CliRunner, api: FakeApi, photos: Path) -> None:
    api.hold = True
    result = run.invoke(app, ["detect", str(photos), "--no-wait"])
    assert result.exit_code == 0
    assert sorted(result.stdout.split()) == sorted(api.jobs)
    assert not any(path.endswith("/cancel") for _, path, _ in api.requests)


def test_five_hundred_photos_go_through_a_small_window(
    run: CliRunner, api: FakeApi, tmp_path: Path
) -> None:
    for number in range(500):
        (tmp_path / f"{number:03}.jpg").write_bytes(f"photo {number}".encode())
    api.fail_next("POST", "/v1/blobs", drop, refuse(503))
    api.fail_next("POST", "/v1/detect/objects", drop, refuse(429, Retry_After="0"), drop)
    result = run.invoke(app, ["detect", str(tmp_path / "*.jpg"), "--json", "--parallel", "16"])
    assert result.exit_code == 0, result.stderr
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    assert len({line["photo"] for line in lines}) == 500
    assert len(api.jobs) == 500  # dropped answers made no second job
    assert 4 < api.most_open <= 16


def test_files_are_opened_only_as_there_is_room(api: FakeApi, tmp_path: Path) -> None:
    from services.client.batch import Batch, Plan
    from services.client.client import Client

    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"a")
    taken = count()
    endless = (photo for _ in taken)
    plan = Plan("detect.objects", lambda blob_id: {"picture": blob_id})
    with Client(api.address, KEY) as client, Batch(client, plan, parallel=4) as batch:
        outcomes = batch.outcomes(endless)
        for _ in range(20):
            assert next(outcomes).reason == ""
    assert next(taken) <= 20 + 2 * 4


@pytest.mark.parametrize(
    "arguments",
    [["nothing-*.jpg"], [], ["--parallel", "0", "x"], ["--score", "2", "x"], ["--model", "m", "x"]],
)
def test_nothing_to_do_is_a_usage_error(run: CliRunner, api: FakeApi, arguments: list[str]) -> None:
    result = run.invoke(app, ["detect", *arguments])
    assert result.exit_code == 2
    assert result.stdout == ""
    assert not api.requests


def test_saving_without_waiting_is_a_usage_error(
    run: CliRunner, photos: Path, tmp_path: Path
) -> None:
    result = run.invoke(app, ["detect", str(photos), "--no-wait", "--save", str(tmp_path)])
    assert result.exit_code == 2


def test_a_name_with_brackets_is_a_file_before_it_is_a_glob(
    run: CliRunner, api: FakeApi, tmp_path: Path
) -> None:
    (tmp_path / "[1].jpg").write_bytes(b"one")
    result = run.invoke(app, ["detect", str(tmp_path / "[1].jpg")])
    assert result.exit_code == 0
    assert len(api.jobs) == 1


def test_no_server_ends_with_three_and_says_what_to_do(run: CliRunner, photos: Path) -> None:
    result = run.invoke(app, ["detect", str(photos)])
    assert result.exit_code == 3
    assert "atelier up" in result.stderr


def test_a_server_that_went_away_ends_with_three(
    run: CliRunner, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("ATELIER_KEY", KEY)
    started = time.monotonic()
    result = run.invoke(app, ["detect", str(photos)])
    assert result.exit_code == 3
    assert "atelier up" in result.stderr
    assert time.monotonic() - started < 6


def test_a_wrong_key_ends_with_three_at_once(
    run: CliRunner, api: FakeApi, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ATELIER_KEY", "atl_wrong")
    result = run.invoke(app, ["detect", str(photos), "--json"])
    assert result.exit_code == 3
    assert "This key is not known." in result.stderr
    assert result.stdout == ""
    assert not api.jobs


def test_ctrl_c_cancels_what_is_under_way(api: FakeApi, tmp_path: Path) -> None:
    api.hold = True
    for number in range(40):
        (tmp_path / f"{number}.jpg").write_bytes(f"photo {number}".encode())
    command = [sys.executable, "-m", "services.client.cli", "detect", "*.jpg", "--parallel", "6"]
    child = subprocess.Popen(
        command,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 20
        while len(api.jobs) < 6 and time.monotonic() < deadline:
            time.sleep(0.02)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130, stderr
    assert "Cancelled 6 jobs." in stderr
    assert "Traceback" not in stderr
    assert len(api.jobs) == 6
    assert {job["state"] for job in api.jobs.values()} == {"cancelled"}
