"""Too much is refused with the time to wait, and what was refused left nothing."""

import time

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from services.gateway import admission
from tests.services.gateway.clients import check_problem, context_of, count_rows, submit
from tests.services.gateway.conftest import MakeApp, MakeClient
from tests.services.gateway.stand_in import StandIn

MIX = "/v1/shop/mix"


@pytest.fixture
def small(make_app: MakeApp, sqlite_database_url: str) -> APIFlask:
    """Three jobs of a tenant may wait."""
    return make_app(sqlite_database_url, max_queued=3)


@pytest.fixture
def slow(make_app: MakeApp, sqlite_database_url: str) -> APIFlask:
    """Five requests of a key per two seconds."""
    return make_app(sqlite_database_url, rate_limit="5 per 2 second")


def test_a_full_queue_refuses_until_a_job_starts(
    small: APIFlask, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admission, "FRESH", 0.05)
    client = make_client(small)
    jobs = [submit(client) for _ in range(3)]
    for _ in range(2):
        answer = client.post(MIX, json={}, headers={"Idempotency-Key": "key"})
        problem = check_problem(answer, 429, "queue-full")
        assert problem["position"] == 3
        assert int(answer.headers["Retry-After"]) >= 1
    assert count_rows(small) == (3, 0, 0)
    StandIn(context_of(small)).start(jobs[0])
    time.sleep(0.1)
    submit(client)
    check_problem(client.post(MIX, json={}), 429, "queue-full")


def test_a_repeated_submit_gets_its_job_also_when_the_queue_is_full(
    small: APIFlask, make_client: MakeClient
):
    client = make_client(small)
    job = submit(client, headers={"Idempotency-Key": "first"})
    for _ in range(2):
        submit(client)
    assert submit(client, headers={"Idempotency-Key": "first"}) == job
    answer = client.post(MIX, json={}, headers={"Idempotency-Key": "second"})
    check_problem(answer, 429, "queue-full")


def test_one_tenant_does_not_fill_the_queue_of_another(small: APIFlask, make_client: MakeClient):
    ann, bob = make_client(small, "ann"), make_client(small, "bob")
    for _ in range(3):
        submit(ann)
    check_problem(ann.post(MIX, json={}), 429, "queue-full")
    submit(bob)


def test_refused_submits_take_no_place_in_the_queue(
    small: APIFlask, make_client: MakeClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(admission, "FRESH", 0.05)
    client = make_client(small)
    for _ in range(10):
        assert client.post(MIX, json={"nonsense": 1}).status_code in (422, 429)
    time.sleep(0.1)
    for _ in range(3):
        submit(client)


def test_everything_else_works_while_the_queue_is_full(small: APIFlask, make_client: MakeClient):
    client = make_client(small)
    jobs = [submit(client) for _ in range(3)]
    assert client.get("/v1/jobs").status_code == 200
    assert client.post("/v1/blobs", data=b"x").status_code == 201
    assert client.post(f"/v1/jobs/{jobs[0]}/cancel").json["state"] == "cancelled"


def test_too_many_requests_wait_as_long_as_retry_after_says(
    slow: APIFlask, make_client: MakeClient
):
    client = make_client(slow)
    answers = [client.post(MIX, json={}) for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    accepted = [answer for answer in answers if answer.status_code == 202]
    assert len(accepted) + len(refused) == 12
    assert 5 <= len(accepted) <= 10  # ten if the window ended on the way
    for answer in refused:
        check_problem(answer, 429, "rate-limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 3
    assert count_rows(slow) == (len(accepted), 0, 0)
    time.sleep(int(refused[-1].headers["Retry-After"]))
    submit(client)


def test_each_key_has_a_rate_of_its_own(slow: APIFlask, make_client: MakeClient):
    greedy, modest = make_client(slow, "ann"), make_client(slow, "ann")
    assert 429 in [greedy.get("/v1/jobs").status_code for _ in range(11)]
    assert modest.get("/v1/jobs").status_code == 200


def test_the_rate_is_limited_without_redis_too(
    make_app: MakeApp, sqlite_database_url: str, make_client: MakeClient
):
    app = make_app(
        sqlite_database_url, rate_limit="5 per 2 second", redis_url="redis://127.0.0.1:1/0"
    )
    client = make_client(app)
    answers = [client.get("/v1/jobs") for _ in range(12)]
    refused = [answer for answer in answers if answer.status_code == 429]
    assert 2 <= len(refused) <= 7
    for answer in refused:
        check_problem(answer, 429, "rate-limited")
        assert 1 <= int(answer.headers["Retry-After"]) <= 3


def test_without_a_limit_nothing_is_refused(client: FlaskClient):
    assert {client.get("/v1/jobs").status_code for _ in range(50)} == {200}
