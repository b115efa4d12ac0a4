"""The container health check tells a working process from a dead or stuck one."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/healthcheck.py"


def check(*arguments: str) -> int:
    return subprocess.run([sys.executable, SCRIPT, *arguments], check=False).returncode


class Answer(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/ready" else 503)
        self.end_headers()

    def log_message(self, format: str, *arguments: object) -> None: ...


@pytest.fixture
def server() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Answer) as listening:
        thread = threading.Thread(target=listening.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{listening.server_port}"
        listening.shutdown()
        thread.join()


def test_a_ready_gateway_is_healthy(server: str):
    assert check(f"{server}/ready") == 0


def test_a_gateway_that_is_not_ready_is_unhealthy(server: str):
    assert check(f"{server}/not-ready") == 1


def test_a_gateway_that_does_not_listen_is_unhealthy():
    with HTTPServer(("127.0.0.1", 0), Answer) as closed:
        port = closed.server_port
    assert check(f"http://127.0.0.1:{port}/ready") == 1


def test_a_process_that_has_not_started_is_unhealthy(tmp_path: Path):
    assert check(str(tmp_path), "60") == 1


def test_a_beating_process_is_healthy(tmp_path: Path):
    (tmp_path / "detect.alive").touch()
    assert check(str(tmp_path), "60") == 0


def test_a_process_that_stopped_beating_is_unhealthy(tmp_path: Path):
    beat = tmp_path / "detect.alive"
    beat.touch()
    os.utime(beat, (time.time() - 120, time.time() - 120))
    assert check(str(tmp_path), "60") == 1
