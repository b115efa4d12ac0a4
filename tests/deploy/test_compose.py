"""The compose file runs every worker that exists, hardened and with settings that exist."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.catalog import load_tasks
from shared.contract import LONG
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
WORKERS = sorted(path.parent.name for path in ROOT.glob("workers/*/contract.py"))
DOCKERFILES = sorted(ROOT.glob("deploy/*.Dockerfile"))
PINNED = re.compile(r":v?\d+\.\d+(\.\d+)?(-[\w.]+)*$")

each_service = pytest.mark.parametrize("name", SERVICES)


def ends_by_itself(service: dict[str, Any]) -> bool:
    return service.get("restart") == "no"


def test_there_are_workers_to_check():
    assert "detect" in WORKERS


@pytest.mark.parametrize("worker", WORKERS)
def test_every_worker_folder_has_its_service(worker: str):
    assert SERVICES[f"worker-{worker}"]["build"]["args"] == {"WORKER": worker, "DEVICE": "cpu"}


@each_service
def test_a_worker_service_names_a_worker_folder(name: str):
    if name.startswith("worker-"):
        arguments = SERVICES[name]["build"]["args"]
        device = "-gpu" if arguments["DEVICE"] == "gpu" else ""
        assert arguments["WORKER"] in WORKERS
        own = f"worker-{arguments['WORKER']}"
        assert name in (f"{own}{device}", f"{own}{LONG}{device}")


@pytest.mark.parametrize("queue", sorted({t.queue for t in load_tasks().values() if t.long}))
def test_long_jobs_have_a_service_of_their_own(queue: str):
    service = SERVICES[f"worker-{queue}"]
    assert service["command"] == ["python", "-m", "workers.runtime", queue]
    assert service["image"] == SERVICES[f"worker-{queue.removesuffix(LONG)}"]["image"]


@each_service
def test_a_service_is_watched_or_ends_by_itself(name: str):
    service = SERVICES[name]
    watched = bool(service.get("healthcheck", {}).get("test"))
    assert watched or ends_by_itself(service)


@each_service
def test_a_service_has_no_rights_it_does_not_need(name: str):
    service = SERVICES[name]
    assert int(service["user"].split(":")[0]) > 0
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]


@each_service
def test_a_service_cannot_starve_the_machine(name: str):
    limits = SERVICES[name]["deploy"]["resources"]["limits"]
    assert limits.keys() >= {"memory", "cpus", "pids"}


@each_service
def test_images_are_pinned(name: str):
    assert PINNED.search(SERVICES[name]["image"])


@pytest.mark.parametrize("dockerfile", DOCKERFILES, ids=lambda path: path.name)
def test_base_images_are_pinned(dockerfile: Path):
    text = dockerfile.read_text()
    arguments = dict(re.findall(r"^ARG (\w+)=(\S+)$", text, re.MULTILINE))
    for image in re.findall(r"^FROM (\S+)", text, re.MULTILINE):
        filled = re.sub(r"\$\{(\w+)\}", lambda match: arguments[match[1]], image)
        assert PINNED.search(filled), filled


@each_service
def test_our_images_carry_our_version(name: str):
    image, tag = SERVICES[name]["image"].rsplit(":", 1)
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    assert tag == version or not image.startswith("atelier/")


def test_only_the_gateway_is_published():
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["gateway"]


@pytest.mark.parametrize("name", ["redis", "postgres", "s3", "worker-detect"])
def test_stores_and_workers_cannot_reach_the_outside(name: str):
    assert all(COMPOSE["networks"][network]["internal"] for network in SERVICES[name]["networks"])


def test_named_settings_exist():
    known = {f"ATELIER_{field.upper()}" for field in Settings.model_fields}
    text = "".join(path.read_text() for path in [ROOT / "docker-compose.yml", *DOCKERFILES])
    named = set(re.findall(r"ATELIER_[A-Z_]+\b", text))
    assert named
    assert named <= known


def test_every_required_secret_is_in_the_example():
    required = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    example = re.findall(r"^(\w+)=", (ROOT / "deploy/.env.example").read_text(), re.MULTILINE)
    assert required == set(example)
