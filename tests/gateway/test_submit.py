"""A submit is checked whole, stored whole, or refused without a trace."""

import base64
import hashlib
import io
from datetime import datetime
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from shared.tables import Job
from tests.gateway.clients import PNG, check_problem, context_of, count_rows
from tests.gateway.conftest import MakeApp, MakeClient

PNG_ID = hashlib.sha256(PNG).hexdigest()
MIX, SEND = "/v1/shop/mix", "/v1/mail/send"


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


# What is accepted


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


def test_a_name_of_10000_characters_does_no_harm(each_app: APIFlask, make_client: MakeClient):
    client, name = make_client(each_app), "x" * 10_000
    before = count_rows(each_app)
    for answer in (
        client.post(MIX, json={name: 1}),
        send_form(client, MIX, {name: "1"}),
        send_form(client, MIX, {name: part(b"x")}),
        client.post(MIX, json={"cover": name}),
        client.post(f"{MIX}?{name}=1", json={}),
    ):
        check_problem(answer, 422, "unknown-blob" if "blob" in answer.text else "invalid-request")
        assert len(answer.text) < 1000
    assert count_rows(each_app) == before
    answer = send_form(client, SEND, {"file": part(b"x", name)})
    assert answer.status_code == 202


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


# What is refused, and then leaves nothing behind

GIANT = "1" + "0" * 5000
REFUSED = {
    "unknown priority": (f"{MIX}?priority=urgent", "{}", 422, "invalid-request"),
    "two priorities": (f"{MIX}?priority=urgent&priority=low", "{}", 422, "invalid-request"),
    "no deadline": (f"{MIX}?deadline=0", "{}", 422, "invalid-request"),
    "past deadline": (f"{MIX}?deadline=-1", "{}", 422, "invalid-request"),
    "endless deadline": (f"{MIX}?deadline=inf", "{}", 422, "invalid-request"),
    "deadline too far": (f"{MIX}?deadline=604801", "{}", 422, "invalid-request"),
    "overflowing deadline": (f"{MIX}?deadline=1e999", "{}", 422, "invalid-request"),
    "deadline not a number": (f"{MIX}?deadline=nan", "{}", 422, "invalid-request"),
    "deadline in words": (f"{MIX}?deadline=soon", "{}", 422, "invalid-request"),
    "no ttl": (f"{MIX}?ttl=0", "{}", 422, "invalid-request"),
    "ttl not a number": (f"{MIX}?ttl=nan", "{}", 422, "invalid-request"),
    "unknown option": (f"{MIX}?tlt=1", "{}", 422, "invalid-request"),
    "NUL option": (f"{MIX}?priority=%00", "{}", 422, "invalid-request"),
    "empty body": (MIX, "", 400, "not-json"),
    "half an object": (MIX, "{", 400, "not-json"),
    "two objects": (MIX, "{}{}", 400, "not-json"),
    "NaN": (MIX, '{"ratio": NaN}', 400, "not-json"),
    "Infinity": (MIX, '{"notes": {"a": -Infinity}}', 400, "not-json"),
    "half a character": (MIX, '{"text": "\\ud800"}', 400, "not-json"),
    "half a character in a name": (MIX, '{"\\uDFFF": 1}', 400, "not-json"),
    "half a character deep inside": (MIX, '{"notes": {"a": ["\\udc00"]}}', 400, "not-json"),
    "not UTF-8": (MIX, b'{"text": "\xff"}', 400, "not-json"),
    "half a character in UTF-8": (MIX, b'{"text": "\xed\xa0\x80"}', 400, "not-json"),
    "UTF-16": (MIX, '{"text": "a"}'.encode("utf-16"), 400, "not-json"),
    "too deep": (MIX, '{"notes": ' + '{"a": ' * 100_000, 400, "not-json"),
    "too deep and well-formed": (MIX, "[" * 5000 + "]" * 5000, 400, "not-json"),
    "giant integer": (MIX, f'{{"number": {GIANT}}}', 400, "not-json"),
    "a list": (MIX, "[]", 422, "invalid-request"),
    "a text": (MIX, '"text"', 422, "invalid-request"),
    "null": (MIX, "null", 422, "invalid-request"),
    "overflowing number": (MIX, '{"ratio": 1e999}', 422, "invalid-request"),
    "text for a number": (MIX, '{"number": "many"}', 422, "invalid-request"),
    "number for a text": (MIX, '{"text": 1}', 422, "invalid-request"),
    "unknown field": (MIX, '{"txet": "a"}', 422, "invalid-request"),
    "missing file": (SEND, "{}", 422, "invalid-request"),
    "null for a file": (SEND, '{"file": null}', 422, "invalid-request"),
    "number for a file": (SEND, '{"file": 7}', 422, "invalid-request"),
    "object for a file": (SEND, '{"file": {"data": "a"}}', 422, "invalid-request"),
    "one for a list of files": (MIX, f'{{"pages": "{PNG_ID}"}}', 422, "invalid-request"),
    "list for a file": (SEND, f'{{"file": ["{PNG_ID}"]}}', 422, "invalid-request"),
    "unknown file": (SEND, f'{{"file": "{"0" * 64}"}}', 422, "unknown-blob"),
    "no id of a file": (SEND, '{"file": "../../etc/passwd"}', 422, "unknown-blob"),
    "NUL as a file": (SEND, '{"file": "\\u0000"}', 422, "unknown-blob"),
    "empty id": (SEND, '{"file": ""}', 422, "unknown-blob"),
    "id in capitals": (SEND, f'{{"file": "{"A" * 64}"}}', 422, "unknown-blob"),
    "a file among unknown ones": (MIX, f'{{"pages": ["{"0" * 64}"]}}', 422, "unknown-blob"),
    "data URI without a comma": (SEND, '{"file": "data:text/plain"}', 422, "invalid-request"),
    "broken base64": (SEND, '{"file": "data:;base64,a"}', 422, "invalid-request"),
    "no base64": (SEND, '{"file": "data:;base64,ää"}', 422, "invalid-request"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_does_not_fit_is_refused_and_leaves_nothing(
    app: APIFlask, client: FlaskClient, case: str
):
    path, body, status, slug = REFUSED[case]
    content = body.encode() if isinstance(body, str) else body
    headers = {"Idempotency-Key": "key"}
    answer = client.post(path, data=content, content_type="application/json", headers=headers)
    check_problem(answer, status, slug)
    assert count_rows(app) == (0, 0, 0)


def test_a_refusal_names_every_field_at_fault(client: FlaskClient):
    answer = client.post(MIX, json={"number": "x", "tags": [1], "other": 1})
    problem = check_problem(answer, 422, "invalid-request")
    assert [error["field"] for error in problem["errors"]] == ["number", "tags.0", "other"]
    assert problem["instance"] == MIX


@pytest.mark.parametrize("media_type", ["text/plain", "application/xml", "", "application/json2"])
def test_other_media_types_are_refused(app: APIFlask, client: FlaskClient, media_type: str):
    answer = client.post(MIX, data=b"{}", content_type=media_type)
    check_problem(answer, 415, "unsupported-media-type")
    assert count_rows(app) == (0, 0, 0)


def test_a_urlencoded_form_is_refused(client: FlaskClient):
    check_problem(client.post(MIX, data={"text": "a"}), 415, "unsupported-media-type")


@pytest.mark.parametrize("content", [b"GIF89a", b"plain text", b"PK\x03\x04", b""])
def test_a_file_of_another_kind_is_refused(app: APIFlask, client: FlaskClient, content: bytes):
    for answer in (
        client.post(MIX, json={"cover": inline(content)}),  # whatever type it claims
        client.post(MIX, json={"pages": [inline(PNG), inline(content)]}),
        send_form(client, MIX, {"cover": part(content, "picture.png")}),
    ):
        problem = check_problem(answer, 422, "wrong-media-type")
        assert "image/png" in problem["detail"]
    assert count_rows(app)[:2] == (0, 0)


def test_an_expired_file_is_unknown(each_app: APIFlask, make_client: MakeClient):
    client, ctx = make_client(each_app), context_of(each_app)
    info = ctx.blobs.add("ann", [b"old"], keep=-1, limit=10)
    assert ctx.blobs.remove_expired() == 1
    check_problem(client.post(SEND, json={"file": info.id}), 422, "unknown-blob")
    check_problem(client.get(f"/v1/blobs/{info.id}"), 404, "unknown-blob")
    assert count_rows(each_app) == (0, 0, 0)


def test_a_file_is_kept_as_long_as_the_job_that_names_it(app: APIFlask, client: FlaskClient):
    ctx = context_of(app)
    info = ctx.blobs.add("ann", [b"soon gone"], keep=0.01, limit=10)
    assert client.post(SEND, json={"file": info.id}).status_code == 202
    assert ctx.blobs.remove_expired() == 0
    assert client.get(f"/v1/blobs/{info.id}").data == b"soon gone"


def test_a_file_part_for_another_field_is_refused(app: APIFlask, client: FlaskClient):
    check_problem(send_form(client, MIX, {"text": part(b"x")}), 422, "invalid-request")
    assert count_rows(app) == (0, 0, 0)


@pytest.mark.parametrize(
    ("content_type", "body"),
    [
        ("multipart/form-data", b""),
        ("multipart/form-data; boundary=", b"--\r\n"),
        ("multipart/form-data; boundary=x", b"--x\r\n"),
        ("multipart/form-data; boundary=x", b'--x\r\nContent-Disposition: form-data; name="file"'),
        ("multipart/form-data; boundary=x", b"--x\r\n\r\nno name\r\n--x--\r\n"),
        ("multipart/form-data; boundary=" + "x" * 5000, b"--x--"),
    ],
)
def test_a_broken_form_is_refused(
    app: APIFlask, client: FlaskClient, content_type: str, body: bytes
):
    answer = client.post(SEND, data=body, content_type=content_type)
    assert answer.status_code in (400, 422), answer.text
    assert count_rows(app)[:2] == (0, 0)


def test_too_much_is_refused(make_app: MakeApp, sqlite_database_url: str, make_client: MakeClient):
    app = make_app(sqlite_database_url, max_body=5000, max_inline=1000)
    client = make_client(app)
    for answer in (
        client.post(MIX, json={"text": "x" * 5000}),
        client.post(SEND, json={"file": inline(b"x" * 1001)}),
        client.post(MIX, json={"files": [inline(b"x"), inline(b"x" * 1001)]}),
        send_form(client, SEND, {"file": part(b"x" * 5000)}),
        send_form(client, MIX, {"text": "x" * 2500}),
        send_form(client, MIX, {f"field{n}": "x" for n in range(201)}),
        client.post("/v1/blobs", data=b"x" * 5001),
        client.post(
            "/v1/blobs",
            input_stream=io.BytesIO(b"x" * 5001),
            environ_overrides={"wsgi.input_terminated": True},  # chunked: no length is known
        ),
    ):
        assert answer.status_code == 413, answer.text
        assert answer.mimetype == "application/problem+json"
    assert count_rows(app)[:2] == (0, 0)
    assert client.post("/v1/blobs", data=b"x" * 5000).status_code == 201
    assert client.post(SEND, json={"file": inline(b"x" * 1000)}).status_code == 202


def test_an_empty_upload_is_refused(app: APIFlask, client: FlaskClient):
    check_problem(client.post("/v1/blobs"), 422, "empty-file")
    assert count_rows(app) == (0, 0, 0)


def test_unknown_tasks_and_addresses_are_problems(client: FlaskClient):
    check_problem(client.post("/v1/shop/sell", json={}), 404, "not-found")
    check_problem(client.post("/v1/none/mix", json={}), 404, "not-found")
    check_problem(client.get("/v1"), 404, "not-found")
    check_problem(client.get(MIX), 405, "method-not-allowed")
    check_problem(client.delete("/v1/jobs"), 405, "method-not-allowed")


# What is odd but valid comes back as it was sent

ODD = {
    "NUL": {"text": "a\0b", "tags": ["\0"], "notes": {"\0": "\0"}},
    "controls": {"text": "".join(map(chr, range(32)))},
    "astral": {"text": "🙂\U0010ffff\uffff\ufeff", "notes": {"🙂": "\u202e"}},
    "large numbers": {"number": 10**4000, "notes": {"n": -(10**4000), "f": 1.7976931348623157e308}},
    "nested": {"notes": {"a": [[[[{"b": [None, True, 0.1, "", {}]}]]]]}},
    "quotes": {"text": "'; DROP TABLE jobs; --", "notes": {'"': "\\"}},
}


@pytest.mark.parametrize("case", ODD)
def test_odd_values_survive_the_database(each_app: APIFlask, make_client: MakeClient, case: str):
    client = make_client(each_app)
    job = client.post(MIX, json=ODD[case], headers={"Idempotency-Key": "key"})
    assert job.status_code == 202, job.text
    again = client.post(MIX, json=ODD[case], headers={"Idempotency-Key": "key"})
    assert again.json == job.json
    assert read_request(each_app, job.json["id"]) == ODD[case]
    assert client.get(f"/v1/jobs/{job.json['id']}").status_code == 200
    assert [item["id"] for item in client.get("/v1/jobs").json["items"]] == [job.json["id"]]


@pytest.mark.parametrize(
    "odd", ["%00", "%ff", "%ed%a0%80", "%F0%9F%99%82", "..%2f", "'", "a" * 9999]
)
def test_odd_ids_are_unknown(each_app: APIFlask, make_client: MakeClient, odd: str):
    client = make_client(each_app)
    for method, path in (
        ("GET", f"/v1/jobs/{odd}"),
        ("GET", f"/v1/jobs/{odd}/events"),
        ("POST", f"/v1/jobs/{odd}/cancel"),
        ("GET", f"/v1/blobs/{odd}"),
    ):
        answer = client.open(path, method=method)
        assert answer.status_code == 404, (path, answer.text)
        assert answer.mimetype == "application/problem+json"
    for path in (f"/v1/jobs?task={odd}", f"/v1/jobs?cursor={odd}", f"/v1/jobs?limit={odd}"):
        assert client.get(path).status_code in (200, 422), path
