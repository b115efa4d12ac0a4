"""Racing submits with one Idempotency-Key: how many jobs come of them."""

import secrets
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import httpx2

from bench.options import Options
from bench.report import Report, tell
from services.local.stack import running_stack

KEYS, QUICK_KEYS = 1000, 20
RACERS = 20  # submits per key, at once
COLUMNS = ("keys", "submits", "jobs", "keys with several jobs", "other answers", "submits/s")


def run(options: Options) -> Report:
    keys = QUICK_KEYS if options.quick else KEYS
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home, ExitStack() as clients:
        settings = {
            "home": Path(home),
            "workers": "echo",
            "log_level": "warning",
            "rate_limit": "100000/second",
        }
        with running_stack(settings) as stack:
            racers = [
                clients.enter_context(open_client(stack.address, stack.api_key))
                for _ in range(RACERS)
            ]
            started = time.perf_counter()
            with ThreadPoolExecutor(RACERS) as threads:
                answers = [race(threads, racers) for _ in range(keys)]
            seconds = time.perf_counter() - started
            jobs = count_jobs(racers[0])
    row = summarize(answers, jobs, seconds)
    verdict = tell(jobs == keys and not row["other answers"])
    notes = [f"{verdict}: {jobs} jobs of {keys} keys; wanted one each"]
    return Report("idempotency", COLUMNS, [row], notes, [row])


def open_client(address: str, key: str) -> httpx2.Client:
    headers = {"Authorization": f"Bearer {key}"}
    return httpx2.Client(base_url=address, headers=headers, timeout=60, trust_env=False)


def race(threads: ThreadPoolExecutor, racers: list[httpx2.Client]) -> list[str]:
    """The job id, or else the status, that each racer gets for one new key."""
    headers = {"Idempotency-Key": secrets.token_hex(16)}

    def submit(http: httpx2.Client) -> str:
        answer = http.post("/v1/echo/say", json={"text": "hello"}, headers=headers)
        return str(answer.json()["id"]) if answer.status_code == 202 else f"{answer.status_code}"

    return list(threads.map(submit, racers))


def count_jobs(http: httpx2.Client) -> int:
    """All jobs there are, page by page: also one that no answer named would be seen."""
    count, cursor = 0, dict[str, str]()
    while True:
        page = http.get("/v1/jobs", params={"limit": 200, **cursor}).raise_for_status().json()
        count += len(page["items"])
        if page["next"] is None:
            return count
        cursor = {"cursor": page["next"]}


def summarize(answers: list[list[str]], jobs: int, seconds: float) -> dict[str, Any]:
    ids = [{answer for answer in group if len(answer) == 32} for group in answers]
    submits = sum(map(len, answers))
    return {
        "keys": len(answers),
        "submits": submits,
        "jobs": jobs,
        "keys with several jobs": sum(len(group) > 1 for group in ids),
        "other answers": sum(len(answer) != 32 for group in answers for answer in group),
        "submits/s": submits / seconds,
    }
