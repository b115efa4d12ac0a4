"""What a process of the style worker keeps in memory, and how many jobs it does at once."""

from pathlib import Path
from typing import Any

import pytest
import torch

from shared.settings import Settings
from tests.workers.style.desk import Desk
from workers.runtime.pretrained import MissingPretrained
from workers.style import loaded
from workers.style.features import Features
from workers.style.fields import Network, Pooling
from workers.style.loaded import StyleWorker
from workers.style.training_contract import APPLY
from workers.style.transfer_contract import TRANSFER


def test_a_network_is_loaded_once(sqlite_desk: Desk):
    worker = sqlite_desk.worker
    first = worker.features("vgg16", "max")
    assert worker.features("vgg16", "max") is first
    assert worker.features("vgg16", "average") is not first


def test_the_networks_used_last_stay_loaded(sqlite_desk: Desk, monkeypatch: pytest.MonkeyPatch):
    worker, built = sqlite_desk.worker, list[tuple[str, str]]()
    load = loaded.load_features

    def count(network: Network, pooling: Pooling, *rest: Any) -> Features:
        built.append((network, pooling))
        return load("vgg16", pooling, *rest)

    monkeypatch.setattr(loaded, "load_features", count)
    first, second, third = ("vgg16", "max"), ("vgg16", "average"), ("vgg19", "max")
    for asked in (first, second, first, third, first, second):
        worker.features(*asked)
    assert built == [first, second, third, second]


def test_a_network_that_is_not_there_is_told(sqlite_desk: Desk):
    with pytest.raises(MissingPretrained, match=r"vgg19\.pth"):
        sqlite_desk.worker.features("vgg19", "max")


@pytest.mark.parametrize(("device", "transfers"), [("cpu", 1), ("meta", TRANSFER.max_batch)])
def test_only_a_gpu_gains_by_paintings_together(sqlite_desk: Desk, device, transfers):
    worker = sqlite_desk.worker
    worker.device = torch.device(device)
    assert worker.count_together(TRANSFER) == transfers
    assert worker.count_together(APPLY) == APPLY.max_batch


@pytest.mark.parametrize("queue", ["style", "style-long"])
def test_a_process_is_warm_also_without_the_files_its_jobs_need(
    sqlite_database_url: str, tmp_path: Path, monkeypatch, queue
):
    settings = Settings(home=tmp_path, database_url=sqlite_database_url, device="cpu", queue=queue)
    worker = StyleWorker(settings)
    worker.warm_up()
    missing = MissingPretrained("Pull it.")

    def refuse(*_: object) -> None:
        raise missing

    monkeypatch.setattr(worker, "features", refuse)
    monkeypatch.setattr(type(worker.painters.published), "__getitem__", refuse)
    worker.warm_up()
    worker.sessions.engine.dispose()
