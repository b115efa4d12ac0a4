"""A stack is ready when the gateway says so, for itself and for every worker."""

from pathlib import Path

import pytest

from services.local.programs import Program, Stage
from services.local.readiness import Phase, StartFailed, watch_start
from services.local.stack import running_stack, start_stack
from shared.settings import Settings

# Answers /readyz: first without its database, then without workers, then with one.
GATEWAY = """
import json, os
from http.server import BaseHTTPRequestHandler, HTTPServer
answers = [("OperationalError", {}), ("ok", {}), ("ok", {WORKERS})]
class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        database, workers = answers.pop(0) if len(answers) > 1 else answers[0]
        ok = database == "ok"
        self.send_response(200 if ok else 503)
        self.end_headers()
        status = "ready" if ok else "unavailable"
        answer = {"status": status, "checks": {"database": database}, "workers": workers}
        self.wfile.write(json.dumps(answer).encode())
HTTPServer(("127.0.0.1", int(os.environ["ATELIER_PORT"])), Handler).serve_forever()
"""


@pytest.fixture
def gateway(script):
    def make(workers: str) -> Program:
        command = script("gateway", GATEWAY.replace("{WORKERS}", workers))
        return Program("gateway", command, Stage.SERVICES, start_seconds=0)

    return make


def test_a_stack_waits_for_the_gateway_and_then_for_the_workers(tmp_path: Path, gateway, sleeper):
    programs = [gateway("{'late': 1}"), sleeper("late", Stage.WORKERS)]
    seen: list[tuple[str, str]] = []

    def note(phases: list[Phase]) -> None:
        texts = {phase.name: phase.text for phase in phases}
        seen.append((texts["gateway"], texts["late"]))

    with start_stack(Settings(home=tmp_path / "home"), programs) as stack:
        try:
            phases = watch_start(stack, show=note)
        finally:
            stack.stop()
    assert all(phase.ready for phase in phases)
    assert list(dict.fromkeys(seen))[-3:] == [
        ("database: OperationalError", "loading"),
        ("ready", "loading"),
        ("ready", "ready"),
    ]


def test_a_worker_that_never_becomes_ready_is_named_when_time_is_over(
    tmp_path: Path, gateway, sleeper
):
    programs = [gateway("{}"), sleeper("late", Stage.WORKERS)]
    with (
        pytest.raises(StartFailed, match=r"(?s)late is not ready: loading.*late says hello"),
        running_stack({"home": tmp_path / "home"}, programs, limit=3),
    ):
        pass
