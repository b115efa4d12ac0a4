"""The network that a job gets: the one that comes with Atelier, or one of the tenant's own."""

import pytest
import torch

from tests.workers.style.desk import Desk
from tests.workers.style.painters import make_painter, register
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.trained import UnknownModel
from workers.style import served
from workers.style.fields import DEFAULT_MODEL
from workers.style.served import PublishedPainters, serve

CPU = torch.device("cpu")


def test_the_default_is_there_for_everybody_and_loaded_once(sqlite_desk: Desk):
    painters = sqlite_desk.worker.painters
    opened = painters.open(sqlite_desk.tenant, None)
    assert opened is painters.open("another", DEFAULT_MODEL)
    assert (opened.name, opened.metrics) == (DEFAULT_MODEL, {"style": 1.0})


def test_own_networks_have_the_name_and_version_they_were_asked_by(desk: Desk):
    painters = desk.worker.painters
    first, second = (register(desk, make_painter(width=width)) for width in (4, 6))
    assert painters.open(desk.tenant, "mine").name == second == "mine@2"
    assert painters.open(desk.tenant, first).network.config.width == 4
    with pytest.raises(UnknownModel, match=r"There is no model mine.*style\.models"):
        painters.open("another", "mine")


def test_those_of_atelier_are_named_without_being_loaded(monkeypatch, tmp_path):
    monkeypatch.setattr(served, "FOLDER", tmp_path)
    published = PublishedPainters(CPU)
    assert (list(published), len(published)) == ([DEFAULT_MODEL], 1)
    assert DEFAULT_MODEL in published
    assert "mine" not in published
    assert published.find(DEFAULT_MODEL) is None
    with pytest.raises(MissingPretrained, match=r"stained-glass cannot be loaded.*Install Atelier"):
        published[DEFAULT_MODEL]
    with pytest.raises(KeyError):
        published["mine"]


@pytest.mark.parametrize("size", [(1, 1), (3, 50), (50, 3), (15, 15), (16, 16), (33, 47)])
def test_pictures_of_any_size_are_painted(size):
    opened = serve("", make_painter(), CPU)
    painted = opened.paint(torch.rand(2, 3, *size))
    assert painted.shape == (2, 3, *size)
    assert (painted.min() >= 0, painted.max() <= 1) == (True, True)
    assert not painted.requires_grad
