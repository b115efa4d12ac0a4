"""Scopes of single tasks and fields, and fields that are encrypted wherever they rest."""

import json
from pathlib import Path
from typing import Annotated, Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from pydantic import Field
from sqlalchemy import text

from shared.contract import BlobId, Message, Needs, Sealed, Task, list_sealed
from shared.sealing import Tampered, open_fields, seal_fields
from shared.tables import Job
from tests.services.gateway.clients import (
    check_problem,
    context_of,
    count_rows,
    inline,
    read_request,
    send_form,
    submit,
)
from tests.services.gateway.conftest import MakeApp, MakeClient
from tests.services.gateway.stand_in import StandIn

LOOK = "/v1/shop/look"
VECTOR = [0.123456789012345, -0.98765432109]
Vector = Annotated[list[float] | None, Sealed()]


class LookRequest(Message):
    vector: Vector = None
    file: BlobId | None = None
    deep: Annotated[bool, Needs("shop:deep")] = False
    least: Annotated[float | None, Needs("shop:scores")] = None
    tags: Annotated[list[str], Needs("shop:tags"), Field(default_factory=lambda: ["a"])]


class LookResult(Message):
    name: str
    vector: Vector = None


TASK = Task("shop.look", LookRequest, LookResult, "Look.", example={}, scope="shop:look")
PLAIN = Task("shop.plain", LookRequest, LookResult, "Look.", example={})

# Field -> a value that needs a scope, that scope, and the default, which needs none.
GUARDED: dict[str, tuple[Any, str, Any]] = {
    "deep": (True, "shop:deep", False),
    "least": (0.0, "shop:scores", None),
    "tags": ([], "shop:tags", ["a"]),
}


@pytest.fixture
def app(make_app: MakeApp, sqlite_database_url: str) -> APIFlask:
    return make_app(sqlite_database_url, {TASK.name: TASK, PLAIN.name: PLAIN})


@pytest.fixture
def each_app(make_app: MakeApp, database_url: str) -> APIFlask:
    return make_app(database_url, {TASK.name: TASK})


@pytest.fixture
def looker(app: APIFlask, make_client: MakeClient) -> FlaskClient:
    """May look, and nothing more."""
    return make_client(app, scopes=("shop:look",))


@pytest.mark.parametrize("field", GUARDED)
def test_a_guarded_field_needs_its_scope(
    app: APIFlask, looker: FlaskClient, make_client: MakeClient, field: str
):
    value, scope, default = GUARDED[field]
    problem = check_problem(looker.post(LOOK, json={field: value}), 403, "scope-missing")
    assert scope in problem["detail"]
    assert f"{field}:" in problem["detail"]
    assert looker.post(LOOK, json={field: default}).status_code == 202
    for scopes in (("shop:look", scope), ("*",)):
        may = make_client(app, scopes=scopes)
        assert may.post(LOOK, json={field: value}).status_code == 202


def test_the_scope_of_one_field_opens_no_other(app: APIFlask, make_client: MakeClient):
    client = make_client(app, scopes=("shop:look", "shop:deep"))
    both = {"deep": True, "least": 0.5}
    problem = check_problem(client.post(LOOK, json=both), 403, "scope-missing")
    assert "least:" in problem["detail"]
    assert "shop:scores" in problem["detail"]


def test_a_form_is_guarded_like_json(looker: FlaskClient):
    check_problem(send_form(looker, LOOK, {"deep": "true"}), 403, "scope-missing")
    assert send_form(looker, LOOK, {"deep": "false"}).status_code == 202


def test_a_request_beyond_its_scope_leaves_nothing(app: APIFlask, looker: FlaskClient):
    before = count_rows(app)
    body = {"deep": True, "file": inline(b"hello", "text/plain"), "vector": VECTOR}
    response = looker.post(LOOK, json=body, headers={"Idempotency-Key": "key"})
    check_problem(response, 403, "scope-missing")
    assert count_rows(app) == before
    folder = Path(context_of(app).settings.blobs.removeprefix("file://"))
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_task_may_need_another_scope_than_its_worker(app: APIFlask, make_client: MakeClient):
    runner, looker = (make_client(app, scopes=(scope,)) for scope in ("shop:run", "shop:look"))
    problem = check_problem(runner.post(LOOK, json={}), 403, "scope-missing")
    assert "shop:look" in problem["detail"]
    assert runner.post("/v1/shop/plain", json={}).status_code == 202
    assert looker.post(LOOK, json={}).status_code == 202
    check_problem(looker.post("/v1/shop/plain", json={}), 403, "scope-missing")


def test_a_sealed_field_never_stands_in_the_database_in_clear(
    each_app: APIFlask, make_client: MakeClient
):
    body, headers = {"vector": VECTOR}, {"Idempotency-Key": "key"}
    job = submit(make_client(each_app), LOOK, json=body, headers=headers)
    ctx = context_of(each_app)
    with ctx.sessions.read() as session:
        request = session.get_one(Job, job).request
        tables = ["jobs", "idempotency_keys", "blobs", "sealed_keys"]
        rows = [session.execute(text(f"SELECT * FROM {name}")).all() for name in tables]
    for number in VECTOR:
        assert str(number)[2:10] not in repr(rows)
    assert list(request["vector"]) == ["sealed"]
    assert open_fields(ctx.keyring.key("ann"), job, request, ["vector"])["vector"] == VECTOR


def test_no_file_of_the_database_holds_a_sealed_field_in_clear(
    app: APIFlask, make_client: MakeClient, sqlite_database_url: str
):
    submit(make_client(app), LOOK, json={"vector": VECTOR})
    path = Path(sqlite_database_url.removeprefix("sqlite:///"))
    content = b"".join(file.read_bytes() for file in path.parent.glob(f"{path.name}*"))
    assert b'"sealed"' in content
    for number in VECTOR:
        assert str(number)[2:10].encode() not in content


def test_a_job_that_is_cancelled_before_it_runs_forgets_its_sealed_field(
    each_app: APIFlask, make_client: MakeClient
):
    client = make_client(each_app)
    cancelled, other = (submit(client, LOOK, json={"vector": VECTOR}) for _ in "12")
    assert client.post(f"/v1/jobs/{cancelled}/cancel").json["state"] == "cancelled"
    assert "vector" not in read_request(each_app, cancelled)
    assert read_request(each_app, cancelled) == {"tags": ["a"]}
    assert "vector" in read_request(each_app, other)


def test_a_sealed_field_does_not_come_back_with_its_job(client: FlaskClient):
    answer = client.post(LOOK, json={"vector": VECTOR})
    listed = client.get("/v1/jobs")
    for response in (answer, client.get(answer.headers["Location"]), listed):
        assert str(VECTOR[0])[2:10] not in response.text
        assert "sealed" not in response.text


def test_an_invalid_sealed_field_is_not_repeated_in_the_refusal(client: FlaskClient):
    response = client.post(LOOK, json={"vector": [*VECTOR, "0.55555"] * 2 + ["x"]})
    check_problem(response, 422, "invalid-request")
    assert str(VECTOR[0])[2:10] not in response.text


def test_a_repeated_submit_is_known_though_it_is_sealed_anew(client: FlaskClient):
    headers = {"Idempotency-Key": "key"}
    first, again = (client.post(LOOK, json={"vector": VECTOR}, headers=headers) for _ in "12")
    assert first.json["id"] == again.json["id"]
    other = client.post(LOOK, json={"vector": VECTOR[::-1]}, headers=headers)
    check_problem(other, 422, "idempotency-key-reused")


def test_a_sealed_result_is_clear_for_its_tenant_alone(
    app: APIFlask, client: FlaskClient, make_client: MakeClient
):
    ctx = context_of(app)
    job = submit(client, LOOK, json={})
    result = {"name": "x", "vector": VECTOR}
    sealed = seal_fields(ctx.keyring.key("ann"), job, result, list_sealed(LookResult))
    StandIn(ctx).work(job, sealed)
    assert str(VECTOR[0])[2:10] not in json.dumps(sealed)
    assert client.get(f"/v1/jobs/{job}").json["result"] == result
    assert client.get("/v1/jobs").json["items"][0]["result"] == result
    assert make_client(app, "bob").get(f"/v1/jobs/{job}").status_code == 404
    with pytest.raises(Tampered):
        open_fields(ctx.keyring.key("bob"), job, sealed, ["vector"])


def test_a_damaged_result_hides_itself_and_no_other_job(app: APIFlask, client: FlaskClient):
    ctx = context_of(app)
    good, bad = (submit(client, LOOK, json={}) for _ in "12")
    key = ctx.keyring.key("ann")
    for job in (good, bad):  # the bad one got what was sealed for the good one
        sealed = seal_fields(key, good, {"name": job, "vector": VECTOR}, ["vector"])
        StandIn(ctx).work(job, sealed)
    assert client.get(f"/v1/jobs/{bad}").json["result"] == {"name": bad, "vector": None}
    shown = {item["id"]: item["result"]["vector"] for item in client.get("/v1/jobs").json["items"]}
    assert shown == {good: VECTOR, bad: None}


@pytest.mark.parametrize(
    ("scopes", "seen"),
    [
        (("shop:look", "shop:deep"), True),
        (("*",), True),
        (("shop:look",), False),  # not for the field that was set
        (("shop:deep",), False),
        ((), False),
    ],
)
def test_a_result_is_shown_to_who_could_have_asked_for_it(
    app: APIFlask, make_client: MakeClient, scopes: tuple[str, ...], seen: bool
):
    asking = make_client(app, scopes=("shop:look", "shop:deep", "jobs:read"))
    job = submit(asking, LOOK, json={"deep": True})
    StandIn(context_of(app)).work(job, {"name": "found", "vector": None})
    other = make_client(app, scopes=(*scopes, "jobs:read"))
    for client, may in ((asking, True), (other, seen)):
        results = [client.get(f"/v1/jobs/{job}").json["result"]]
        results += [item["result"] for item in client.get("/v1/jobs").json["items"]]
        assert [result is not None for result in results] == [may, may]


def test_a_wrong_master_key_is_told_without_an_error_of_the_server(
    app: APIFlask, make_app: MakeApp, make_client: MakeClient, sqlite_database_url: str
):
    submit(make_client(app), LOOK, json={"vector": VECTOR})
    with context_of(app).sessions.begin() as session:
        session.execute(text("UPDATE sealed_keys SET sealed = zeroblob(60)"))
    client = make_client(make_app(sqlite_database_url, {TASK.name: TASK}))  # has read no key yet
    check_problem(client.post(LOOK, json={"vector": VECTOR}), 503, "wrong-master-key")
    assert client.post(LOOK, json={}).status_code == 202
