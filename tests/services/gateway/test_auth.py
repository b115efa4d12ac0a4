"""Every route asks for a key with its scope."""

import time

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from services.gateway import auth
from services.gateway.auth import PUBLIC, Authenticator
from shared.db import db_now
from shared.keys import create_key, revoke_key
from tests.services.gateway.clients import check_problem, context_of, open_client
from tests.services.gateway.conftest import MakeClient

JOB, BLOB = "0" * 32, "0" * 64

# Method and rule -> a call to it, and its scope.
ROUTES = {
    ("GET", "/healthz"): ("/healthz", PUBLIC),
    ("GET", "/readyz"): ("/readyz", PUBLIC),
    ("GET", "/docs"): ("/docs", PUBLIC),
    ("GET", "/openapi.json"): ("/openapi.json", PUBLIC),
    ("GET", "/static/<path:filename>"): ("/static/swagger-ui/start.js", PUBLIC),
    ("GET", "/metrics"): ("/metrics", "metrics:read"),
    ("GET", "/v1/tasks"): ("/v1/tasks", "jobs:read"),
    ("POST", "/v1/blobs"): ("/v1/blobs", "blobs:write"),
    ("GET", "/v1/blobs/<blob_id>"): (f"/v1/blobs/{BLOB}", "blobs:read"),
    ("GET", "/v1/jobs"): ("/v1/jobs", "jobs:read"),
    ("GET", "/v1/jobs/<job_id>"): (f"/v1/jobs/{JOB}", "jobs:read"),
    ("POST", "/v1/jobs/<job_id>/cancel"): (f"/v1/jobs/{JOB}/cancel", "jobs:cancel"),
    ("GET", "/v1/jobs/<job_id>/events"): (f"/v1/jobs/{JOB}/events", "jobs:read"),
    ("POST", "/v1/shop/mix"): ("/v1/shop/mix", "shop:run"),
    ("POST", "/v1/mail/send"): ("/v1/mail/send", "mail:run"),
}
SCOPES = sorted({scope for _, scope in ROUTES.values()} - {PUBLIC})
REFUSALS = (401, 403)


def test_the_table_of_routes_is_complete(app: APIFlask):
    found = {
        (method, rule.rule)
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    assert found == set(ROUTES)


def test_every_protected_route_refuses_a_caller_without_a_key(app: APIFlask):
    for (method, _), (path, scope) in ROUTES.items():
        response = app.test_client().open(path, method=method)
        if scope == PUBLIC:
            assert response.status_code == 200, path
        else:
            check_problem(response, 401, "unauthorized")
            assert response.headers["WWW-Authenticate"] == "Bearer"


@pytest.mark.parametrize("held", SCOPES)
def test_a_key_opens_exactly_the_routes_of_its_scope(
    app: APIFlask, make_client: MakeClient, held: str
):
    client = make_client(app, scopes=(held,))
    for (method, _), (path, scope) in ROUTES.items():
        response = client.open(path, method=method)
        if scope in (held, PUBLIC):
            assert response.status_code not in REFUSALS, path
        else:
            problem = check_problem(response, 403, "scope-missing")
            assert scope in problem["detail"]


def test_the_scope_star_opens_every_route(client: FlaskClient):
    for (method, _), (path, _) in ROUTES.items():
        assert client.open(path, method=method).status_code not in REFUSALS, path


def test_a_key_without_scopes_opens_no_protected_route(app: APIFlask, make_client: MakeClient):
    client = make_client(app, scopes=())
    for (method, _), (path, scope) in ROUTES.items():
        assert (client.open(path, method=method).status_code == 403) == (scope != PUBLIC), path


def test_methods_that_flask_adds_are_protected_too(app: APIFlask):
    for (method, rule), (path, scope) in ROUTES.items():
        for added in ("OPTIONS", "HEAD") if method == "GET" else ("OPTIONS",):
            response = app.test_client().open(path, method=added)
            assert (response.status_code == 401) == (scope != PUBLIC), (added, rule)


def test_a_route_without_a_scope_prevents_the_start(app: APIFlask):
    app.add_url_rule("/open", "open", lambda: "forgotten")
    with pytest.raises(RuntimeError, match="open declares no scope"):
        Authenticator(app)


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": ""},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Bearer nonsense"},
        {"Authorization": "Bearer atl_0123456789ab_" + "x" * 43},
        {"Authorization": "Bearer atl__"},
        {"Authorization": "Bearer " + "_" * 5000},
        {"Authorization": "Bearer atl_0123456789ab_\xe4\xf6"},
        {"Authorization": "Basic YW5uOnNlY3JldA=="},
        {"X-API-Key": "nonsense"},
        {"X-API-Key": "atl_\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff_x"},
    ],
)
def test_unknown_keys_are_refused(each_app: APIFlask, headers: dict[str, str]):
    check_problem(each_app.test_client().get("/v1/jobs", headers=headers), 401, "unauthorized")


def test_the_right_prefix_with_another_secret_is_refused(app: APIFlask):
    with context_of(app).sessions.begin() as session:
        key = create_key(session, "ann", "test", ["*"])
    forged = key[:-1] + ("a" if key[-1] != "a" else "b")
    check_problem(open_client(app, forged).get("/v1/jobs"), 401, "unauthorized")


def test_a_key_may_come_in_either_header(app: APIFlask):
    with context_of(app).sessions.begin() as session:
        key = create_key(session, "ann", "test", ["jobs:read"])
    for headers in (
        {"Authorization": f"Bearer {key}"},
        {"Authorization": f"bearer   {key} "},
        {"X-API-Key": key},
    ):
        assert app.test_client().get("/v1/jobs", headers=headers).status_code == 200


def test_an_expired_key_is_refused(each_app: APIFlask):
    with context_of(each_app).sessions.begin() as session:
        now = session.scalar(db_now().select())
        old = create_key(session, "ann", "old", ["*"], expires_at=now - 1)
        new = create_key(session, "ann", "new", ["*"], expires_at=now + 60)
    assert open_client(each_app, new).get("/v1/jobs").status_code == 200
    check_problem(open_client(each_app, old).get("/v1/jobs"), 401, "unauthorized")


def test_a_revoked_key_ends_within_the_cache_time(
    each_app: APIFlask, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(auth, "FRESH", 0.2)
    sessions = context_of(each_app).sessions
    with sessions.begin() as session:
        client = open_client(each_app, create_key(session, "ann", "test", ["*"]))
    assert client.get("/v1/jobs").status_code == 200
    with sessions.begin() as session:
        assert revoke_key(session, 1)
    time.sleep(0.25)
    check_problem(client.get("/v1/jobs"), 401, "unauthorized")
    check_problem(client.post("/v1/shop/mix", json={}), 401, "unauthorized")


def test_a_flood_of_keys_does_not_lock_out_known_ones(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(auth, "MAX_CACHED", 3)
    with context_of(app).sessions.begin() as session:
        keys = [create_key(session, f"tenant{n}", "test", ["*"]) for n in range(8)]
    for key in keys:
        assert open_client(app, key).get("/v1/jobs").status_code == 200
        assert client.get("/v1/jobs").status_code == 200
