"""What the gateway shows beside the API: health, metrics, documentation, files."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from prometheus_client.parser import text_string_to_metric_families

from services.gateway import app as gateway_app
from shared.db import db_now
from shared.tables import WorkerProcess
from tests.services.gateway.clients import PNG, check_problem, context_of, submit
from tests.services.gateway.stand_in import StandIn

STATIC = Path(gateway_app.__file__).parent / "static"
ADDRESS = re.compile(r"""(?:src|href|url)\s*[=:(]\s*["']?((?:https?:)?//[^"'\s)>]+)""")
SECURE = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'self'; img-src 'self' data:",
}


def read_metrics(client: FlaskClient) -> dict[tuple[str, str, str], float]:
    """(name, task or worker, state) -> value."""
    families = text_string_to_metric_families(client.get("/metrics").text)
    return {
        (
            sample.name,
            sample.labels.get("task", sample.labels.get("worker", "")),
            sample.labels.get("state", ""),
        ): sample.value
        for family in families
        for sample in family.samples
    }


def test_the_process_answers(client: FlaskClient):
    assert client.get("/healthz").json == {"status": "ok"}


def test_readiness_counts_live_workers(app: APIFlask, client: FlaskClient):
    with context_of(app).sessions.begin() as session:
        now = session.scalar(db_now().select())
        for name, queue, seen_at in (
            ("a:1", "shop", now),
            ("a:2", "shop", now - 20),
            ("a:3", "shop", now - 40),
            ("b:1", "mail", now),
            ("c:1", "gone", now - 3600),
        ):
            session.add(WorkerProcess(id=name, queue=queue, seen_at=seen_at))
    ready = client.get("/readyz").json
    assert ready["status"] == "ready"
    assert ready["checks"] == dict.fromkeys(("database", "broker", "blobs"), "ok")
    assert ready["workers"] == {"shop": 2, "mail": 1}
    assert read_metrics(client)["atelier_workers", "shop", ""] == 2


def test_metrics_count_unfinished_jobs(client: FlaskClient, worker: StandIn):
    jobs = [submit(client) for _ in range(4)]
    worker.start(jobs[0])
    worker.work(jobs[1])
    metrics = read_metrics(client)
    assert metrics["atelier_jobs", "shop.mix", "queued"] == 2
    assert metrics["atelier_jobs", "shop.mix", "running"] == 1
    assert 0 <= metrics["atelier_oldest_queued_seconds", "shop.mix", ""] < 60
    assert metrics["atelier_broker_up", "", ""] == 1
    routes = client.get("/metrics").text
    assert 'route="/v1/shop/mix",status="202"' in routes
    assert jobs[0] not in routes


def test_the_metrics_of_unknown_addresses_share_one_label(client: FlaskClient):
    for name in ("a", "b", "c"):
        client.get(f"/{name}")
    routes = client.get("/metrics").text
    assert '{method="GET",route="(none)",status="404"} 3.0' in routes


@pytest.mark.parametrize(
    "path",
    ["/healthz", "/docs", "/openapi.json", "/static/swagger-ui/start.js", "/v1/jobs", "/nothing"],
)
def test_every_answer_has_security_headers(client: FlaskClient, path: str):
    headers = client.get(path).headers
    assert {name: headers[name] for name in SECURE} == SECURE
    assert headers.get("Server") in (None, "")


def test_the_documentation_asks_no_other_host(client: FlaskClient):
    page = client.get("/docs")
    assert (page.status_code, page.mimetype) == (200, "text/html")
    parts = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert len(parts) >= 4
    for part in parts:
        assert part.startswith("/static/"), part
        loaded = client.get(part)
        assert loaded.status_code == 200
        if loaded.mimetype in ("text/css", "text/html"):
            assert not ADDRESS.findall(loaded.text)
    assert not re.search(r"<script(?![^>]*\ssrc=)|\son\w+=|style=", page.text)
    assert "validatorUrl: null" in client.get("/static/swagger-ui/start.js").text


def test_only_static_files_are_served(client: FlaskClient):
    for path in ("../app.py", "..%2fapp.py", "swagger-ui/../../app.py", "", "swagger-ui"):
        assert client.get(f"/static/{path}").status_code == 404, path


@pytest.mark.parametrize(
    ("content", "media_type", "shown"),
    [
        (PNG, "image/png", "inline"),
        (b"\xff\xd8\xff\xe0", "image/jpeg", "inline"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp", "inline"),
        (b"<script>alert(1)</script>", "application/octet-stream", "attachment"),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "application/octet-stream", "attachment"),
        (b"%PDF-1.7", "application/octet-stream", "attachment"),
    ],
)
def test_only_pictures_are_shown_in_place(
    client: FlaskClient, content: bytes, media_type: str, shown: str
):
    uploaded = client.post("/v1/blobs", data=content, content_type="text/html")
    assert uploaded.status_code == 201
    answer = client.get(uploaded.headers["Location"])
    assert (answer.status_code, answer.data, answer.mimetype) == (200, content, media_type)
    assert answer.headers["Content-Disposition"].startswith(f"{shown}; filename=")
    assert answer.headers["Content-Length"] == str(len(content))
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_large_file_comes_back_whole(app: APIFlask, client: FlaskClient):
    content = os.urandom(3 * 2**20 + 17)
    info = client.post("/v1/blobs", data=content).json
    assert info["size"] == len(content)
    assert client.get(f"/v1/blobs/{info['id']}").data == content
    again = client.post("/v1/blobs", data=content)
    assert again.json == info
    assert len(list((context_of(app).settings.home / "blobs").rglob("*.*"))) == 1


def test_an_unforeseen_error_is_a_problem_without_its_text(
    app: APIFlask, client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("secret detail")

    monkeypatch.setattr(context_of(app).admission, "admits", fail)
    answer = client.post("/v1/shop/mix", json={})
    check_problem(answer, 500, "internal-server-error")
    assert "secret" not in answer.text


@pytest.fixture
def isolated(tmp_path: Path, redis_url: str) -> dict[str, str]:
    return {"PATH": os.environ["PATH"], "ATELIER_HOME": str(tmp_path), "REDIS_URL": redis_url}


def test_the_gateway_loads_no_model_library(isolated: dict[str, str]):
    code = """
import sys
from shared.db import migrate
from shared.settings import read_settings
migrate(read_settings().database)
from services.gateway.app import create_app
app = create_app()
assert "tasks.detect_objects" in app.view_functions
with app.test_client() as client:
    assert client.get("/openapi.json").status_code == 200
    assert client.get("/readyz").status_code == 200
heavy = {"torch", "torchvision", "faiss", "numpy", "PIL", "safetensors"} & set(sys.modules)
print(sorted(heavy), "celery" in sys.modules)
"""
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=isolated,
        cwd=Path(__file__).parents[3],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert done.stdout.strip() == "[] False"
