"""What is odd but valid comes back as it was sent; odd ids and names are harmless."""

import hashlib

import pytest
from apiflask import APIFlask

from tests.services.gateway.clients import (
    PNG,
    check_problem,
    count_rows,
    part,
    read_request,
    send_form,
)
from tests.services.gateway.conftest import MakeClient

PNG_ID = hashlib.sha256(PNG).hexdigest()
MIX, SEND = "/v1/shop/mix", "/v1/mail/send"

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
