"""Whoever follows a job learns how it ended, however many follow and whatever breaks meanwhile."""

import asyncio
import os
import sys

import httpx2
import psutil
import pytest

from tests.e2e.stack import Site, wait_for
from tests.e2e.streams import ENDS, Sent, follow_to_end, read_events

STREAMS = 1000 if os.environ.get("ATELIER_FULL") else 100


def measure_gateway(site: Site) -> float:
    """Resident memory of the gateway's processes, in MB."""
    main = psutil.Process(site.stack.pid("gateway"))
    return sum(process.memory_info().rss for process in [main, *main.children()]) / 2**20


@pytest.mark.timeout(600)
def test_every_open_stream_gets_the_end_of_its_job(site: Site, capsys: pytest.CaptureFixture[str]):
    [worker] = site.mains
    site.stack.stop_program(worker)
    ids = [site.submit("echo.count", {"number": number})["id"] for number in range(STREAMS)]
    before = measure_gateway(site)
    opened, last = asyncio.run(follow_all(site, ids))
    assert len(last) == STREAMS
    assert {event.kind for event in last.values()} == {"succeeded"}
    with capsys.disabled():
        sys.stdout.write(
            f"\n{STREAMS} event streams: the gateway grew from {before:.0f} to {opened:.0f} MB\n"
        )
    # A stream costs a thread and what it touches of its stack, not a process.
    assert opened - before < 20 + 0.5 * STREAMS


async def follow_all(site: Site, ids: list[str]) -> tuple[float, dict[str, Sent]]:
    """(MB of the gateway with all streams open, the last event of each job)."""
    last: dict[str, Sent] = {}
    waiting = asyncio.Semaphore(0)
    async with httpx2.AsyncClient(
        base_url=site.stack.address,
        headers=dict(site.client.headers),
        timeout=120,
        limits=httpx2.Limits(max_connections=None),
        trust_env=False,
    ) as client:

        async def follow(job_id: str) -> None:
            async for event in follow_to_end(client, job_id):
                if job_id not in last:
                    waiting.release()
                last[job_id] = event

        followers = [asyncio.create_task(follow(job_id)) for job_id in ids]
        for _ in ids:
            await asyncio.wait_for(waiting.acquire(), 120)
        opened = measure_gateway(site)
        await asyncio.to_thread(site.stack.start_program, site.mains[0])
        await asyncio.gather(*followers)
    return opened, last


def follow_in_pieces(site: Site, job_id: str, piece: int) -> list[Sent]:
    """Reads `piece` events per connection and resumes after the last of them."""
    seen: list[Sent] = []
    last_id = ""
    while not seen or seen[-1].kind not in ENDS:
        for number, event in enumerate(read_events(site.client, job_id, last_id), start=1):
            seen.append(event)
            last_id = event.id or last_id
            if number == piece:
                break
    return seen


@pytest.mark.parametrize("piece", [1, 2, 5])
def test_resuming_misses_nothing_and_repeats_nothing(site: Site, piece: int):
    job_id = site.submit("echo.act", {"act": "sleep", "seconds": 1.5})["id"]
    seen = follow_in_pieces(site, job_id, piece)
    whole = list(read_events(site.client, job_id))
    assert [event for event in seen if event.id] == whole
    assert {"queued", "running", "progress", "succeeded"} == {event.kind for event in whole}
    assert whole[-1].kind == "succeeded"


def test_a_gateway_that_dies_costs_a_follower_a_reconnect_and_no_event(site: Site):
    job_id = site.submit("echo.act", {"act": "sleep", "seconds": 1.8})["id"]
    seen: list[Sent] = []
    killed = False
    while not seen or seen[-1].kind not in ENDS:
        try:
            for event in read_events(site.client, job_id, seen[-1].id if seen else ""):
                seen.append(event)
                if event.kind == "progress" and not killed:
                    site.kill_gateway()
                    killed = True
        except httpx2.TransportError:
            wait_for(lambda: is_up(site), "the gateway")
    assert killed
    assert seen == list(read_events(site.client, job_id))


def is_up(site: Site) -> bool:
    try:
        return bool(site.client.get("/healthz").is_success)
    except httpx2.TransportError:
        return False


def test_a_broker_that_loses_everything_hides_no_end(site: Site):
    [worker] = site.mains
    site.stack.stop_program(worker)
    job_id = site.submit("echo.count", {"number": 1})["id"]
    events = read_events(site.client, job_id)
    assert next(events).kind == "queued"
    site.wipe_broker()
    site.stack.start_program(worker)
    assert [event.kind for event in events][-1] == "succeeded"


def test_an_end_is_still_told_once_its_events_are_gone(site: Site):
    job_id = site.submit("echo.act", {"act": "raise"})["id"]
    site.finish(job_id)
    site.wipe_broker()
    wait_for(lambda: "valkey" in site.stack.pids(), "the broker")
    [end] = read_events(site.client, job_id)
    assert (end.kind, end.id) == ("failed", "")
    assert "worker_error" in end.data
