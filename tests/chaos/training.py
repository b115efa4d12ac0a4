"""Kills a training once it has written a checkpoint, and looks at what becomes of it."""

import json
import re
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from shared.contract import LONG
from shared.settings import read_settings
from tests.e2e.clients import pack_folder
from tests.e2e.stack import Site, run_site, send, wait_for
from tests.e2e.streams import read_events
from tests.plain_sql import run_sql
from tests.workers.detect import coloured as boxes
from tests.workers.segment import coloured as masks
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_parts

NAME = "chaos"  # of the model


@dataclass(frozen=True)
class Training:
    """A training that lasts more than twice as long as until its first checkpoint, 30 seconds."""

    worker: str
    epochs: int
    request: dict[str, Any]
    write: Callable[[Path], None]  # makes its data in a folder


def write_boxes(folder: Path) -> None:
    boxes.write_yolo(folder, 48, "train")
    boxes.write_yolo(folder, 12, "val", seed=1)


TRAININGS = [
    Training(
        "detect",
        epochs=120,
        request={
            "side": 64,
            "grid": 4,
            "patience": 120,
            "augment": False,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        write=write_boxes,
    ),
    Training(
        "segment",
        epochs=200,
        request={
            "encoder": "thin",
            "height": 64,
            "width": 64,
            "augment": False,
            "batch_size": 8,
            "learning_rate": 4e-3,
        },
        write=lambda folder: masks.write_pictures(folder, 60),
    ),
]
PATIENCE = 500.0  # seconds; on a quiet machine the whole takes 100
EPOCH = re.compile(r"epoch (\d+) of")


@dataclass(frozen=True)
class Findings:
    """How a training went that was killed once."""

    job: dict[str, Any]  # as a client sees it in the end
    events: list[str]  # kinds, in order
    saved: int  # whole epochs in the checkpoint when the process was killed
    resumed: int  # the epoch that was told first by the process after it
    claims: int
    losses: int  # leases that ended without an outcome
    models: list[tuple[Any, ...]]  # name and version of what is registered
    left: list[str]  # what lies in the folder of checkpoints
    log: str


def interrupt(training: Training, home: Path, victim: str, database_url: str = "") -> Findings:
    """Kill `victim`, the main process or its child that works, in the middle of a training."""
    overrides = {"database_url": database_url, "weights_dir": read_settings().weights}
    with run_site(home, 1, training.worker + LONG, **overrides) as site:
        request = {"data": upload(site, training), "name": NAME, "epochs": training.epochs}
        job = site.submit(f"{training.worker}.train", request | training.request)["id"]
        checkpoint = home / "checkpoints" / job / CHECKPOINT
        wait_for(checkpoint.exists, "a checkpoint", PATIENCE)
        _, about = read_parts(checkpoint)
        kill(site, victim)
        ended = site.finish(job, PATIENCE)
        events = list(read_events(site.client, job))
        resumed = [place for place, event in enumerate(events) if event.kind == "running"][-1]
        steps = [json.loads(event.data).get("step") or "" for event in events[resumed:]]
        epochs = [int(found.group(1)) for step in steps if (found := EPOCH.search(step))]
        [(claims, losses)] = run_sql(
            site.database, f"SELECT fence, failures FROM jobs WHERE id = '{job}'"
        )
        return Findings(
            job=ended,
            events=[event.kind for event in events],
            saved=len(about["history"]),
            resumed=min(epochs),
            claims=claims,
            losses=losses,
            models=run_sql(site.database, "SELECT name, version FROM trained_models"),
            left=[path.name for path in (home / "checkpoints").iterdir()],
            log=site.read_log(site.mains[0]),
        )


def upload(site: Site, training: Training) -> str:
    """The blob id of a zip of made-up labelled pictures."""
    with tempfile.TemporaryDirectory() as folder:
        training.write(Path(folder))
        content = pack_folder(Path(folder))
    answer = site.client.post("/v1/blobs", content=content)
    return str(answer.raise_for_status().json()["id"])


def kill(site: Site, victim: str) -> None:
    [main] = site.mains
    if victim == "main":
        assert site.kill(main)
        return
    [child] = site.children(main)
    assert send(child, signal.SIGKILL)
