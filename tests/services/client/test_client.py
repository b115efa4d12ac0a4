"""The client against a real HTTP server that fails on demand."""

import hashlib
import time
from pathlib import Path
from threading import Thread

import pytest

from services.client import Client, ClientError, NotConfigured, Problem, Unreachable
from services.client.problems import Stopped
from shared.settings import read_settings
from tests.services.client.fake_api import KEY, FakeApi, drop, refuse

SUBMIT = ("POST", "/v1/detect/objects")


def test_a_file_is_uploaded_submitted_and_waited_for(
    client: Client, api: FakeApi, tmp_path: Path
) -> None:
    photo = tmp_path / "dog.jpg"
    photo.write_bytes(b"dog")
    blob = client.upload(photo)
    assert blob["id"] == hashlib.sha256(b"dog").hexdigest()
    job = client.submit("detect.objects", {"picture": blob["id"]}, priority="high", deadline=9)
    assert job.state == "queued"
    ended = client.wait(job.id, timeout=10)
    assert ended.succeeded
    assert ended.result is not None
    assert ended.result["boxes"][0]["label"] == "dog"
    assert ended.seconds == pytest.approx(1.5)
    assert api.jobs[job.id]["priority"] == "high"


def test_bytes_and_empty_files_can_be_uploaded(client: Client) -> None:
    assert client.upload(b"abc")["size"] == 3
    assert client.upload(b"")["size"] == 0


def test_a_large_file_is_streamed_with_its_length(
    client: Client, api: FakeApi, tmp_path: Path
) -> None:
    photo = tmp_path / "large.jpg"
    photo.write_bytes(b"x" * 3_000_000)
    assert client.upload(photo)["size"] == 3_000_000
    headers = next(headers for _, path, headers in api.requests if path == "/v1/blobs")
    assert headers["Content-Length"] == "3000000"
    assert "Transfer-Encoding" not in headers


def test_wait_in_the_submit_answers_with_the_end(client: Client, api: FakeApi) -> None:
    job = client.submit("detect.objects", {"picture": "p"}, wait=4.2)
    assert job.succeeded
    headers = next(headers for _, path, headers in api.requests if path == SUBMIT[1])
    assert headers["Prefer"] == "wait=5"


def test_files_and_fields_go_in_one_request(client: Client, api: FakeApi, tmp_path: Path) -> None:
    photo = tmp_path / "dog.jpg"
    photo.write_bytes(b"dog")
    fields = {"annotate": True, "iou_threshold": 0.5, "classes": ["dog"], "x": None}
    api.fail_next(*SUBMIT, drop)  # the second attempt has to send the file again
    job = client.submit_files("detect.objects", {"picture": photo}, fields)
    asked = api.jobs[job.id]["request"]
    assert api.blobs[asked.pop("picture")] == b"dog"
    assert asked == {"annotate": "true", "iou_threshold": "0.5", "classes": '["dog"]'}


@pytest.mark.parametrize("fault", [drop, refuse(429, Retry_After="0"), refuse(503)])
def test_a_submit_whose_answer_is_lost_makes_one_job(
    client: Client, api: FakeApi, fault: object
) -> None:
    api.fail_next(*SUBMIT, fault, fault)
    job = client.submit("detect.objects", {"picture": "p"})
    assert api.count(*SUBMIT) == 3
    assert list(api.jobs) == [job.id]


def test_two_submits_make_two_jobs_unless_they_share_a_key(client: Client) -> None:
    first = client.submit("detect.objects", {"picture": "p"})
    second = client.submit("detect.objects", {"picture": "p"})
    third = client.submit("detect.objects", {"picture": "p"}, idempotency_key="mine")
    fourth = client.submit("detect.objects", {"picture": "p"}, idempotency_key="mine")
    assert len({first.id, second.id, third.id}) == 3
    assert fourth.id == third.id


def test_retry_after_is_respected(client: Client, api: FakeApi) -> None:
    api.fail_next("GET", "/v1/tasks", refuse(429, Retry_After="1"))
    started = time.monotonic()
    assert client.tasks()[0]["name"] == "detect.objects"
    assert time.monotonic() - started >= 1


def test_a_server_that_stays_busy_is_given_up_on_in_time(api: FakeApi) -> None:
    api.fail_next("GET", "/v1/tasks", *[refuse(429, Retry_After="60")] * 2)
    started = time.monotonic()
    with Client(api.address, KEY, timeout=5) as client, pytest.raises(Problem) as caught:
        client.tasks()
    assert time.monotonic() - started < 3  # a minute cannot fit, so it does not wait at all
    assert caught.value.status == 429
    assert caught.value.retry_after == 60
    assert api.count("GET", "/v1/tasks") == 1


def test_an_error_answer_becomes_a_problem_and_is_not_repeated(
    client: Client, api: FakeApi
) -> None:
    with pytest.raises(Problem) as caught:
        client.job("f" * 32)
    problem = caught.value
    assert problem.type == "urn:atelier:problem:unknown-job"
    assert (problem.title, problem.status) == ("unknown-job", 404)
    assert problem.detail == "There is no such job."
    assert api.count("GET", f"/v1/jobs/{'f' * 32}") == 1


def test_a_server_that_is_not_there_is_reported_with_the_next_step() -> None:
    started = time.monotonic()
    with (
        Client("http://127.0.0.1:9", KEY, timeout=0.5) as client,
        pytest.raises(Unreachable, match="atelier up"),
    ):
        client.tasks()
    assert time.monotonic() - started < 3


def test_something_else_behind_the_address_is_said_so(client: Client, api: FakeApi) -> None:
    from flask import Response

    api.fail_next("GET", "/v1/tasks", lambda: Response("<h1>Welcome</h1>", 200))
    with pytest.raises(ClientError, match="address"):
        client.tasks()


def test_a_download_is_complete_or_absent(client: Client, api: FakeApi, tmp_path: Path) -> None:
    blob_id = api.add_blob(b"picture" * 50_000)
    path = client.download(blob_id, tmp_path / "p.jpg")
    assert path.read_bytes() == b"picture" * 50_000
    api.blobs[blob_id] = b"something else"
    with pytest.raises(ClientError, match="damaged"):
        client.download(blob_id, tmp_path / "q.jpg")
    with pytest.raises(Problem, match="unknown-blob"):
        client.download("0" * 64, tmp_path / "r.jpg")
    assert [file.name for file in tmp_path.iterdir()] == ["p.jpg"]


def test_waiting_ends_at_its_time_limit(client: Client, api: FakeApi) -> None:
    api.hold = True
    job = client.submit("detect.objects", {"picture": "p"})
    started = time.monotonic()
    with pytest.raises(TimeoutError, match="running"):
        client.wait(job.id, timeout=0.3)
    assert 0.3 <= time.monotonic() - started < 2
    assert client.cancel(job.id).state == "cancelled"
    assert client.wait(job.id).reason == "cancelled"


def test_stopping_wakes_a_thread_that_waits(client: Client, api: FakeApi) -> None:
    api.hold = True
    job = client.submit("detect.objects", {"picture": "p"})
    caught = []

    def wait() -> None:
        try:
            client.wait(job.id)
        except Stopped as stopped:
            caught.append(stopped)

    thread = Thread(target=wait)
    thread.start()
    time.sleep(0.2)
    client.stop()
    thread.join(timeout=3)
    assert caught


def test_jobs_are_fetched_page_by_page(client: Client, api: FakeApi) -> None:
    made = [client.submit("detect.objects", {"picture": "p"}).id for _ in range(5)]
    assert [job.id for job in client.jobs(page=2)] == made
    assert api.count("GET", "/v1/jobs") == 3


def test_events_resume_where_the_connection_broke(client: Client, api: FakeApi) -> None:
    job = client.submit("detect.objects", {"picture": "p"})
    api.events = [
        ("1-0", "queued", {}),
        ("2-0", "running", {}),
        ("3-0", "progress", {"fraction": 0.5}),
        ("4-0", "succeeded", {"state": "succeeded"}),
    ]
    api.cut_after = [1, 0, 2]
    events = list(client.events(job.id))
    assert [(event.id, event.name) for event in events] == [
        ("1-0", "queued"),
        ("2-0", "running"),
        ("3-0", "progress"),
        ("4-0", "succeeded"),
    ]
    assert events[2].data == {"fraction": 0.5}
    asked = [
        headers.get("Last-Event-Id")
        for _, path, headers in api.requests
        if path.endswith("/events")
    ]
    assert asked == [None, "1-0", "1-0", "3-0"]


def test_events_can_start_after_one_already_seen(client: Client, api: FakeApi) -> None:
    job = client.submit("detect.objects", {"picture": "p"})
    api.events = [("1-0", "running", {}), ("2-0", "failed", {})]
    assert [event.name for event in client.events(job.id, "1-0")] == ["failed"]


def test_events_of_a_stream_that_never_works_are_given_up_on(api: FakeApi) -> None:
    with Client(api.address, KEY, timeout=0.6) as client:
        job = client.submit("detect.objects", {"picture": "p"})
        with pytest.raises(Unreachable):
            list(client.events(job.id))  # every stream ends without an event


def test_address_and_key_come_from_the_local_stack(api: FakeApi, tmp_path: Path) -> None:
    home = tmp_path / "stack"
    home.mkdir()
    (home / "address").write_text(api.address + "\n")
    (home / "api-key").write_text(KEY + "\n")
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("ATELIER_URL")
        patch.delenv("ATELIER_KEY")
        patch.setenv("ATELIER_HOME", str(home))
        read_settings.cache_clear()
        with Client() as client:
            assert client.address == api.address
            assert client.tasks()


def test_without_a_stack_the_next_step_is_named() -> None:
    with pytest.raises(NotConfigured, match="atelier up"):
        Client()
    with pytest.raises(NotConfigured, match="ATELIER_KEY"):
        Client("https://atelier.example")


def test_the_key_of_this_machine_is_not_sent_elsewhere(tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / "api-key").write_text(KEY)
    Client("localhost:8000").close()
    with pytest.raises(NotConfigured):
        Client("https://atelier.example")
