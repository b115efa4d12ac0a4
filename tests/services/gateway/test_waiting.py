"""`Prefer: wait=N` answers with the outcome if there is one in time."""

import threading
import time

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from services.gateway.hub import Hub
from tests.services.gateway.clients import context_of, submit
from tests.services.gateway.conftest import MakeApp, MakeClient
from tests.services.gateway.stand_in import StandIn

MIX = "/v1/shop/mix"


def work_on_next(client: FlaskClient, worker: StandIn) -> threading.Thread:
    """Finishes the next job that appears, from another thread."""

    def work() -> None:
        while not (items := client.get("/v1/jobs?state=queued").json["items"]):
            time.sleep(0.01)
        worker.work(items[0]["id"], {"text": "done"})

    thread = threading.Thread(target=work)
    thread.start()
    return thread


@pytest.mark.parametrize("patience", [0.05, 15.0])  # looks again, or waits for the wake-up
def test_a_submit_answers_200_with_the_result(
    each_app: APIFlask, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch, patience: float
):
    monkeypatch.setattr(Hub, "patience", patience)
    client = make_client(each_app)
    working = work_on_next(make_client(each_app), StandIn(context_of(each_app)))
    started = time.monotonic()
    answer = client.post(MIX, json={}, headers={"Prefer": "wait=10"})
    working.join()
    assert answer.status_code == 200
    assert (answer.json["state"], answer.json["result"]) == ("succeeded", {"text": "done"})
    assert answer.headers["Preference-Applied"] == "wait=10"
    assert answer.headers["Location"] == f"/v1/jobs/{answer.json['id']}"
    assert time.monotonic() - started < 5


def test_a_submit_answers_202_when_the_time_is_over(client: FlaskClient):
    started = time.monotonic()
    answer = client.post(MIX, json={}, headers={"Prefer": "wait=1"})
    assert (answer.status_code, answer.json["state"]) == (202, "queued")
    assert answer.headers["Preference-Applied"] == "wait=1"
    assert 0.9 < time.monotonic() - started < 3


def test_a_failure_is_an_outcome_too(client: FlaskClient, worker: StandIn):
    job = submit(client)
    ending = threading.Timer(
        0.2, lambda: worker.finish(worker.start(job), error_code="invalid_input")
    )
    ending.start()
    answer = client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=10"})
    ending.join()
    assert (answer.status_code, answer.json["state"]) == (200, "failed")


def test_a_cancel_ends_the_wait(client: FlaskClient, app: APIFlask, make_client: MakeClient):
    job, other = submit(client), make_client(app)
    ending = threading.Timer(0.2, other.post, [f"/v1/jobs/{job}/cancel"])
    ending.start()
    answer = client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=10"})
    ending.join()
    assert answer.json["state"] == "cancelled"


def test_the_server_limits_the_wait(
    make_app: MakeApp, sqlite_database_url: str, make_client: MakeClient
):
    client = make_client(make_app(sqlite_database_url, max_wait=0.3))
    started = time.monotonic()
    answer = client.post(MIX, json={}, headers={"Prefer": "wait=999999"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "wait=0.3"
    assert time.monotonic() - started < 3


@pytest.mark.parametrize(
    "prefer",
    [
        "",
        "wait",
        "wait=",
        "wait=0",
        "wait=-1",
        "wait=1.5",
        "wait=soon",
        "wait=9999999",
        "await=10",
        "wait=10x",
        "respond-async",
        "\x80" * 1000,
    ],
)
def test_an_odd_preference_is_ignored(client: FlaskClient, prefer: str):
    answer = client.post(MIX, json={}, headers={"Prefer": prefer})
    assert answer.status_code == 202
    assert "Preference-Applied" not in answer.headers


def test_a_repeated_submit_waits_for_the_first_job(client: FlaskClient, worker: StandIn):
    headers = {"Idempotency-Key": "key"}
    job = submit(client, headers=headers)
    ending = threading.Timer(0.2, worker.work, [job])
    ending.start()
    request = {"json": {"text": "hello"}, "headers": {**headers, "Prefer": "wait=10"}}
    answer = client.post(MIX, **request)
    ending.join()
    assert (answer.status_code, answer.json["id"]) == (200, job)
    assert client.post(MIX, **request).status_code == 200  # at once
