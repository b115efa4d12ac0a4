"""A worker is one folder: put anywhere on the path, it is served, with no edit elsewhere."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx2
import pytest

ROOT = Path(__file__).parents[2]

CONTRACT = '''
"""What the greet worker accepts and returns."""

from pydantic import Field

from shared.contract import BlobId, Message, Task


class GreetRequest(Message):
    name: str = Field(min_length=1)
    card: BlobId | None = None


class GreetResult(Message):
    text: str
    card_size: int


POLITELY = Task(
    "greet.politely", GreetRequest, GreetResult, "Greet somebody.", example={"name": "Ann"},
    max_batch=16,
)
TASKS = [POLITELY]
'''

WORKER = '''
"""Greets."""

from collections.abc import Sequence

from workers.greet.contract import POLITELY, GreetRequest, GreetResult

from shared.settings import Settings
from workers.runtime.run import Run
from workers.runtime.serve import serve


class GreetWorker:
    def __init__(self, settings: Settings) -> None:
        self.word = ""

    def warm_up(self) -> None:
        self.word = "Good morning"

    def politely(self, batch: Sequence[Run[GreetRequest]]) -> list[GreetResult]:
        return [self.greet(run) for run in batch]

    def greet(self, run: Run[GreetRequest]) -> GreetResult:
        card = run.read(run.request.card) if run.request.card else b""
        return GreetResult(text=f"{self.word}, {run.request.name}!", card_size=len(card))


app = serve("greet", GreetWorker, {POLITELY: GreetWorker.politely})
'''


@pytest.fixture(scope="module")
def client(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx2.Client]:
    """`atelier up` for the new worker alone."""
    folder = tmp_path_factory.mktemp("sixth")
    home, package = folder / "home", folder / "workers" / "greet"
    package.mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "contract.py").write_text(CONTRACT)
    (package / "worker.py").write_text(WORKER)
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT), str(folder)]),
        "ATELIER_HOME": str(home),
        "ATELIER_WORKERS": "greet",
    }

    def run(command: str) -> None:
        done = subprocess.run(
            [sys.executable, "-P", "-m", "services.local", command],
            env=environment,
            cwd=folder,
            capture_output=True,
            text=True,
            check=False,
            timeout=240,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    try:
        run("up")
        with httpx2.Client(
            base_url=(home / "address").read_text().strip(),
            headers={"X-API-Key": (home / "api-key").read_text().strip()},
            timeout=60,
            trust_env=False,
        ) as client:
            yield client
    finally:
        run("down")


def test_its_jobs_are_accepted_done_and_answered(client: httpx2.Client):
    answer = client.post("/v1/greet/politely", json={"name": "Bob"}, headers={"Prefer": "wait=30"})
    assert answer.status_code == 200, answer.text
    job = answer.json()
    assert (job["task"], job["state"]) == ("greet.politely", "succeeded")
    assert job["result"] == {"text": "Good morning, Bob!", "card_size": 0}


def test_its_files_can_be_sent_as_a_form(client: httpx2.Client):
    answer = client.post(
        "/v1/greet/politely",
        data={"name": "Bob"},
        files={"card": b"a picture"},
        headers={"Prefer": "wait=30"},
    )
    assert answer.status_code == 200, answer.text
    assert answer.json()["result"]["card_size"] == len(b"a picture")


def test_its_contract_refuses_what_does_not_fit(client: httpx2.Client):
    answer = client.post("/v1/greet/politely", json={"name": "", "shout": True})
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert {"name", "shout"} <= set(str(answer.json()["errors"]).replace("'", " ").split())


def test_it_is_listed_with_its_schemas(client: httpx2.Client):
    tasks = {task["name"]: task for task in client.get("/v1/tasks").json()["items"]}
    task = tasks["greet.politely"]
    assert (task["path"], task["max_batch"]) == ("/v1/greet/politely", 16)
    assert task["request"]["properties"]["card"]
    assert task["example"] == {"name": "Ann"}


def test_it_is_in_the_api_document(client: httpx2.Client):
    document = client.get("/openapi.json").json()
    operation = document["paths"]["/v1/greet/politely"]["post"]
    assert operation["summary"] == "Greet somebody."
    assert "greet_politely_request" in document["components"]["schemas"]
    assert document["components"]["schemas"]["greet_politely_result"]["properties"]["text"]


def test_its_processes_are_counted(client: httpx2.Client):
    assert client.get("/readyz").json()["workers"] == {"greet": 1}


def test_it_needs_a_key_like_the_others(client: httpx2.Client):
    answer = client.post("/v1/greet/politely", json={"name": "Bob"}, headers={"X-API-Key": "no"})
    assert answer.status_code == 401
