"""Enrols, searches and deletes faces while worker processes die, and holds each answer to the last.

`python -m tests.chaos.faces --operations 10000 --seed 1` prints a table of figures and ends with
status 1 if an acknowledged face was not found at once, or a deleted one was.
"""

import argparse
import random
import sys
import tempfile
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx2
import numpy as np

from shared.db import open_db
from shared.sealing import Keyring
from shared.settings import Settings, read_settings
from tests.chaos.harm import Killer
from tests.chaos.run import provide_database
from tests.e2e.stack import Site, run_site, wait_for
from tests.plain_sql import run_sql
from workers.faces.audit import Actor
from workers.faces.encoders import unit
from workers.faces.enrolment import NewFace, store_faces
from workers.faces.gallery import find_collection
from workers.faces.gallery_contract import Consent

TENANT, COLLECTION = "default", "chaos"
DIMENSIONS = 128
PROCESSES = 3
THREADS = 12
GIVE_UP = 120.0  # seconds for one operation
CONSENT = {"purpose": "a test", "text_sha256": "0" * 64}
SEED_AT_ONCE = 10_000


@dataclass
class Findings:
    """What must be zero, and what was done."""

    done: Counter[str] = field(default_factory=Counter)
    missed: list[str] = field(default_factory=list)  # enrolled, acknowledged, not found at once
    returned: list[str] = field(default_factory=list)  # deleted, acknowledged, found
    lost: list[str] = field(default_factory=list)  # jobs that failed: not acknowledged
    answered: Counter[str] = field(default_factory=Counter)  # final look: by process
    unequal: list[str] = field(default_factory=list)  # processes whose ids are not those of SQL

    @property
    def kept(self) -> bool:
        return not (self.missed or self.returned or self.unequal)


class Person:
    """One thread's people: nobody else touches them, so it knows what every answer has to be."""

    def __init__(self, site: Site, name: int, seed: int, findings: Findings) -> None:
        self.site, self.name, self.findings = site, name, findings
        self.random = random.Random(seed * 1000 + name)
        self.vectors = np.random.default_rng(seed * 1000 + name)
        self.alive: dict[int, tuple[str, list[float]]] = {}  # face -> subject, embedding
        self.count = 0

    def act(self) -> None:
        draw = self.random.random()
        if draw < 0.45 or not self.alive:
            self.enroll()
        elif draw < 0.75:
            self.look_for(*self.random.choice(list(self.alive.items())))
        else:
            self.delete()

    def enroll(self) -> None:
        self.count += 1
        subject = f"t{self.name}-{self.count}"
        faces = self.random.randint(1, 3)
        embeddings = self.vectors.standard_normal((faces, DIMENSIONS)).tolist()
        result = self._run("enroll", subjects=[subject], embeddings=embeddings, consent=CONSENT)
        if result:
            for face in result["faces"]:
                known = (subject, embeddings[face["item"]])
                self.alive[face["face_id"]] = known
                self.look_for(face["face_id"], known)

    def look_for(self, face_id: int, known: tuple[str, list[float]]) -> None:
        result = self._run("identify", embeddings=[known[1]])
        if result:
            (probe,) = result["probes"]
            if probe["subject"] != known[0] or probe["candidates"][0]["face_id"] != face_id:
                self.findings.missed.append(f"{known[0]}: {probe}")

    def delete(self) -> None:
        face_id = self.random.choice(list(self.alive))
        _, embedding = self.alive.pop(face_id)
        if self._run("delete", face_ids=[face_id]) is None:
            return  # not acknowledged: it may be there or not
        result = self._run("identify", embeddings=[embedding])
        if result:
            found = {c["face_id"] for p in result["probes"] for c in p["candidates"]}
            if face_id in found:
                self.findings.returned.append(f"{face_id}: {result['probes']}")

    def _run(self, method: str, **request: Any) -> dict[str, Any] | None:
        self.findings.done[method] += 1
        job = run_job(self.site.client, f"faces.{method}", {"collection": COLLECTION, **request})
        if job["state"] != "succeeded":
            self.findings.lost.append(f"{method}: {job['error']}")
            return None
        result: dict[str, Any] = job["result"]
        return result


def run_job(client: httpx2.Client, task: str, request: dict[str, Any]) -> dict[str, Any]:
    """Submit until it is accepted, and wait for the end."""
    path, key = "/v1/" + task.replace(".", "/"), uuid4().hex
    headers = {"Idempotency-Key": key, "Prefer": "wait=15"}
    give_up_at = time.monotonic() + GIVE_UP
    job: dict[str, Any] = {}
    while not job.get("finished_at"):
        if time.monotonic() > give_up_at:
            raise TimeoutError(f"{task} did not end: {job}")
        answer = client.post(path, json=request, headers=headers)  # the same job each time
        if answer.status_code not in (200, 202, 429, 503):
            raise AssertionError(answer.text)
        job = answer.json() if answer.status_code in (200, 202) else {}
    return job


def seed_faces(settings: Settings, count: int) -> None:
    """Fill the collection past the size at which an index has segments on disk."""
    sessions = open_db(settings.database)
    key = Keyring(settings, sessions).key(TENANT)
    random_vectors = np.random.default_rng(7)
    consent = Consent(**CONSENT)
    for start in range(0, count, SEED_AT_ONCE):
        vectors = unit(random_vectors.standard_normal((SEED_AT_ONCE, DIMENSIONS)))
        faces = [
            NewFace(f"seed-{start + place}", vector, None, None)
            for place, vector in enumerate(vectors)
        ]
        with sessions.begin() as session:
            collection = find_collection(session, TENANT, COLLECTION)
            store_faces(session, key, Actor(TENANT), collection, faces, consent)
    sessions.engine.dispose()


def shake(
    home: Path, operations: int, seed: int, gallery: int, every: float, database_url: str = ""
) -> tuple[Findings, dict[str, Any]]:
    """Run the operations over HTTP while a process dies every `every` seconds."""
    findings = Findings()
    overrides = {"database_url": database_url, "weights_dir": read_settings().weights}
    with run_site(home, PROCESSES, "faces", purge_within=10.0, **overrides) as site:
        run_job(site.client, "faces.create", {"collection": COLLECTION})
        seed_faces(Settings(home=home, DATABASE_URL=database_url), gallery)
        people = [Person(site, name, seed, findings) for name in range(THREADS)]
        killer = Killer(site, seed, every)
        started = time.monotonic()
        with killer.at_work():
            _work(people, operations)
        took = time.monotonic() - started
        site.wait_for_workers(PROCESSES)
        _compare_ids(site, findings)
        receipts = _wait_for_receipts(site)
    return findings, {
        "operations": dict(findings.done),
        "seconds": round(took, 1),
        "operations per second": round(findings.done.total() / took, 1),
        "killed mains / children": f"{killer.kills['main']} / {killer.kills['child']}",
        "jobs that failed, not acknowledged": len(findings.lost),
        "acknowledged, not found at once": len(findings.missed),
        "deleted, found again": len(findings.returned),
        "processes whose ids were compared": dict(findings.answered),
        "processes whose ids differ from SQL": len(findings.unequal),
        "receipts purged": receipts,
    }


def _work(people: list[Person], operations: int) -> None:
    left = threading.Semaphore(operations)

    def work(person: Person) -> None:
        while left.acquire(blocking=False):
            person.act()

    with ThreadPoolExecutor(len(people)) as pool:
        for future in [pool.submit(work, person) for person in people]:
            future.result()


def _compare_ids(site: Site, findings: Findings) -> None:
    """The ids in the index of every process against those of SQL, until each has answered."""

    def all_answered() -> bool:
        index = run_job(site.client, "faces.stats", {"collection": COLLECTION})["result"]["index"]
        findings.answered[str(index["process"])] += 1
        if index["ids"] != digest_sql(site.database):
            findings.unequal.append(str(index))
        return len(findings.answered) == PROCESSES

    wait_for(all_answered, "stats of every process")


def digest_sql(database: str) -> str:
    """As an index describes its ids, but out of SQL."""
    rows = run_sql(database, "SELECT number FROM faces ORDER BY number")
    numbers = np.array([row[0] for row in rows], np.int64)
    from workers.faces.indexes import digest_numbers

    return digest_numbers(numbers)


def _wait_for_receipts(site: Site) -> int:
    pending = "SELECT count(*) FROM face_purges WHERE purged_at IS NULL"
    wait_for(lambda: int(run_sql(site.database, pending)[0][0]) == 0, "the last receipt")
    return int(run_sql(site.database, "SELECT count(*) FROM face_purges")[0][0])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--operations", type=int, default=1000)
    parser.add_argument("--gallery", type=int, default=100_000, help="faces before the start")
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=3.0, help="seconds between kills")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, provide_database(given.database) as url:
        home = Path(folder) / "home"
        findings, figures = shake(
            home, given.operations, given.seed, given.gallery, given.every, url
        )
    for name, value in figures.items():
        sys.stdout.write(f"{name:36} {value}\n")
    for line in [*findings.missed, *findings.returned, *findings.unequal, *findings.lost][:20]:
        sys.stdout.write(f"{line}\n")
    return 0 if findings.kept else 1


if __name__ == "__main__":
    sys.exit(main())
