"""A client that submits jobs at a steady rate and logs every answer it gets."""

import itertools
import json
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TextIO

import httpx2

GIVE_UP = 120.0  # seconds to repeat one submit
PAUSE = 0.2  # seconds between two tries

Request = tuple[str, dict[str, Any]]  # task, body


class LoggingClient:
    """Writes one JSON object per answer, before it does anything else with it."""

    def __init__(self, address: str, key: str, log: TextIO) -> None:
        self.http = httpx2.Client(
            base_url=address,
            headers={"Authorization": f"Bearer {key}"},
            timeout=30,
            trust_env=False,
        )
        self._log, self._lock = log, threading.Lock()
        self.accepted = itertools.count()
        self.latencies: list[float] = []  # seconds of every submit
        self.answers: list[int] = []  # their status; 0 without an answer

    def submit_all(self, requests: Sequence[Request], rate: float, threads: int = 8) -> list[str]:
        """Submit each request, again until it is accepted, at most `rate` per second; the ids."""
        started = time.monotonic()

        def submit(item: tuple[int, Request]) -> str:
            number, request = item
            time.sleep(max(0.0, started + number / rate - time.monotonic()))
            return self._submit_until_accepted(f"{started}-{number}", *request)

        with ThreadPoolExecutor(threads) as pool:
            return list(pool.map(submit, enumerate(requests)))

    def _submit_until_accepted(self, key: str, task: str, body: dict[str, Any]) -> str:
        give_up_at = time.monotonic() + GIVE_UP
        while time.monotonic() < give_up_at:
            job_id = self._submit_once(key, task, body)
            if job_id:
                return job_id
            time.sleep(PAUSE)
        raise TimeoutError(f"{task} was not accepted in {GIVE_UP} s")

    def _submit_once(self, key: str, task: str, body: dict[str, Any]) -> str:
        path = "/v1/" + task.replace(".", "/")
        began = time.monotonic()
        try:
            answer = self.http.post(path, json=body, headers={"Idempotency-Key": key})
        except httpx2.TransportError as error:
            self._note(began, 0, {"key": key, "task": task, "status": repr(error)})
            return ""
        job_id = str(answer.json()["id"]) if answer.status_code in (200, 202) else ""
        line = {"key": key, "task": task, "status": answer.status_code}
        self._note(began, answer.status_code, {**line, "id": job_id} if job_id else line)
        return job_id

    def _note(self, began: float, status: int, line: dict[str, Any]) -> None:
        self.write(line)
        self.latencies.append(time.monotonic() - began)
        self.answers.append(status)

    def look_at_all(self) -> int:
        """Log how every job that has ended looks to a client; how many there are."""
        count = 0
        params: dict[str, Any] = {"limit": 200}
        while True:
            page = self.http.get("/v1/jobs", params=params).raise_for_status().json()
            for job in page["items"]:
                if job["finished_at"]:
                    finished_at = datetime.fromisoformat(job["finished_at"]).timestamp()
                    self.write({"id": job["id"], "state": job["state"], "finished_at": finished_at})
                    count += 1
            if not page["next"]:
                return count
            params["cursor"] = page["next"]

    def write(self, line: dict[str, Any]) -> None:
        text = json.dumps({"time": time.time(), **line}) + "\n"
        with self._lock:
            self._log.write(text)
            self._log.flush()


@contextmanager
def open_client(address: str, key: str, log: Path) -> Iterator[LoggingClient]:
    with log.open("a", encoding="utf-8") as file:
        client = LoggingClient(address, key, file)
        with client.http:
            yield client


def percentile(values: Sequence[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
