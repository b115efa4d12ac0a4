"""A submit is recorded as it was asked for, in whatever form it comes."""

import hashlib
from datetime import datetime
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from shared.tables import Job
from tests.services.gateway.clients import (
    PNG,
    context_of,
    count_rows,
    inline,
    part,
    read_request,
    send_form,
)
from tests.services.gateway.conftest import MakeClient

PNG_ID = hashlib.sha256(PNG).hexdigest()
MIX, SEND = "/v1/shop/mix", "/v1/mail/send"


def test_a_job_is_recorded_and_shown(each_app: APIFlask, make_client: MakeClient):
    client = make_client(each_app)
    response = client.post(MIX, json={"text": "hello", "number": 3})
    assert response.status_code == 202
    job = response.json
    assert response.headers["Location"] == f"/v1/jobs/{job['id']}"
    assert (job["task"], job["state"], job["priority"]) == ("shop.mix", "queued", "normal")
    assert (job["failures"], job["cancel_requested"]) == (0, False)
    assert job["started_at"] is job["finished_at"] is job["expires_at"] is None
    assert job["result"] is job["error"] is job["progress"] is None
    assert client.get(response.headers["Location"]).json == {**job, "position": 0}
    assert read_request(each_app, job["id"]) == {"text": "hello", "number": 3}


def test_json_and_a_form_ask_for_the_same(app: APIFlask, client: FlaskClient):
    asked = {"text": "hello", "number": 7, "ratio": 0.5, "tags": ["a", "b"], "notes": {"a": [1]}}
    form = {"text": "hello", "number": "7", "ratio": "0.5", "tags": ["a", "b"]}
    answers = [
        client.post(MIX, json=asked),
        send_form(client, MIX, {**form, "notes": '{"a": [1]}'}),
        send_form(client, MIX, {**form, "notes": '{"a": [1]}', "tags": '["a", "b"]'}),
    ]
    for answer in answers:
        assert answer.status_code == 202, answer.text
        assert read_request(app, answer.json["id"]) == asked


@pytest.mark.parametrize("text", ["[1]", '{"a": 1}', "[unclosed", "true", "12", " ", "ä 漢字 🙂"])
def test_a_text_field_of_a_form_stays_text(app: APIFlask, client: FlaskClient, text: str):
    answer = send_form(client, MIX, {"text": text})
    assert answer.status_code == 202, answer.text
    assert read_request(app, answer.json["id"]) == {"text": text}


def test_of_a_field_sent_twice_the_last_counts(app: APIFlask, client: FlaskClient):
    answer = send_form(client, MIX, {"text": ["first", "last"]})
    assert read_request(app, answer.json["id"]) == {"text": "last"}
    answer = send_form(client, SEND, {"file": [part(b"first"), part(b"last")]})
    last = hashlib.sha256(b"last").hexdigest()
    assert read_request(app, answer.json["id"]) == {"file": last}


def test_files_come_as_ids_data_uris_or_parts(each_app: APIFlask, make_client: MakeClient):
    client = make_client(each_app)
    assert client.post("/v1/blobs", data=PNG).json == {
        "id": PNG_ID,
        "size": len(PNG),
        "media_type": "image/png",
    }
    text = hashlib.sha256(b"hello, you").hexdigest()
    for answer in (
        client.post(MIX, json={"cover": PNG_ID, "files": [inline(b"hello, you")]}),
        client.post(MIX, json={"cover": inline(PNG), "files": ["data:,hello%2C%20you"]}),
        send_form(client, MIX, {"cover": part(PNG), "files": [part(b"hello, you")]}),
        send_form(client, MIX, {"cover": PNG_ID, "files": text}),
        send_form(client, MIX, {"cover": inline(PNG), "files": f'["{text}"]'}),
    ):
        assert answer.status_code == 202, answer.text
        assert read_request(each_app, answer.json["id"]) == {"cover": PNG_ID, "files": [text]}
    assert client.get(f"/v1/blobs/{text}").data == b"hello, you"
    assert count_rows(each_app) == (5, 0, 2)


def test_lists_of_files_keep_their_order(app: APIFlask, client: FlaskClient):
    pages = [PNG + bytes([n]) for n in (3, 1, 2, 1)]
    ids = [hashlib.sha256(page).hexdigest() for page in pages]
    for answer in (
        client.post(MIX, json={"pages": [inline(page) for page in pages]}),
        send_form(client, MIX, {"pages": [part(page) for page in pages]}),
        client.post(MIX, json={"pages": ids}),
        client.post(MIX, json={"pages": [ids[0], inline(pages[1]), *ids[2:]]}),
        send_form(client, MIX, {"pages": ids}),
    ):
        assert answer.status_code == 202, answer.text
        assert read_request(app, answer.json["id"]) == {"pages": ids}


@pytest.mark.parametrize("empty", [{}, {"cover": None, "files": None}, {"pages": [], "files": []}])
def test_optional_files_may_be_left_out(client: FlaskClient, empty: dict[str, Any]):
    assert client.post(MIX, json=empty).status_code == 202


def test_options_are_recorded(each_app: APIFlask, make_client: MakeClient):
    client = make_client(each_app)
    for priority in ("low", "normal", "high"):
        job = client.post(f"{MIX}?priority={priority}&deadline=90.5&ttl=60", json={}).json
        assert job["priority"] == priority
        created, deadline = (
            datetime.fromisoformat(job[name]) for name in ("created_at", "deadline_at")
        )
        assert abs((deadline - created).total_seconds() - 90.5) < 0.1
        with context_of(each_app).sessions.read() as session:
            assert session.get_one(Job, job["id"]).ttl == 60


def test_a_result_is_never_kept_longer_than_the_server_allows(app: APIFlask, client: FlaskClient):
    job = client.post(f"{MIX}?ttl=1e300", json={}).json
    with context_of(app).sessions.read() as session:
        kept = session.get_one(Job, job["id"]).ttl
    assert kept == context_of(app).settings.result_ttl
