"""Follows the event stream of a job through dropped connections."""

import time
from collections.abc import Iterator

import httpx2

from services.client.job import JobEvent
from services.client.problems import Problem, Unreachable, raise_problem
from services.client.transport import BROKEN, CONNECT, READ, Transport

SILENCE = 45.0  # seconds; the server sends a comment every 15
STEADY = 5.0  # seconds; a stream that lived this long was a working one


def follow(transport: Transport, job_id: str, last_event_id: str | None) -> Iterator[JobEvent]:
    """Every event once, in order, up to the one that ends the job."""
    patience = transport.patience()
    while True:
        opened = time.monotonic()
        try:
            for event in _read_stream(transport, job_id, last_event_id):
                patience.reset()
                last_event_id = event.id or last_event_id
                yield event
                if event.last:
                    return
            error: Exception = Unreachable("the event stream ended before the job did")
        except (*BROKEN, Problem) as broken:
            error = broken
        if time.monotonic() - opened > STEADY:
            patience.reset()  # a quiet job, and a proxy that cuts quiet streams
        patience.pause_after(error)


def _read_stream(
    transport: Transport, job_id: str, last_event_id: str | None
) -> Iterator[JobEvent]:
    headers = {"Accept": "text/event-stream", "Cache-Control": "no-store"}
    if last_event_id:
        headers["Last-Event-ID"] = last_event_id
    timeout = httpx2.Timeout(READ, connect=CONNECT, read=SILENCE)
    path = f"/v1/jobs/{job_id}/events"
    with transport.http.stream("GET", path, headers=headers, timeout=timeout) as response:
        if not response.is_success:
            response.read()
            raise_problem(response)
        for event in httpx2.EventSource(response):
            if event.data:
                data = event.json()
                yield JobEvent(event.id, event.event, data if isinstance(data, dict) else {})
