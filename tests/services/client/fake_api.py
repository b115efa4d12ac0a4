"""A real HTTP server that speaks the API, keeps count, and fails when a test tells it to."""

import hashlib
import json
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from flask import Blueprint, Flask, Response, current_app, request
from werkzeug.serving import WSGIRequestHandler, make_server

KEY = "atl_test"
DRAWN = b"a picture with boxes"

Fault = Callable[[], Response | None]
Answer = Callable[[dict[str, Any]], dict[str, Any]]  # a job's request -> its result


class JobFailed(Exception):
    """Raised by an answer: code and detail of the job's error."""


@dataclass
class FakeApi:
    """What the server knows; tests read it and change it."""

    address: str = ""
    blobs: dict[str, bytes] = field(default_factory=dict)
    jobs: dict[str, dict[str, Any]] = field(default_factory=dict)
    asked: dict[str, tuple[str, str | None]] = field(default_factory=dict)  # by idempotency key
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    faults: dict[tuple[str, str], list[Fault]] = field(default_factory=dict)
    events: list[tuple[str, str, dict[str, Any]]] = field(default_factory=list)
    cut_after: list[int] = field(default_factory=list)  # events before each stream is cut
    hold: bool = False  # jobs stay running
    labels: dict[bytes, str] = field(default_factory=dict)  # what is in a picture; else a dog
    answers: dict[str, Answer] = field(default_factory=dict)  # by task, for those of other workers
    kept: dict[str, Answer] = field(default_factory=dict)  # by task: what a cancelled job keeps
    in_use: str = "m"  # the detector that looks where none is named
    most_open: int = 0  # jobs that were unfinished at one moment
    sniff: Callable[[bytes], str] = lambda content: (
        "text/plain" if content.startswith(b"text") else "image/jpeg"
    )
    lock: threading.RLock = field(default_factory=threading.RLock)

    def fail_next(self, method: str, path: str, *faults: Fault) -> None:
        """The next requests of this kind meet these faults, then it works again."""
        self.faults.setdefault((method, path), []).extend(faults)

    def count(self, method: str, path: str) -> int:
        return sum((m, p) == (method, path) for m, p, _ in self.requests)

    def take_fault(self) -> Fault | None:
        with self.lock:
            waiting = self.faults.get((request.method, request.path), [])
            return waiting.pop(0) if waiting else None

    def add_blob(self, content: bytes) -> str:
        blob_id = hashlib.sha256(content).hexdigest()
        self.blobs[blob_id] = content
        return blob_id

    def add_job(self, task: str, body: dict[str, Any]) -> dict[str, Any]:
        job = {
            "id": f"{len(self.jobs):032x}",
            "task": task,
            "state": "queued",
            "priority": request.args.get("priority", "normal"),
            "created_at": "2030-01-02T03:04:05.600000Z",
            "started_at": None,
            "finished_at": None,
            "position": 0,
            "progress": None,
            "result": None,
            "error": None,
            "request": body,
            "looks": 0,
        }
        self.jobs[job["id"]] = job
        unfinished = sum(job["finished_at"] is None for job in self.jobs.values())
        self.most_open = max(self.most_open, unfinished)
        return job

    def look(self, job: dict[str, Any]) -> dict[str, Any]:
        """A job runs at the first look and ends at the second."""
        with self.lock:
            job["looks"] += 1
            if job["state"] == "queued":
                job["state"], job["started_at"] = "running", "2030-01-02T03:04:06Z"
            elif job["state"] == "running" and not self.hold:
                self._end(job)
            return {k: v for k, v in job.items() if k not in ("request", "looks")}

    def _end(self, job: dict[str, Any]) -> None:
        job["finished_at"] = "2030-01-02T03:04:07.500000Z"
        asked = job["request"]
        if job["task"] in self.answers:
            self._answer(job)
            return
        if self.blobs.get(asked.get("picture", "")) == b"broken":
            job["state"] = "failed"
            job["error"] = {"code": "invalid_input", "detail": "The picture is damaged."}
            return
        job["state"] = "succeeded"
        drawn = self.add_blob(DRAWN) if asked.get("annotate") else None
        label = self.labels.get(self.blobs.get(asked.get("picture", ""), b""), "dog")
        box = {"label": label, "class_id": 16, "score": 0.91, "xyxy": [1.0, 2.0, 3.0, 4.0]}
        found = {"boxes": [box], "annotated": drawn, "model": asked.get("model", self.in_use)}
        job["result"] = {"width": 8, "height": 8, **found}

    def _answer(self, job: dict[str, Any]) -> None:
        try:
            job["result"], job["state"] = self.answers[job["task"]](job["request"]), "succeeded"
        except JobFailed as error:
            code, detail = error.args
            job["state"], job["error"] = "failed", {"code": code, "detail": detail}


def refuse(status: int, **headers: str) -> Fault:
    def fault() -> Response:
        return problem(status, "busy", "Come back later.", **headers)

    return fault


def drop() -> None:
    """Cut the connection instead of answering."""
    request.environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)


def problem(status: int, name: str, detail: str, **headers: str) -> Response:
    body = {"type": f"urn:atelier:problem:{name}", "title": name, "status": status}
    headers = {name.replace("_", "-"): value for name, value in headers.items()}
    answer = Response(json.dumps(body | {"detail": detail}), status, headers)
    answer.content_type = "application/problem+json"
    return answer


class Quiet(WSGIRequestHandler):
    def log(self, *_: object) -> None:
        """Says nothing."""


routes = Blueprint("api", __name__)


def known() -> FakeApi:
    api: FakeApi = current_app.config["api"]
    return api


@contextmanager
def serve_api() -> Iterator[FakeApi]:
    api = FakeApi()
    app = Flask(__name__)
    app.config["api"] = api
    app.register_blueprint(routes)
    server = make_server("127.0.0.1", 0, app, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    api.address = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield api
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@routes.before_request
def admit() -> Response | None:
    with known().lock:
        known().requests.append((request.method, request.path, dict(request.headers)))
    if request.path != "/healthz" and request.headers.get("Authorization") != f"Bearer {KEY}":
        return problem(401, "unauthorised", "This key is not known.")
    if request.path.startswith("/v1/detect"):
        return None  # these faults come after the job was made
    fault = known().take_fault()
    if fault is not None and (answer := fault()) is not None:
        return answer
    return None


@routes.get("/healthz")
def health() -> dict[str, str]:
    return {"status": "ok"}


@routes.get("/v1/tasks")
def tasks() -> dict[str, Any]:
    return {"items": [{"name": "detect.objects"}]}


@routes.post("/v1/blobs")
def upload() -> tuple[dict[str, Any], int]:
    content = request.get_data()
    kind = known().sniff(content)
    return {"id": known().add_blob(content), "size": len(content), "media_type": kind}, 201


@routes.get("/v1/blobs/<blob_id>")
def download(blob_id: str) -> Any:
    content = known().blobs.get(blob_id)
    return content or problem(404, "unknown-blob", "There is no such blob.")


@routes.post("/v1/<worker>/<path:method>")
def submit(worker: str, method: str) -> Any:
    body = read_form() if request.mimetype == "multipart/form-data" else request.get_json()
    key = request.headers["Idempotency-Key"]
    with known().lock:
        if key not in known().asked:
            known().asked[key] = (
                known().add_job(f"{worker}.{method.replace('/', '.')}", body)["id"],
                None,
            )
    fault = known().take_fault()
    if fault is not None and (answer := fault()) is not None:
        return answer
    job = known().jobs[known().asked[key][0]]
    if "Prefer" in request.headers:
        known().look(job)
        return known().look(job), 200
    return {k: v for k, v in job.items() if k not in ("request", "looks")}, 202


def read_form() -> dict[str, Any]:
    body: dict[str, Any] = dict(request.form)
    for name in request.files:
        ids = [known().add_blob(part.read()) for part in request.files.getlist(name)]
        body[name] = ids if name == "pictures" else ids[0]
    return body


@routes.get("/v1/jobs")
def list_jobs() -> dict[str, Any]:
    start, limit = int(request.args.get("cursor", 0)), int(request.args.get("limit", 50))
    jobs = [job for job in known().jobs.values() if job["state"] != "hidden"]
    after = start + limit
    return {"items": jobs[start:after], "next": str(after) if after < len(jobs) else None}


@routes.get("/v1/jobs/<job_id>")
def show(job_id: str) -> Any:
    job = known().jobs.get(job_id)
    return known().look(job) if job else problem(404, "unknown-job", "There is no such job.")


@routes.post("/v1/jobs/<job_id>/cancel")
def cancel(job_id: str) -> dict[str, Any]:
    with known().lock:
        job = known().jobs[job_id]
        if job["finished_at"] is None:
            if job["state"] == "running" and job["task"] in known().kept:
                job["result"] = known().kept[job["task"]](job["request"])
            job["state"], job["finished_at"] = "cancelled", "2030-01-02T03:04:08Z"
    return known().look(job)


@routes.get("/v1/jobs/<job_id>/events")
def stream(job_id: str) -> Response:
    assert job_id in known().jobs
    last = request.headers.get("Last-Event-ID")
    if known().jobs[job_id]["task"] in known().answers:
        return Response(watch(job_id), mimetype="text/event-stream")
    ids = [event[0] for event in known().events]
    rest = known().events[ids.index(last) + 1 if last else 0 :]
    cut = known().cut_after.pop(0) if known().cut_after else None
    link = request.environ["werkzeug.socket"]

    def write() -> Iterator[str]:
        yield ": hello\n\n"
        for event_id, name, data in rest[:cut]:
            yield f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        if cut is not None:
            yield "id: half\nevent: succ"  # what was cut off must not count
            time.sleep(0.02)
            link.shutdown(socket.SHUT_RDWR)

    return Response(write(), mimetype="text/event-stream")


def watch(job_id: str) -> Iterator[str]:
    """The events a test set, and the end of the job once it has ended."""
    api = known()

    def write() -> Iterator[str]:
        for event_id, name, data in api.events:
            yield f"id: {event_id}\nevent: {name}\ndata: {json.dumps(data)}\n\n"
        ends = time.monotonic() + 20
        while (job := api.look(api.jobs[job_id]))["finished_at"] is None:
            if time.monotonic() > ends:
                return
            time.sleep(0.01)
        yield f"id: end\nevent: {job['state']}\ndata: {{}}\n\n"

    return write()
