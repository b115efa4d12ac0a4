"""Face search and enrolment from HTTP to HTTP, through gateway, queue and worker."""

import tempfile
import threading
import time
from collections.abc import Iterator
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import numpy as np

from bench.faces_synthetic import CHUNK, PER_SUBJECT, make_chunk, make_probes
from bench.measure import Ask, Cell, drift, read_memory, run_load
from bench.options import Options
from bench.report import Report
from services.local.control import Stack
from services.local.stack import running_stack
from shared.db import Sessions, open_db
from shared.sealing import Keyring
from shared.settings import Settings, read_settings
from workers.faces.audit import Actor
from workers.faces.enrolment import NewFace, store_faces
from workers.faces.gallery import find_collection
from workers.faces.gallery_contract import Consent

FACES, QUICK_FACES = 1_000_000, 20_000
DIMENSIONS, TENANT, COLLECTION = 128, "default", "bench"
BATCH = 64  # embeddings of one enrolment
WAIT = 60  # seconds of `Prefer: wait`
LIMIT = 900.0  # seconds until the index has taken in all faces
CONSENT = Consent(purpose="a measurement", text_sha256="0" * 64)
COLUMNS = (
    *("what", "clients", "jobs/s", "faces/s", "p50 ms", "p99 ms", "worker cpu ms/job"),
    *("gateway cpu ms/job", "worker MiB", "drift"),
)


def run(options: Options) -> Report:
    faces = QUICK_FACES if options.quick else FACES
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as folder:
        home = Path(folder)
        changes = {
            "home": home,
            "weights_dir": read_settings().weights.resolve(),
            "workers": "faces",
            "log_level": "warning",
            "rate_limit": "1000000/second",
            "search_quota": 10**9,
        }
        with running_stack(changes) as stack:
            seconds = _fill(stack, Settings(**changes), faces)
            rows, cells = _measure(stack, options)
    notes = [
        f"{faces:,} faces of {DIMENSIONS} numbers in SQLite, put there in {seconds:.0f} s, "
        "10 of each person; one worker process, one thread; each search is one job of one probe",
        "every search is logged, charged to the quota and committed before it is answered",
        "drift: how far a fixed piece of work took longer or shorter after the cell than before",
    ]
    return Report("faces_http", COLUMNS, rows, notes, cells)


def _fill(stack: Stack, settings: Settings, faces: int) -> float:
    """Enrol the synthetic faces by the worker's own code, and wait for its index."""
    with _open(stack) as http:
        _finish(http.post("/v1/faces/create", json={"collection": COLLECTION}))
        started = time.perf_counter()
        sessions = open_db(settings.database)
        key = Keyring(settings, sessions).key(TENANT)
        for index in range(faces // CHUNK):
            people = np.arange(index * CHUNK, (index + 1) * CHUNK) // PER_SUBJECT
            new = [
                NewFace(f"person-{person}", vector, None, None)
                for person, vector in zip(people, make_chunk(DIMENSIONS, index), strict=True)
            ]
            with sessions.begin() as session:
                collection = find_collection(session, TENANT, COLLECTION)
                store_faces(session, key, Actor(TENANT), collection, new, CONSENT)
        seconds = time.perf_counter() - started
        _wait_for_index(http, sessions)
    return seconds


def _wait_for_index(http: httpx2.Client, sessions: Sessions) -> None:
    give_up_at = time.monotonic() + LIMIT
    while time.monotonic() < give_up_at:
        answer = http.post("/v1/faces/stats", json={"collection": COLLECTION})
        job = answer.json()
        index = (job.get("result") or {}).get("index", {})
        if index and (index["kind"] != "flat" or index["tail"] == index["faces"] < 80_000):
            return
        time.sleep(1)
    sessions.engine.dispose()
    raise RuntimeError("The index has not taken in all faces.")


def _measure(stack: Stack, options: Options) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
    probes = cycle(make_probes(DIMENSIONS).all.tolist())
    lock = threading.Lock()

    def identify(http: httpx2.Client) -> None:
        with lock:
            probe = next(probes)
        body = {"collection": COLLECTION, "embeddings": [probe]}
        _finish(http.post("/v1/faces/identify", json=body, headers=headers))

    strangers = _make_strangers()

    def enroll(http: httpx2.Client) -> None:
        with lock:
            number, embeddings = next(strangers)
        body = {
            "collection": COLLECTION,
            "subjects": [f"new-{number}"],
            "embeddings": embeddings,
            "consent": CONSENT.model_dump(),
        }
        _finish(http.post("/v1/faces/enroll", json=body, headers=headers))

    headers = _headers(stack)
    plan: list[tuple[str, Ask, int, int]] = [
        ("identify", identify, 1, 1),
        ("identify", identify, 32, 1),
        ("enroll 64", enroll, 1, BATCH),
        ("enroll 64", enroll, 4, BATCH),
    ]
    rows, cells = [], []
    for what, ask, clients, faces in plan:
        before = _search_alone()
        cell = run_load(ask, stack.address, stack.pids(), clients, options.seconds, options.warm_up)
        row = _show(what, cell, faces, stack)
        row["drift"] = drift(before, _search_alone())
        rows.append(row)
        cells.append({**row, "latencies": cell.latencies, "errors": cell.errors})
    return rows, cells


def _search_alone() -> float:
    """Seconds of a fixed piece of work, to see whether the machine was busy with other things."""
    rows = np.random.default_rng(0).standard_normal((20_000, DIMENSIONS)).astype(np.float32)
    started = time.perf_counter()
    for _ in range(50):
        rows @ rows[0]
    return time.perf_counter() - started


def _show(what: str, cell: Cell, faces: int, stack: Stack) -> dict[str, Any]:
    return {
        "what": what,
        "clients": cell.clients,
        "jobs/s": cell.jobs_per_second,
        "faces/s": faces * cell.jobs_per_second,
        "p50 ms": cell.milliseconds(50),
        "p99 ms": cell.milliseconds(99),
        "worker cpu ms/job": cell.cpu_per_job["faces"],
        "gateway cpu ms/job": cell.cpu_per_job["gateway"],
        "worker MiB": read_memory([stack.pid("faces")]) / 2**20,
        "failed": len(cell.errors),
    }


def _make_strangers() -> Iterator[tuple[int, list[list[float]]]]:
    random = np.random.default_rng(99)
    number = 0
    while True:
        number += 1
        yield number, random.standard_normal((BATCH, DIMENSIONS)).round(4).tolist()


def _open(stack: Stack) -> httpx2.Client:
    return httpx2.Client(
        base_url=stack.address, headers=_headers(stack), timeout=120, trust_env=False
    )


def _headers(stack: Stack) -> dict[str, str]:
    return {"Authorization": f"Bearer {stack.api_key}", "Prefer": f"wait={WAIT}"}


def _finish(answer: httpx2.Response) -> None:
    if answer.status_code != 200 or answer.json()["state"] != "succeeded":
        raise RuntimeError(f"{answer.status_code}: {answer.text[:300]}")
