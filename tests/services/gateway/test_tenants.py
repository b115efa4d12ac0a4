"""What belongs to another tenant is as unknown as what does not exist."""

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from shared.identifiers import new_id
from shared.keys import create_key
from tests.services.gateway.clients import PNG, context_of, count_rows, open_client, submit
from tests.services.gateway.conftest import MakeClient

JOB_ROUTES = [
    ("GET", "/v1/jobs/{id}"),
    ("GET", "/v1/jobs/{id}/events"),
    ("POST", "/v1/jobs/{id}/cancel"),
    ("GET", "/v1/jobs?cursor={id}"),
]
BLOB_ROUTES = [
    ("GET", "/v1/blobs/{id}", None),
    ("POST", "/v1/shop/mix", {"cover": "{id}"}),
    ("POST", "/v1/shop/mix", {"pages": ["{id}"]}),
    ("POST", "/v1/shop/mix", {"files": ["{id}", "{id}"]}),
    ("POST", "/v1/mail/send", {"file": "{id}"}),
]


def ask(client: FlaskClient, method: str, path: str, body: object, name: str) -> tuple:
    """Status, headers and body, without the id that was asked for."""
    json = None if body is None else put(body, name)
    response = client.open(path.replace("{id}", name), method=method, json=json)
    headers = [(key, value) for key, value in response.headers if key != "Content-Length"]
    return response.status_code, headers, response.get_data().replace(name.encode(), b"ID")


def put(value: object, name: str) -> object:
    if isinstance(value, dict):
        return {key: put(item, name) for key, item in value.items()}
    if isinstance(value, list):
        return [put(item, name) for item in value]
    return str(value).replace("{id}", name)


@pytest.mark.parametrize(("method", "path"), JOB_ROUTES)
def test_a_foreign_job_answers_as_an_unknown_one(
    each_app: APIFlask, make_client: MakeClient, method: str, path: str
):
    ann, bob = make_client(each_app, "ann"), make_client(each_app, "bob")
    job = submit(ann)
    foreign = ask(bob, method, path, None, job)
    assert foreign == ask(bob, method, path, None, new_id())
    assert foreign[0] == (200 if "cursor" in path else 404)
    assert ann.get(f"/v1/jobs/{job}").json["state"] == "queued"


@pytest.mark.parametrize(("method", "path", "body"), BLOB_ROUTES)
def test_a_foreign_file_answers_as_an_unknown_one(
    each_app: APIFlask, make_client: MakeClient, method: str, path: str, body: object
):
    ann, bob = make_client(each_app, "ann"), make_client(each_app, "bob")
    blob = ann.post("/v1/blobs", data=PNG).json["id"]
    foreign = ask(bob, method, path, body, blob)
    assert foreign == ask(bob, method, path, body, "f" * 64)
    assert foreign[0] == (404 if body is None else 422)
    assert ask(ann, method, path, body, blob)[0] in (200, 202)
    assert bob.get("/v1/jobs").json["items"] == []


def test_lists_show_only_own_jobs(app: APIFlask, make_client: MakeClient):
    ann, bob = make_client(app, "ann"), make_client(app, "bob")
    own = {submit(ann) for _ in range(3)}
    others = {submit(bob) for _ in range(3)}
    assert {job["id"] for job in ann.get("/v1/jobs").json["items"]} == own
    assert {job["id"] for job in bob.get("/v1/jobs").json["items"]} == others


def test_two_keys_of_one_tenant_share_its_jobs(app: APIFlask, make_client: MakeClient):
    job = submit(make_client(app, "ann"))
    assert make_client(app, "ann").get(f"/v1/jobs/{job}").status_code == 200


class TwoTenants(RuleBasedStateMachine):
    """Ann and Bob do everything with everything; each sees a world of their own."""

    jobs = Bundle("jobs")
    blobs = Bundle("blobs")
    tenants = st.sampled_from(["ann", "bob"])
    contents = st.sampled_from([b"one", b"two", PNG])

    def __init__(self, app: APIFlask) -> None:
        super().__init__()
        self.app = app
        self.owner: dict[str, str] = {}  # job -> tenant
        self.queued: set[str] = set()
        self.files: set[tuple[str, str]] = set()  # tenant, blob
        self.named: dict[tuple[str, str], str] = {}  # tenant, idempotency key -> job

    @initialize()
    def make_tenants(self) -> None:
        names = {name: new_id() for name in ("ann", "bob")}  # nothing of earlier runs
        with context_of(self.app).sessions.begin() as session:
            keys = {n: create_key(session, names[n], "test", ["*"]) for n in names}
        self.clients = {name: open_client(self.app, key) for name, key in keys.items()}

    @rule(target=jobs, tenant=tenants, name=st.sampled_from(["", "first", "second"]))
    def submit(self, tenant: str, name: str) -> str:
        headers = {"Idempotency-Key": name} if name else {}
        job = submit(self.clients[tenant], headers=headers)
        if name and (tenant, name) in self.named:
            assert job == self.named[tenant, name]
            return job
        assert job not in self.owner
        self.owner[job] = tenant
        self.queued.add(job)
        if name:
            self.named[tenant, name] = job
        return job

    @rule(target=blobs, tenant=tenants, content=contents)
    def upload(self, tenant: str, content: bytes) -> str:
        response = self.clients[tenant].post("/v1/blobs", data=content)
        assert response.status_code == 201
        self.files.add((tenant, response.json["id"]))
        return str(response.json["id"])

    @rule(tenant=tenants, job=jobs)
    def read(self, tenant: str, job: str) -> None:
        response = self.clients[tenant].get(f"/v1/jobs/{job}")
        assert response.status_code == (200 if self.owner[job] == tenant else 404)

    @rule(tenant=tenants, job=jobs)
    def cancel(self, tenant: str, job: str) -> None:
        response = self.clients[tenant].post(f"/v1/jobs/{job}/cancel")
        assert response.status_code == (200 if self.owner[job] == tenant else 404)
        if self.owner[job] == tenant:
            self.queued.discard(job)

    @rule(tenant=tenants, blob=blobs)
    def download(self, tenant: str, blob: str) -> None:
        response = self.clients[tenant].get(f"/v1/blobs/{blob}")
        assert response.status_code == (200 if (tenant, blob) in self.files else 404)

    @rule(target=jobs, tenant=tenants, blob=blobs)
    def send(self, tenant: str, blob: str) -> str:
        before = count_rows(self.app)
        response = self.clients[tenant].post("/v1/mail/send", json={"file": blob})
        if (tenant, blob) not in self.files:
            assert response.status_code == 422
            assert count_rows(self.app) == before
            return self.submit(tenant, "")
        assert response.status_code == 202
        self.owner[response.json["id"]] = tenant
        self.queued.add(response.json["id"])
        return str(response.json["id"])

    @invariant()
    def each_lists_own_jobs(self) -> None:
        for tenant, client in getattr(self, "clients", {}).items():
            listed = client.get("/v1/jobs?limit=200").json["items"]
            own = {job for job, owner in self.owner.items() if owner == tenant}
            assert {job["id"] for job in listed} == own
            assert {job["id"] for job in listed if job["state"] == "queued"} == own & self.queued


def test_two_tenants_never_meet(app: APIFlask):
    run_state_machine_as_test(
        lambda: TwoTenants(app),
        settings=settings(max_examples=settings.default.max_examples // 5, stateful_step_count=15),
    )
