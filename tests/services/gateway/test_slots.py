"""Only so many event streams are open at once, and each leaves its slot when it closes."""

import time

import pytest
from apiflask import APIFlask

from tests.services.gateway.clients import (
    check_problem,
    context_of,
    follow_job,
    read_events,
    submit,
)
from tests.services.gateway.conftest import MakeApp, MakeClient
from tests.services.gateway.stand_in import StandIn


@pytest.fixture
def two_slots(make_app: MakeApp, sqlite_database_url: str) -> APIFlask:
    return make_app(sqlite_database_url, max_streams=2)


@pytest.mark.parametrize("read", [0, 1, 2])
def test_a_stream_too_many_is_refused_until_a_client_leaves(
    two_slots: APIFlask, make_client: MakeClient, read: int
):
    client = make_client(two_slots)
    job = submit(client)
    for _ in range(3):
        opened = [follow_job(client, job, buffered=False) for _ in range(2)]
        for response in opened:
            assert response.status_code == 200
            chunks = response.iter_encoded()
            assert len([next(chunks) for _ in range(read)]) == read
        refused = follow_job(client, job)
        check_problem(refused, 503, "too-many-streams")
        assert int(refused.headers["Retry-After"]) >= 1
        for response in opened:
            response.close()


def test_streams_that_end_or_never_begin_leave_their_slots(
    two_slots: APIFlask, make_client: MakeClient
):
    client, worker = make_client(two_slots), StandIn(context_of(two_slots))
    job = submit(client)
    worker.work(job)
    for _ in range(3):
        assert len(read_events(follow_job(client, job))) == 3
        assert client.head(f"/v1/jobs/{job}/events").status_code == 200
        assert client.get("/v1/jobs/unknown/events").status_code == 404


def test_a_wait_too_many_is_answered_at_once(two_slots: APIFlask, make_client: MakeClient):
    client = make_client(two_slots)
    job = submit(client)
    opened = [follow_job(client, job, buffered=False) for _ in range(2)]
    started = time.monotonic()
    answer = client.post("/v1/shop/mix", json={}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 202
    assert time.monotonic() - started < 15
    for response in opened:
        response.close()
