"""One job of a command, watched to its end."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import typer

from services.client import Client
from services.client.job import Job
from services.client.problems import Unreachable
from services.client.watch import Watch, run_task
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_faces import FakeFaces

ROOT = Path(__file__).parents[3]


def test_the_result_is_answered_and_what_was_not_given_is_not_sent(
    client: Client, faces: FakeFaces
) -> None:
    view = run_task(client, "faces.create", {"collection": "staff", "retention": None})
    assert view["collection"] == "staff"
    assert faces.requests("create") == [{"collection": "staff"}]


@pytest.mark.usefixtures("faces")
def test_a_failure_is_said_and_ends_the_command(
    client: Client, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(typer.Exit) as ended:
        run_task(client, "faces.stats", {"collection": "nowhere"})
    assert ended.value.exit_code == 1
    assert "unknown_collection" in capsys.readouterr().err


@pytest.mark.usefixtures("faces")
def test_a_lost_server_cancels_nothing(
    client: Client, api: FakeApi, capsys: pytest.CaptureFixture[str]
) -> None:
    def lose_server() -> None:
        with Watch(client, "stats") as watch:
            watch.submit("faces.stats", {"collection": "staff"})
            raise Unreachable

    with pytest.raises(Unreachable):
        lose_server()
    (job,) = api.jobs.values()
    assert f"Job {job['id']} may go on" in capsys.readouterr().err
    assert job["state"] == "queued"


@pytest.mark.usefixtures("faces")
def test_ctrl_c_while_a_job_is_submitted_cancels_it_too(
    client: Client, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    send, calls = client.submit, []

    def submit(*request: Any, **options: Any) -> Job:
        calls.append(send(*request, **options))
        if len(calls) == 1:
            raise KeyboardInterrupt
        return calls[-1]

    def begin() -> None:
        with Watch(client, "stats") as watch:
            watch.submit("faces.stats", {"collection": "staff"})

    monkeypatch.setattr(client, "submit", submit)
    with pytest.raises(KeyboardInterrupt):
        begin()
    assert [job["state"] for job in api.jobs.values()] == ["cancelled"]


@pytest.mark.usefixtures("faces")
def test_ctrl_c_cancels_the_job(api: FakeApi) -> None:
    api.hold = True
    api.events = [("1", "progress", {"fraction": 0.5, "step": "half", "preview": None})]
    child = subprocess.Popen(
        [sys.executable, "-m", "services.client.cli", "faces", "calibrate", "staff"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        deadline = time.monotonic() + 20
        while not any(path.endswith("/events") for _, path, _ in api.requests):
            assert time.monotonic() < deadline
            time.sleep(0.02)
        time.sleep(0.2)
        child.send_signal(signal.SIGINT)
        _, stderr = child.communicate(timeout=20)
    finally:
        child.kill()
        child.wait()
    assert child.returncode == 130, stderr
    (job,) = api.jobs.values()
    assert f"Cancelled: job {job['id']}." in stderr
    assert "Traceback" not in stderr
    assert job["state"] == "cancelled"
