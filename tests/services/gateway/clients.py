"""Speaks to the application under test, and looks into what it recorded."""

import base64
import io
import json
from dataclasses import dataclass
from typing import Any

from apiflask import APIFlask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from services.gateway.context import Context
from shared.tables import IdempotencyKey, Job, StoredBlob

PROBLEM = "application/problem+json"
PNG = b"\x89PNG\r\n\x1a\n" + b"not really a picture, but it starts like one"


@dataclass(frozen=True)
class Sent:
    """One server-sent event; id "" for a snapshot."""

    kind: str
    data: dict[str, Any]
    id: str


class Client(FlaskClient):
    """Reads every answer to its end; with `buffered=False` the caller reads it."""

    def open(self, *args: Any, buffered: bool = True, **request: Any) -> TestResponse:
        return super().open(*args, buffered=buffered, **request)


def open_client(app: APIFlask, key: str) -> FlaskClient:
    client = app.test_client()
    client.environ_base["HTTP_AUTHORIZATION"] = f"Bearer {key}"
    return client


def context_of(app: APIFlask) -> Context:
    ctx = app.extensions["atelier"]
    assert isinstance(ctx, Context)
    return ctx


def count_rows(app: APIFlask) -> tuple[int, int, int]:
    """How many jobs, idempotency keys and files are recorded."""
    with context_of(app).sessions.read() as session:
        jobs, keys, files = (
            session.scalar(select(func.count()).select_from(table)) or 0
            for table in (Job, IdempotencyKey, StoredBlob)
        )
    return jobs, keys, files


def submit(client: FlaskClient, path: str = "/v1/shop/mix", **request: Any) -> str:
    """The id of a new job."""
    response = client.post(path, json=request.pop("json", {"text": "hello"}), **request)
    assert response.status_code == 202, response.text
    return str(response.json["id"])


def inline(content: bytes, media_type: str = "image/png") -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def part(content: bytes, name: str = "file.bin") -> tuple[io.BytesIO, str]:
    return io.BytesIO(content), name


def read_request(app: APIFlask, job_id: str) -> dict[str, Any]:
    """What was recorded for the worker, without what was left out."""
    with context_of(app).sessions.read() as session:
        request = session.get_one(Job, job_id).request
    return {name: value for name, value in request.items() if value}


def send_form(client: FlaskClient, path: str, fields: dict[str, Any]) -> Any:
    return client.post(path, data=fields, content_type="multipart/form-data")


def check_problem(response: TestResponse, status: int, slug: str) -> dict[str, Any]:
    """The body of a refusal, which has to be a problem of this type."""
    assert response.status_code == status, response.text
    assert response.mimetype == PROBLEM
    problem: dict[str, Any] = response.json
    assert problem["type"] == f"urn:atelier:problem:{slug}"
    assert problem["status"] == status
    assert problem["title"]
    assert problem["detail"]
    return problem


def follow_job(client: FlaskClient, job: str, last_id: str = "", **request: Any) -> TestResponse:
    headers = {"Last-Event-ID": last_id} if last_id else {}
    return client.get(f"/v1/jobs/{job}/events", headers=headers, **request)


def read_events(response: TestResponse) -> list[Sent]:
    """Every event up to the end of the stream."""
    assert response.status_code == 200, response.text
    assert response.mimetype == "text/event-stream"
    return parse_events(response.get_data(as_text=True))


def parse_events(text: str) -> list[Sent]:
    blocks = [block.split("\n") for block in text.split("\n\n") if block]
    events = [dict(line.split(": ", 1) for line in lines) for lines in blocks]
    return [
        Sent(event["event"], json.loads(event["data"]), event.get("id", ""))
        for event in events
        if "event" in event
    ]
