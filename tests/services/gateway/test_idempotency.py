"""The same Idempotency-Key is the same job, however often and from wherever it comes."""

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from shared.keys import create_key
from tests.services.gateway.clients import check_problem, context_of, count_rows, open_client
from tests.services.gateway.conftest import MakeClient
from tests.services.gateway.stand_in import StandIn

MIX = "/v1/shop/mix"
KEYS = 1000 if os.environ.get("ATELIER_FULL") == "1" else 100
RACERS = 20


def send(client: FlaskClient, key: str, path: str = MIX, **body: Any) -> Any:
    return client.post(path, json=body, headers={"Idempotency-Key": key})


def test_the_same_key_and_request_is_the_same_job(each_app: APIFlask, make_client: MakeClient):
    client = make_client(each_app)
    first = send(client, "key", text="a")
    assert first.status_code == 202
    for again in (
        send(client, "key", text="a"),
        send(client, "key", text="a", number=0),  # the default, spelt out
        client.post(
            MIX,
            data={"text": "a"},
            content_type="multipart/form-data",
            headers={"Idempotency-Key": "key"},
        ),
    ):
        assert again.status_code == 202
        assert again.json == first.json
        assert again.headers["Location"] == first.headers["Location"]
    assert count_rows(each_app)[:2] == (1, 1)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        (MIX, {"text": "b"}),
        (MIX, {}),
        (f"{MIX}?priority=high", {"text": "a"}),
        (f"{MIX}?deadline=60", {"text": "a"}),
        ("/v1/mail/send", {"file": "data:,a"}),
    ],
)
def test_the_same_key_with_another_request_is_refused(
    each_app: APIFlask, make_client: MakeClient, path: str, body: dict[str, Any]
):
    client = make_client(each_app)
    send(client, "key", text="a")
    check_problem(send(client, "key", path, **body), 422, "idempotency-key-reused")
    assert count_rows(each_app)[:2] == (1, 1)
    assert send(client, "key2", path, **body).status_code == 202


def test_a_file_sent_again_is_the_same_request(client: FlaskClient):
    first = send(client, "key", "/v1/mail/send", file="data:,hello")
    assert send(client, "key", "/v1/mail/send", file="data:;base64,aGVsbG8=").json == first.json
    other = send(client, "key", "/v1/mail/send", file="data:,other")
    check_problem(other, 422, "idempotency-key-reused")


def test_each_tenant_has_keys_of_its_own(each_app: APIFlask, make_client: MakeClient):
    ann, bob = make_client(each_app, "ann"), make_client(each_app, "bob")
    first, second = send(ann, "key", text="a"), send(bob, "key", text="b")
    assert first.status_code == second.status_code == 202
    assert first.json["id"] != second.json["id"]
    assert send(bob, "key", text="b").json["id"] == second.json["id"]


def test_two_keys_of_one_tenant_share_its_names(app: APIFlask, make_client: MakeClient):
    one, two = make_client(app, "ann"), make_client(app, "ann")
    assert send(one, "key", text="a").json == send(two, "key", text="a").json


def test_a_finished_job_answers_its_key(client: FlaskClient, worker: StandIn):
    job = send(client, "key", text="a").json["id"]
    worker.work(job, {"text": "done"})
    again = send(client, "key", text="a")
    assert (again.status_code, again.json["id"]) == (202, job)
    assert again.json["result"] == {"text": "done"}


def test_a_refused_submit_does_not_take_the_key(app: APIFlask, client: FlaskClient):
    assert send(client, "key", nonsense=1).status_code == 422
    assert count_rows(app) == (0, 0, 0)
    assert send(client, "key", text="a").status_code == 202


@pytest.mark.parametrize("key", ["", " ", "a b", "x" * 201, "é", "\t"])
def test_odd_keys_are_refused(app: APIFlask, client: FlaskClient, key: str):
    check_problem(send(client, key, text="a"), 422, "invalid-request")
    assert count_rows(app) == (0, 0, 0)


@pytest.mark.parametrize("key", ["!", "~" * 200, "'; DROP TABLE jobs;--", "%00"])
def test_any_visible_ascii_is_a_key(each_app: APIFlask, make_client: MakeClient, key: str):
    client, key = make_client(each_app), key.replace(" ", "_")
    assert send(client, key, text="a").json == send(client, key, text="a").json
    assert count_rows(each_app)[:2] == (1, 1)


def race(times: int, racers: int, run: Callable[[int, int], Any]) -> list[list[Any]]:
    """run(turn, racer) for every turn, all racers at once; the answers by turn."""
    start = threading.Barrier(racers, timeout=60)

    def follow(racer: int) -> list[Any]:
        answers = []
        for turn in range(times):
            start.wait()
            answers.append(run(turn, racer))
        return answers

    with ThreadPoolExecutor(racers) as threads:
        by_racer = list(threads.map(follow, range(racers)))
    return [list(answers) for answers in zip(*by_racer, strict=True)]


def test_racing_submits_with_one_key_make_one_job(each_app: APIFlask):
    with context_of(each_app).sessions.begin() as session:
        key = create_key(session, "ann", "test", ["*"])
    clients = [open_client(each_app, key) for _ in range(RACERS)]

    def submit(turn: int, racer: int) -> tuple[int, str]:
        answer = send(clients[racer], f"key-{turn}", number=turn)
        return answer.status_code, answer.json.get("id")

    answers = race(KEYS, RACERS, submit)
    assert {status for turn in answers for status, _ in turn} == {202}
    assert [len({job for _, job in turn}) for turn in answers] == [1] * KEYS
    assert len({turn[0][1] for turn in answers}) == KEYS
    assert count_rows(each_app)[:2] == (KEYS, KEYS)


def test_of_racing_requests_with_one_key_one_wins(each_app: APIFlask):
    with context_of(each_app).sessions.begin() as session:
        key = create_key(session, "ann", "test", ["*"])
    clients = [open_client(each_app, key) for _ in range(8)]
    turns = 10

    def submit(turn: int, racer: int) -> int:
        return int(send(clients[racer], f"key-{turn}", number=racer).status_code)

    assert [sorted(turn) for turn in race(turns, 8, submit)] == [[202] + [422] * 7] * turns
    assert count_rows(each_app)[:2] == (turns, turns)
