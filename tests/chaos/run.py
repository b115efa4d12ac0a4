"""Kills workers and the broker under load, and counts what became of the jobs.

`python -m tests.chaos.run --jobs 10000 --database postgresql --seed 1` prints a table of figures
and ends with status 1 if a promise was broken.
"""

import argparse
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.chaos.checker import Findings, check
from tests.chaos.client import Request, open_client, percentile
from tests.chaos.harm import Killer, at_shares
from tests.e2e.stack import run_site
from tests.servers import run_postgres

MAINS = 2
DRAIN = 1200.0  # seconds for the jobs that are left when the last one is submitted


@dataclass(frozen=True)
class Load:
    """The jobs of a run: each writes one row in the transaction that finishes it."""

    jobs: int
    rate: float  # submits per second
    work: float  # seconds that a job takes

    def list_requests(self) -> list[Request]:
        return [
            ("echo.count", {"number": number, "seconds": self.work}) for number in range(self.jobs)
        ]


@dataclass(frozen=True)
class Figures:
    """What a run did, and what the checker found."""

    findings: Findings
    measured: list[tuple[str, Any]]

    def __str__(self) -> str:
        rows = [*self.measured, *self.findings.table()]
        return "\n".join(f"{name:28} {value}" for name, value in rows)


def kill_under_load(
    home: Path, load: Load, seed: int, database_url: str = "", every: float = 2.0
) -> Figures:
    """Submit the jobs over HTTP while a worker process dies every `every` seconds.

    The broker dies three times, the second time with all its data.
    """
    home.mkdir(parents=True)
    log = home.with_name("client.jsonl")
    began = time.monotonic()
    with run_site(home, mains=MAINS, database_url=database_url) as site:
        with open_client(site.stack.address, site.stack.api_key, log) as client:
            killer = Killer(site, seed, every)
            breaks = {
                0.25: lambda: site.kill("valkey"),
                0.5: site.wipe_broker,
                0.75: lambda: site.kill("valkey"),
            }
            with killer.at_work():
                with at_shares(load.jobs, lambda: client.answers.count(202), breaks):
                    started = time.monotonic()
                    client.submit_all(load.list_requests(), load.rate)
                    submitted = time.monotonic()
                site.drain(DRAIN)
            drained = time.monotonic()
            seen = client.look_at_all()
            time.sleep(2 * 3.0)  # two leases: a zombie has its chance to write
        findings = check(log, site.database)
    refused = Counter(status for status in client.answers if status != 202)
    measured = [
        ("jobs submitted", load.jobs),
        ("killed: worker mains", killer.kills["main"]),
        ("killed: worker children", killer.kills["child"]),
        ("killed: broker", "3, once with its data"),
        ("other answers to submits", dict(refused) or "none"),
        ("submit p50 / p99, ms", show_latency(client.latencies)),
        ("submitting, s", round(submitted - started, 1)),
        ("from first submit to end, s", round(drained - started, 1)),
        ("whole run, s", round(time.monotonic() - began, 1)),
        ("seen ended by the client", seen),
    ]
    return Figures(findings, measured)


def show_latency(seconds: list[float]) -> str:
    return f"{1000 * percentile(seconds, 0.5):.0f} / {1000 * percentile(seconds, 0.99):.0f}"


@contextmanager
def provide_database(kind: str) -> Iterator[str]:
    """The URL of a new database; empty for SQLite in the state folder."""
    if kind == "sqlite":
        yield ""
    else:
        with run_postgres() as url:
            yield url


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--jobs", type=int, default=1000)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rate", type=float, default=100.0, help="submits per second")
    parser.add_argument("--work", type=float, default=0.01, help="seconds that a job takes")
    parser.add_argument("--every", type=float, default=2.0, help="seconds between kills")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, provide_database(given.database) as url:
        load = Load(given.jobs, given.rate, given.work)
        figures = kill_under_load(Path(folder) / "home", load, given.seed, url, given.every)
    sys.stdout.write(f"database                     {given.database}\n{figures}\n")
    return 0 if figures.findings.kept else 1


if __name__ == "__main__":
    sys.exit(main())
