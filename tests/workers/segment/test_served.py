"""The network that a job gets: of those that come with Atelier, or one of the tenant's own."""

import pytest
import torch

from tests.workers.segment.coloured import COLOURS
from tests.workers.segment.desk import NAMES, Desk, make_segmenter
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.trained import UnknownModel
from workers.segment import networks
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.served import Served


def open_model(desk: Desk, asked: str | None = None) -> Served:
    return desk.worker.segmenters.open(desk.tenant, asked)


def test_the_default_is_there_for_everybody_and_loaded_once(sqlite_desk: Desk):
    opened = open_model(sqlite_desk)
    assert opened is sqlite_desk.worker.segmenters.open("another", DEFAULT_MODEL)
    assert (opened.name, opened.labels, opened.palette) == (DEFAULT_MODEL, NAMES, COLOURS)
    assert (opened.encoder, opened.stride, opened.square) == ("thin", 8, False)
    assert opened.metrics == {"mean_iou": 0.5}


def test_selfie_tells_people_from_the_background_on_squares(sqlite_desk: Desk):
    opened = open_model(sqlite_desk, "selfie")
    assert (opened.labels, opened.square, opened.resolution) == (
        ("background", "person"),
        True,
        256,
    )
    scores = opened.score(torch.zeros(2, 3, 256, 256, dtype=torch.uint8))
    assert (scores.shape, scores.dtype) == ((2, 2, 256, 256), torch.float32)


def test_weights_that_were_not_pulled_are_asked_for(sqlite_desk: Desk):
    published = sqlite_desk.worker.segmenters.published
    published.folder = published.folder / "empty"
    for name, file in (("selfie", "selfie.json"), ("fcn-resnet50", "fcn-resnet50.pth")):
        assert name in published
        assert not published.is_installed(name)
        with pytest.raises(MissingPretrained, match=f"atelier weights pull {file}"):
            open_model(sqlite_desk, name)


@pytest.mark.parametrize("content", [None, b"", b"{}" * 100])
def test_a_damaged_installation_says_so(content, sqlite_desk: Desk, tmp_path, monkeypatch):
    path = tmp_path / "default"
    if content is not None:
        path.write_bytes(content)
    monkeypatch.setattr(networks, "CAMVID", path)
    with pytest.raises(MissingPretrained, match="Install Atelier again"):
        open_model(sqlite_desk)


def test_published_networks_are_named_without_being_loaded(sqlite_desk: Desk, monkeypatch):
    monkeypatch.delattr(networks, "load_selfie")
    published = sqlite_desk.worker.segmenters.published
    assert list(published) == [DEFAULT_MODEL, "selfie", "fcn-resnet50"]
    assert len(published) == 3
    assert "mine" not in published
    assert published.tell_facts("selfie").labels == ("background", "person")
    assert len(published.tell_facts("fcn-resnet50").palette) == 21
    assert published.is_installed("selfie")


def test_own_networks_have_the_name_and_version_they_were_asked_by(desk: Desk):
    first = desk.register(make_segmenter("a", "b"))
    second = desk.register(make_segmenter("c", "d"))
    assert open_model(desk, "mine").name == second == "mine@2"
    assert open_model(desk, first).labels == ("a", "b")


def test_a_network_of_another_tenant_is_not_there(desk: Desk):
    name = desk.register(make_segmenter())
    assert open_model(desk, name).name == name  # so it is in memory
    for asked in (name, "mine"):
        with pytest.raises(UnknownModel, match=r"There is no model mine.*segment\.models"):
            open_model(Desk(desk.worker), asked)


def test_a_background_stays_clear_only_where_it_is_the_first_class(sqlite_desk: Desk):
    assert open_model(sqlite_desk).background == 0
    assert open_model(sqlite_desk, "selfie").background == 0
    name = sqlite_desk.register(make_segmenter("sky", "background"))
    assert open_model(sqlite_desk, name).background is None
