"""With Redis, the database or the file store away, every answer is still honest."""

import shutil
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import quantiles

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from services.gateway import auth
from services.gateway.hub import Hub
from tests.servers import Valkey, run_valkey
from tests.services.gateway.clients import (
    check_problem,
    context_of,
    count_rows,
    read_events,
    submit,
)
from tests.services.gateway.conftest import MakeApp, MakeClient
from tests.services.gateway.outage import Switch
from tests.services.gateway.stand_in import StandIn

MIX = "/v1/shop/mix"


@pytest.fixture
def broker() -> Iterator[Valkey]:
    with run_valkey() as server:
        yield server


@pytest.fixture
def brittle(make_app: MakeApp, sqlite_database_url: str, broker: Valkey) -> APIFlask:
    """An application whose Redis the test may stop."""
    return make_app(sqlite_database_url, redis_url=broker.url)


@pytest.fixture
def postgres(postgres_url: str, postgres_database_url: str) -> Iterator[Switch]:
    switch = Switch(postgres_url, postgres_database_url)
    yield switch
    switch.turn_on()


def time_submits(client: FlaskClient, count: int) -> list[float]:
    """Seconds of each of `count` accepted submits."""
    seconds = []
    for _ in range(count):
        started = time.monotonic()
        submit(client)
        seconds.append(time.monotonic() - started)
    return seconds


def test_without_redis_submits_are_accepted_and_fast(
    brittle: APIFlask, make_client: MakeClient, broker: Valkey
):
    client = make_client(brittle)
    submit(client)
    broker.stop()
    seconds = time_submits(client, 100)
    assert quantiles(seconds, n=100)[-1] < 0.5
    assert count_rows(brittle)[0] == 101
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (200, "degraded")
    assert ready.json["checks"] == {"database": "ok", "broker": "ConnectionError", "blobs": "ok"}
    assert b"atelier_broker_up 0.0" in client.get("/metrics").data


def test_with_a_frozen_redis_few_submits_are_slow(
    brittle: APIFlask, make_client: MakeClient, broker: Valkey
):
    client = make_client(brittle)
    submit(client)
    broker.freeze()
    try:
        seconds = time_submits(client, 40)
    finally:
        broker.thaw()
    assert max(seconds) < 5
    assert sum(second > 0.5 for second in seconds) <= 4


def test_without_redis_jobs_are_read_cancelled_waited_for_and_followed(
    brittle: APIFlask, make_client: MakeClient, broker: Valkey, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(Hub, "patience", 0.05)
    client, worker = make_client(brittle), StandIn(context_of(brittle))
    broker.stop()
    done, left = submit(client), submit(client)
    ending = threading.Timer(0.3, worker.work, [done])
    ending.start()
    waited = client.get(f"/v1/jobs/{done}", headers={"Prefer": "wait=10"})
    ending.join()
    assert waited.json["state"] == "succeeded"
    assert [e.kind for e in read_events(client.get(f"/v1/jobs/{done}/events"))] == ["succeeded"]
    assert client.post(f"/v1/jobs/{left}/cancel").json["state"] == "cancelled"
    assert len(client.get("/v1/jobs").json["items"]) == 2


def test_when_redis_is_back_the_gateway_uses_it_again(
    brittle: APIFlask, make_client: MakeClient, broker: Valkey
):
    client, worker = make_client(brittle), StandIn(context_of(brittle))
    broker.stop()
    submit(client)
    broker.start()
    time.sleep(1.1)  # it tries again after a second
    assert client.get("/readyz").json["status"] == "ready"
    job = submit(client)
    worker.work(job)
    kinds = [event.kind for event in read_events(client.get(f"/v1/jobs/{job}/events"))]
    assert kinds == ["queued", "running", "succeeded"]


def test_without_postgres_everything_is_an_honest_503(
    make_app: MakeApp,
    make_client: MakeClient,
    postgres_database_url: str,
    postgres: Switch,
):
    app = make_app(postgres_database_url)
    client = make_client(app)
    job = submit(client)
    postgres.turn_off()
    for method, path in (
        ("POST", MIX),
        ("GET", "/v1/jobs"),
        ("GET", f"/v1/jobs/{job}"),
        ("POST", f"/v1/jobs/{job}/cancel"),
        ("GET", f"/v1/jobs/{job}/events"),
        ("POST", "/v1/blobs"),
        ("GET", "/v1/blobs/" + "0" * 64),
        ("GET", "/metrics"),
    ):
        body = {"json": {}} if path == MIX else {"data": b"x"} if method == "POST" else {}
        answer = client.open(path, method=method, **body)
        check_problem(answer, 503, "database-unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    ready = client.get("/readyz")
    assert (ready.status_code, ready.json["status"]) == (503, "unavailable")
    assert client.get("/healthz").status_code == 200
    postgres.turn_on()
    assert client.get("/readyz").json["status"] == "ready"
    assert client.get(f"/v1/jobs/{job}").json["state"] == "queued"
    assert count_rows(app) == (1, 0, 0)


def submit_until(stop: threading.Event, client: FlaskClient, name: str) -> list[tuple]:
    """(idempotency key, request, answer) of every submit until then."""
    sent = []
    for number in range(100_000):
        if stop.is_set():
            break
        headers = {"Idempotency-Key": f"{name}-{number}"}
        answer = client.post(MIX, json={"number": number}, headers=headers)
        sent.append((headers, {"number": number}, answer))
    return sent


def test_a_202_is_never_a_phantom(
    make_app: MakeApp,
    make_client: MakeClient,
    postgres_database_url: str,
    postgres: Switch,
):
    app = make_app(postgres_database_url)
    clients = [make_client(app) for _ in range(4)]
    stop = threading.Event()
    with ThreadPoolExecutor(4) as threads:
        racing = [threads.submit(submit_until, stop, c, str(n)) for n, c in enumerate(clients)]
        for _ in range(3):
            time.sleep(0.3)
            postgres.turn_off()
            time.sleep(0.2)
            postgres.turn_on()
        time.sleep(0.3)
        stop.set()
    sent = [item for future in racing for item in future.result()]

    assert {answer.status_code for _, _, answer in sent} == {202, 503}
    for headers, body, answer in sent:
        # A 503 leaves the client in doubt: the same key settles it.
        settled = clients[0].post(MIX, json=body, headers=headers)
        assert settled.status_code == 202
        assert answer.status_code == 503 or settled.json["id"] == answer.json["id"]
    assert count_rows(app)[:2] == (len(sent), len(sent))


def test_with_a_broken_sqlite_file_submits_are_an_honest_503(
    app: APIFlask, client: FlaskClient, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    submit(client)
    context_of(app).sessions.engine.dispose()
    for old in tmp_path.glob("atelier.db-*"):
        old.unlink()
    (tmp_path / "atelier.db").write_bytes(b"not a database" * 1000)
    check_problem(client.post(MIX, json={}), 503, "database-unavailable")
    monkeypatch.setattr(auth, "FRESH", 0)
    check_problem(client.get("/v1/jobs"), 503, "database-unavailable")
    assert client.get("/readyz").json["status"] == "unavailable"


def test_without_the_file_store_uploads_are_refused_and_jobs_without_files_go_on(
    app: APIFlask, client: FlaskClient, tmp_path: Path
):
    shutil.rmtree(tmp_path / "blobs")
    (tmp_path / "blobs").write_text("in the way")
    for answer in (
        client.post("/v1/blobs", data=b"x"),
        client.post("/v1/mail/send", json={"file": "data:,x"}),
    ):
        check_problem(answer, 507, "storage-unavailable")
        assert int(answer.headers["Retry-After"]) >= 1
    assert count_rows(app) == (0, 0, 0)
    submit(client)
