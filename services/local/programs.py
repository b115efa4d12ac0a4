"""The programs of a stack: what runs, with which command, and in which stage."""

import sys
from dataclasses import dataclass
from enum import IntEnum
from importlib.util import find_spec
from pathlib import Path

import services
from services.catalog import find_workers, load_tasks
from services.local.broker import find_server
from services.local.errors import StackError
from shared.settings import Settings

GUNICORN_CONFIG = Path(services.__file__).parent / "gateway" / "gunicorn.conf.py"

# -P: a file called queue.py in the current folder must not stand in for the library's.
PYTHON = (sys.executable, "-P", "-m")


class Stage(IntEnum):
    """Stages start from low to high and stop from high to low, each before the next."""

    BROKER = 10
    SERVICES = 20
    WORKERS = 30


@dataclass(frozen=True)
class Program:
    """One program to keep running."""

    name: str
    command: tuple[str, ...]
    stage: Stage
    start_seconds: int = 1  # a program that ends sooner has failed to start
    stop_seconds: int = 15  # from SIGTERM to SIGKILL
    directory: str = ""  # inside the state folder; empty: where the stack was started from


def plan_programs(settings: Settings, port: int, embedded_broker: bool) -> list[Program]:
    """Everything a stack runs; raises StackError if a part is missing."""
    broker = [make_broker(find_server())] if embedded_broker else []
    bind = f"[{settings.host}]:{port}" if ":" in settings.host else f"{settings.host}:{port}"
    gateway = Program(
        "gateway",
        (
            *PYTHON,
            *("gunicorn", "-c", str(GUNICORN_CONFIG), "--bind", bind),
            "services.gateway.app:create_app()",
        ),
        Stage.SERVICES,
    )
    relay = Program("relay", (*PYTHON, "services.relay"), Stage.SERVICES)
    return [*broker, gateway, relay, *map(make_worker, list_queues(settings.workers))]


def make_broker(server: Path) -> Program:
    return Program("valkey", (str(server), "valkey.conf"), Stage.BROKER, directory="valkey")


def make_worker(name: str) -> Program:
    return Program(
        name,
        (*PYTHON, "workers.runtime", name),
        Stage.WORKERS,
        stop_seconds=35,  # for the batch in hand; the jobs behind it are given back at once
    )


def list_queues(wanted: str) -> list[str]:
    """The queues of the chosen workers, each served by a program of its own."""
    chosen = choose_workers(wanted)
    long = {task.queue for task in load_tasks().values() if task.long and task.worker in chosen}
    return sorted([*chosen, *long])


def choose_workers(wanted: str) -> list[str]:
    """The workers to run; `wanted` is comma-separated, empty for every one that can run here."""
    found = [name for name in find_workers() if find_spec(f"workers.{name}.worker")]
    names = [name.strip() for name in wanted.split(",") if name.strip()]
    unknown = sorted(set(names) - set(found))
    if unknown:
        raise StackError(
            f"ATELIER_WORKERS names {', '.join(unknown)}, but there is no such worker. "
            f"Found: {', '.join(found) or 'none'}."
        )
    reserved = {"valkey", "gateway", "relay"} & set(names or found)
    if reserved:
        raise StackError(f"A worker cannot be called {reserved.pop()}: rename its folder.")
    return sorted(set(names)) or found
