"""A thousand open event streams of one job: who hears of its end, when, and what it costs."""

import asyncio
import resource
import tempfile
import time
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx2

from bench.measure import percentile, read_cpu, read_memory
from bench.options import Options
from bench.report import Report, tell
from services.local.control import Stack
from services.local.stack import running_stack

STREAMS, QUICK_STREAMS = 1000, 100
LIMIT = 120.0  # seconds for all streams to open, and again to hear of the end
COLUMNS = (
    *("streams", "heard the end", "open s", "first ms", "p50 ms", "last ms"),
    *("gateway MiB before", "gateway MiB open", "gateway MiB after", "gateway cpu ms/stream"),
)


def run(options: Options) -> Report:
    count = QUICK_STREAMS if options.quick else STREAMS
    allow_files(count + 200)
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as home:
        settings = {"home": Path(home), "workers": "echo", "log_level": "warning"}
        with running_stack(settings) as stack:
            row = asyncio.run(measure(stack, count))
    verdict = tell(row["heard the end"] == count)
    notes = [
        f"{verdict}: {row['heard the end']} of {count} streams heard of the end; wanted all",
        "first, p50 and last: from the end of the job, as the job itself tells, to the event",
    ]
    return Report("streams", COLUMNS, [row], notes, [row])


def allow_files(count: int) -> None:
    """Every stream is an open file of this process too."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < count:
        resource.setrlimit(resource.RLIMIT_NOFILE, (count, hard))


async def measure(stack: Stack, count: int) -> dict[str, Any]:
    """Open the streams while no worker runs, then let one end the job."""
    gateway = [stack.pid("gateway")]
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    async with httpx2.AsyncClient(base_url=stack.address, headers=headers) as http:
        stack.stop_program("echo")
        submitted = await http.post("/v1/echo/say", json={"text": "hello"})
        job_id = submitted.raise_for_status().json()["id"]
        before, cpu = read_memory(gateway), read_cpu(gateway)
        opened: list[float] = []
        heard: list[float] = []
        started = time.perf_counter()
        tasks = [asyncio.create_task(listen(stack, job_id, opened, heard)) for _ in range(count)]
        await until(lambda: len(opened) == count, tasks)
        opening, during = time.perf_counter() - started, read_memory(gateway)
        await asyncio.to_thread(stack.start_program, "echo")
        await until(lambda: len(heard) == count, tasks)
        job = (await http.get(f"/v1/jobs/{job_id}")).raise_for_status().json()
    ended = datetime.fromisoformat(job["finished_at"]).timestamp()
    delays = [1000 * (at - ended) for at in heard] or [float("nan")]
    return {
        "streams": count,
        "heard the end": len(heard),
        "open s": opening,
        "first ms": min(delays),
        "p50 ms": percentile(delays, 50),
        "last ms": max(delays),
        "gateway MiB before": before / 2**20,
        "gateway MiB open": during / 2**20,
        "gateway MiB after": read_memory(gateway) / 2**20,
        "gateway cpu ms/stream": 1000 * (read_cpu(gateway) - cpu) / count,
    }


async def until(done: Callable[[], bool], tasks: list[asyncio.Task[None]]) -> None:
    """Wait for the streams; raises what the first broken one raised. Gives up after LIMIT."""
    deadline = time.monotonic() + LIMIT
    while not done() and time.monotonic() < deadline:
        for task in tasks:
            if task.done():
                task.result()
        await asyncio.sleep(0.05)


async def listen(stack: Stack, job_id: str, opened: list[float], heard: list[float]) -> None:
    """One stream, read from a bare socket: a client library would cost more than the server."""
    address = urlsplit(stack.address)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(
        f"GET /v1/jobs/{job_id}/events HTTP/1.1\r\nHost: {address.netloc}\r\n"
        f"Authorization: Bearer {stack.api_key}\r\n\r\n".encode()
    )
    try:
        status = await reader.readline()
        if b" 200 " not in status:
            raise RuntimeError(f"A stream was refused: {status.decode().strip()}")
        while line := await reader.readline():
            if line.startswith(b"event: queued"):
                opened.append(time.time())
            if line.startswith(b"event: succeeded"):
                heard.append(time.time())
                return
    finally:
        writer.close()
