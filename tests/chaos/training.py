"""Kills a long job once it has written a checkpoint, and looks at what becomes of it."""

import json
import re
import signal
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from shared.contract import LONG
from shared.settings import read_settings
from tests.e2e.clients import pack, pack_folder
from tests.e2e.stack import Site, run_site, send, wait_for
from tests.e2e.streams import read_events
from tests.plain_sql import run_sql
from tests.workers.detect import coloured as boxes
from tests.workers.segment import coloured as masks
from tests.workers.style.desk import draw_scene, draw_stripes, save
from workers.runtime.checkpoints import CHECKPOINT
from workers.runtime.tensors import read_parts

NAME = "chaos"  # of the model
EVERY = 0.3  # seconds between checkpoints
PATIENCE = 250.0  # seconds; on a quiet machine the whole takes 20

Upload = Callable[[bytes], str]  # to a blob id


@dataclass(frozen=True)
class Job:
    """A job that lasts much longer than until its first checkpoint."""

    task: str
    unit: Literal["epoch", "step"]
    count: int  # of them
    request: dict[str, Any]
    add: Callable[[Upload], dict[str, Any]]  # its files, by field
    makes_model: bool = True


def add_boxes(upload: Upload) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        boxes.write_yolo(Path(folder), 48, "train")
        boxes.write_yolo(Path(folder), 12, "val", seed=1)
        return {"data": upload(pack_folder(Path(folder)))}


def add_masks(upload: Upload) -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        masks.write_pictures(Path(folder), 60)
        return {"data": upload(pack_folder(Path(folder)))}


def add_scenes(upload: Upload) -> dict[str, Any]:
    scenes = {f"{number}.png": save(draw_scene(64, 64 + number)) for number in range(8)}
    return {"style": upload(save(draw_stripes())), "data": upload(pack(scenes))}


def add_pictures(upload: Upload) -> dict[str, Any]:
    return {"content": upload(save(draw_scene())), "styles": [upload(save(draw_stripes()))]}


JOBS = [
    Job(
        "detect.train",
        "epoch",
        30,
        {
            "name": NAME,
            "side": 64,
            "grid": 4,
            "patience": 30,
            "augment": False,
            "batch_size": 8,
            "learning_rate": 5e-3,
        },
        add_boxes,
    ),
    Job(
        "segment.train",
        "epoch",
        30,
        {
            "name": NAME,
            "encoder": "thin",
            "height": 64,
            "width": 64,
            "augment": False,
            "batch_size": 8,
            "learning_rate": 4e-3,
        },
        add_masks,
    ),
    Job(
        "style.train",
        "step",
        150,
        {
            "name": NAME,
            "window": 48,
            "style_size": 48,
            "batch_size": 2,
            "width": 8,
            "blocks": 1,
            "learning_rate": 1e-2,
        },
        add_scenes,
    ),
    Job(
        "style.transfer",
        "step",
        200,
        {"size": 96, "preview_every": 5},
        add_pictures,
        makes_model=False,
    ),
]


@dataclass(frozen=True)
class Findings:
    """How a job went that was killed once."""

    job: dict[str, Any]  # as a client sees it in the end
    events: list[str]  # kinds, in order
    saved: int  # whole epochs, or steps, in the checkpoint when the process was killed
    resumed: int  # the epoch or step that was told first by the process after it
    claims: int
    losses: int  # leases that ended without an outcome
    models: list[tuple[Any, ...]]  # name and version of what is registered
    left: list[str]  # what lies in the folder of checkpoints
    log: str


def interrupt(job: Job, home: Path, victim: str, database_url: str = "") -> Findings:
    """Kill `victim`, the main process or its child that works, in the middle of a job."""
    overrides = {
        "database_url": database_url,
        "weights_dir": read_settings().weights,
        "checkpoint_every": EVERY,
    }
    with run_site(home, 1, job.task.split(".")[0] + LONG, **overrides) as site:
        request = {f"{job.unit}s": job.count, **job.request, **job.add(lambda one: add(site, one))}
        job_id = site.submit(job.task, request)["id"]
        checkpoint = home / "checkpoints" / job_id / CHECKPOINT
        enough = job.count // 10  # so many are not told by one that begins anew
        wait_for(lambda: count_saved(job, checkpoint) >= enough, "a checkpoint", PATIENCE)
        saved = count_saved(job, checkpoint)
        kill(site, victim)
        ended = site.finish(job_id, PATIENCE)
        events = list(read_events(site.client, job_id))
        again = [place for place, event in enumerate(events) if event.kind == "running"][-1]
        steps = [json.loads(event.data).get("step") or "" for event in events[again:]]
        told = [re.search(rf"{job.unit} (\d+) of", step) for step in steps]
        [(claims, losses)] = run_sql(
            site.database, f"SELECT fence, failures FROM jobs WHERE id = '{job_id}'"
        )
        return Findings(
            job=ended,
            events=[event.kind for event in events],
            saved=saved,
            resumed=min(int(found.group(1)) for found in told if found),
            claims=claims,
            losses=losses,
            models=run_sql(site.database, "SELECT name, version FROM trained_models"),
            left=[path.name for path in (home / "checkpoints").iterdir()],
            log=site.read_log(site.mains[0]),
        )


def count_saved(job: Job, checkpoint: Path) -> int:
    """Whole epochs, or steps, that are in the checkpoint."""
    if not checkpoint.exists():
        return 0
    _, about = read_parts(checkpoint)
    return len(about["history"]) if job.unit == "epoch" else int(about["step"])


def add(site: Site, content: bytes) -> str:
    answer = site.client.post("/v1/blobs", content=content)
    return str(answer.raise_for_status().json()["id"])


def kill(site: Site, victim: str) -> None:
    [main] = site.mains
    if victim == "main":
        assert site.kill(main)
        return
    [child] = site.children(main)
    assert send(child, signal.SIGKILL)
