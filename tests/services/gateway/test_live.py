"""What only a real server shows: sockets that break, bodies without a length, whole jobs."""

import re
import socket
import time
from typing import Any

import httpx2
import pytest

from shared.events import Event
from tests.services.gateway.live import STREAMS, Live

PICTURE = (
    "data:image/png;base64,"
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNoAAAAggCBd81ytgAAAABJRU5ErkJggg=="
)


@pytest.fixture
def api(live: Live) -> Any:
    with live.open() as client:
        yield client


def test_a_job_travels_to_a_worker_and_back(api: httpx2.Client):
    answer = api.post("/v1/echo/say", json={"text": "hi"}, headers={"Prefer": "wait=2"})
    for _ in range(20):
        if answer.json()["state"] == "succeeded":
            break
        answer = api.get(f"/v1/jobs/{answer.json()['id']}", headers={"Prefer": "wait=2"})
    assert answer.json()["result"] == {"text": "hi", "size": 0}


def test_a_file_travels_too(api: httpx2.Client):
    sent = {"files": {"file": b"x" * 1000}, "data": {"text": "[1]"}}
    job = api.post("/v1/echo/say", **sent).json()["id"]
    with api.stream("GET", f"/v1/jobs/{job}/events") as stream:
        kinds = re.findall(r"event: (\w+)", "".join(stream.iter_text()))
    assert kinds == ["queued", "running", "succeeded"]
    assert api.get(f"/v1/jobs/{job}").json()["result"] == {"text": "[1]", "size": 1000}


def test_clients_that_go_away_leave_their_slots(live: Live, api: httpx2.Client):
    # No detect worker runs here, so the job stays queued and its streams stay open.
    job = api.post("/v1/detect/objects", json={"picture": PICTURE}).json()["id"]
    path = f"/v1/jobs/{job}/events"
    opened = [open_stream(live, path) for _ in range(STREAMS)]
    with api.stream("GET", path) as answer:
        assert answer.status_code == 503
    for stream in opened:
        stream.close()
    ends_at = time.monotonic() + 20
    status = 0
    while status != 200:
        assert time.monotonic() < ends_at
        live.events.publish([Event(job, "progress")])  # a write shows that nobody reads
        time.sleep(0.1)
        with api.stream("GET", path) as answer:
            status = answer.status_code


def open_stream(live: Live, path: str) -> socket.socket:
    stream = connect(live)
    request = f"GET {path} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {live.key}\r\n\r\n"
    stream.sendall(request.encode())
    assert stream.recv(100).startswith(b"HTTP/1.1 200")
    return stream


def connect(live: Live) -> socket.socket:
    host, port = live.url.removeprefix("http://").split(":")
    return socket.create_connection((host, int(port)), timeout=10)


def test_a_body_without_a_length_is_stored_up_to_the_limit(api: httpx2.Client):
    def chunks(count: int) -> Any:
        for _ in range(count):
            yield b"x" * 100_000

    assert api.post("/v1/blobs", content=chunks(9)).json()["size"] == 900_000
    try:
        refused = api.post("/v1/blobs", content=chunks(11))
    except httpx2.TransportError:
        return  # the server hung up before the client had sent everything
    assert refused.status_code == 413


NO_HTTP = {
    "a word": b"GARBAGE\r\n\r\n",
    "another version": b"GET / HTTP/9.9\r\n\r\n",
    "a space in a name": b"GET /healthz HTTP/1.1\r\nHost: x\r\nBad Header: y\r\n\r\n",
    "a negative length": b"POST /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n",
    "two lengths": b"POST /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n"
    b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "a long address": b"GET /" + b"x" * 10_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n",
    "many headers": b"GET /healthz HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 500 + b"\r\n",
    "zeros": b"\0" * 100,
}


@pytest.mark.parametrize("case", NO_HTTP)
def test_what_is_no_http_is_refused(live: Live, api: httpx2.Client, case: str):
    with connect(live) as connection:
        connection.sendall(NO_HTTP[case])
        connection.shutdown(socket.SHUT_WR)
        answer = b""
        while chunk := connection.recv(10_000):
            answer += chunk
    assert not answer or re.match(rb"HTTP/1\.[01] (4\d\d|50[15])", answer), answer
    assert api.get("/healthz").status_code == 200


def test_half_a_request_blocks_nobody(live: Live, api: httpx2.Client):
    slow = [connect(live) for _ in range(20)]
    for connection in slow:
        connection.sendall(b"POST /v1/blobs HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nx")
    started = time.monotonic()
    for _ in range(10):
        assert api.get("/healthz").status_code == 200
    assert time.monotonic() - started < 5
    for connection in slow:
        connection.close()
