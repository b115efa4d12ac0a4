"""What does not fit is refused, says why, and leaves nothing behind."""

import hashlib
import io

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.services.gateway.clients import (
    PNG,
    check_problem,
    context_of,
    count_rows,
    inline,
    part,
    send_form,
)
from tests.services.gateway.conftest import MakeApp, MakeClient

PNG_ID = hashlib.sha256(PNG).hexdigest()
MIX, SEND = "/v1/shop/mix", "/v1/mail/send"

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
    assert "ATELIER_MAX_BODY" in answer.text  # of the last: what its operator can do
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
