"""`atelier jobs` from the command line."""

import json

import pytest
from typer.testing import CliRunner

from services.client import Client
from services.client.cli import app
from tests.services.client.fake_api import FakeApi


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def job_ids(client: Client) -> list[str]:
    return [client.submit("detect.objects", {"picture": "p"}).id for _ in range(3)]


def test_jobs_are_listed(run: CliRunner, job_ids: list[str]) -> None:
    result = run.invoke(app, ["jobs", "list", "--limit", "2"])
    assert result.exit_code == 0, result.output
    rows = [line.split("\t") for line in result.stdout.splitlines()]
    assert [row[:3] for row in rows] == [[id, "detect.objects", "queued"] for id in job_ids[:2]]


def test_jobs_are_listed_as_json(run: CliRunner, job_ids: list[str]) -> None:
    result = run.invoke(app, ["jobs", "list", "--json"])
    assert [json.loads(line)["id"] for line in result.stdout.splitlines()] == job_ids


def test_a_job_is_shown(run: CliRunner, job_ids: list[str]) -> None:
    result = run.invoke(app, ["jobs", "show", job_ids[0]])
    assert f"id\t{job_ids[0]}" in result.stdout
    assert "state\trunning" in result.stdout
    shown = run.invoke(app, ["jobs", "show", job_ids[0], "--json"])
    assert json.loads(shown.stdout)["result"]["boxes"][0]["label"] == "dog"


def test_waiting_shows_each_job_once_it_ended(run: CliRunner, job_ids: list[str]) -> None:
    result = run.invoke(app, ["jobs", "wait", *job_ids, "--json"])
    assert result.exit_code == 0
    states = [json.loads(line)["state"] for line in result.stdout.splitlines()]
    assert states == ["succeeded"] * 3


def test_waiting_fails_if_a_job_did_not_succeed(run: CliRunner, job_ids: list[str]) -> None:
    cancelled = run.invoke(app, ["jobs", "cancel", job_ids[1]])
    assert cancelled.stdout == f"{job_ids[1]}\tcancelled\n"
    assert run.invoke(app, ["jobs", "wait", *job_ids]).exit_code == 1


def test_waiting_too_long_is_said(run: CliRunner, api: FakeApi, job_ids: list[str]) -> None:
    api.hold = True
    result = run.invoke(app, ["jobs", "wait", *job_ids, "--timeout", "0.2"])
    assert result.exit_code == 1
    assert result.stderr == f"Job {job_ids[0]} is still running.\n"


def test_events_are_followed_to_the_end(run: CliRunner, api: FakeApi, job_ids: list[str]) -> None:
    api.events = [
        ("1", "progress", {"fraction": 0.5, "step": "half", "preview": None}),
        ("2", "succeeded", {}),
    ]
    result = run.invoke(app, ["jobs", "events", job_ids[0]])
    assert result.stdout == "progress\tfraction=0.5 step=half\nsucceeded\n"
    as_json = run.invoke(app, ["jobs", "events", job_ids[0], "--json", "--after", "1"])
    assert json.loads(as_json.stdout) == {"id": "2", "event": "succeeded", "data": {}}


@pytest.mark.usefixtures("api")
def test_an_unknown_job_is_said(run: CliRunner) -> None:
    result = run.invoke(app, ["jobs", "show", "f" * 32])
    assert result.exit_code == 1
    assert result.stderr == "unknown-job: There is no such job.\n"
