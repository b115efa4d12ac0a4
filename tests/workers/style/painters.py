"""One-pass networks for tests: as chance makes them, or ones that do something simple."""

from typing import Any

import torch

from tests.workers.style.desk import Desk
from workers.style.model_contract import ModelsRequest
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.painter_file import Painter, pack_painter
from workers.style.served import KIND


def make_painter(seed: int = 0, width: int = 4, blocks: int = 1) -> Painter:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = OnePass(OnePassConfig(width, blocks)).eval()
    return Painter(network, {"style": 0.5})


def make_plain(red: float, green: float, blue: float) -> Painter:
    """Paints everything in one colour: each channel is between 0 and 1."""
    painter = make_painter()
    with torch.no_grad():
        painter.network.head.weight.zero_()
        assert painter.network.head.bias is not None
        painter.network.head.bias.copy_(torch.tensor([red, green, blue]).logit(1e-6))
    return painter


def register(desk: Desk, painter: Painter, name: str = "mine") -> str:
    """As if it were trained: its name and version."""
    run, made = desk.make(ModelsRequest()), dict[str, Any]()
    facts = painter.list_facts()
    desk.worker.models.add(run, KIND, name, *pack_painter(painter), painter.metrics, facts=facts)
    [record] = run.effects
    desk.change(lambda session: made.update(record(session)))
    return str(made["model"])
