"""Watches a stack start until every program does its work, or one turns out not to."""

import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import httpx2
from pydantic import BaseModel, ConfigDict, ValidationError

from services.local.control import Stack
from services.local.errors import StackError
from services.local.logs import read_last
from services.local.programs import Stage
from services.local.supervision import Process

READY_LIMIT = 300.0  # seconds; five workers that load models on two cores need a while
MAX_DEATHS = 3  # before a program counts as failed; supervisor goes on trying
GATEWAY = "gateway"
WORKERS = Stage.WORKERS.name.lower()


class Readiness(BaseModel):
    """The gateway's answer to /readyz."""

    model_config = ConfigDict(extra="ignore")

    status: str
    checks: dict[str, str]
    workers: dict[str, int]  # queue -> live worker processes


@dataclass(frozen=True)
class Phase:
    """How far a program has come."""

    name: str
    stage: str
    text: str
    ready: bool = False
    failed: bool = False


class StartFailed(StackError):
    """Programs did not come up; the text holds the ends of their logs."""

    def __init__(self, stack: Stack, phases: Sequence[Phase]) -> None:
        self.names = [phase.name for phase in phases]
        super().__init__("\n".join(_explain(stack, phase) for phase in phases))


def _explain(stack: Stack, phase: Phase) -> str:
    log = stack.home / "logs" / f"{phase.name}.log"
    lines = read_last(log, 15)
    verb = "failed to start" if phase.failed else "is not ready"
    said = "".join(f"  | {line}\n" for line in lines) or "  (it wrote nothing)\n"
    return f"{phase.name} {verb}: {phase.text}. The end of {log}:\n{said}"


def ask_gateway(address: str) -> Readiness | None:
    """None while there is no answer."""
    try:
        # trust_env: a proxy for the outside must not be asked for this machine
        answer = httpx2.get(f"{address}/readyz", timeout=5, trust_env=False)
        return Readiness.model_validate_json(answer.content)
    except (httpx2.HTTPError, ValidationError):
        return None


def watch_start(
    stack: Stack, limit: float = READY_LIMIT, show: Callable[[list[Phase]], None] | None = None
) -> list[Phase]:
    """Wait until every program is ready or has failed, at most `limit` seconds."""
    starts: dict[str, set[int]] = defaultdict(set)
    deadline = time.monotonic() + limit
    while True:
        phases = _look(stack, starts)
        if show:
            show(phases)
        settled = all(phase.ready or phase.failed for phase in phases)
        broken = any(phase.failed and phase.stage != WORKERS for phase in phases)
        if settled or broken or time.monotonic() > deadline:
            return phases
        time.sleep(0.25)


def _look(stack: Stack, starts: dict[str, set[int]]) -> list[Phase]:
    """One look at every program; `starts` collects the moments each was started at."""
    processes = stack.processes()
    for process in processes:
        if process.started:
            starts[process.name].add(process.started)
    has_gateway = any(process.name == GATEWAY for process in processes)
    answer = ask_gateway(stack.address) if has_gateway else None
    return [
        _judge(process, len(starts[process.name]), has_gateway, answer) for process in processes
    ]


def _judge(process: Process, starts: int, has_gateway: bool, answer: Readiness | None) -> Phase:
    name, stage = process.name, process.stage
    deaths = starts - (process.state in ("STARTING", "RUNNING"))
    if process.state == "FATAL" or deaths >= MAX_DEATHS:
        return Phase(name, stage, process.problem or f"it ended {deaths} times", failed=True)
    if process.state != "RUNNING":
        return Phase(name, stage, process.state.lower())
    if name == GATEWAY:
        return _judge_gateway(name, stage, answer)
    if stage == WORKERS and has_gateway:
        count = answer.workers.get(name, 0) if answer else 0
        return Phase(name, stage, "ready" if count else "loading", ready=count > 0)
    return Phase(name, stage, "ready", ready=True)


def _judge_gateway(name: str, stage: str, answer: Readiness | None) -> Phase:
    if answer is None:
        return Phase(name, stage, "loading")
    bad = [f"{check}: {state}" for check, state in answer.checks.items() if state != "ok"]
    return Phase(name, stage, ", ".join(bad) or "ready", ready=not bad)
