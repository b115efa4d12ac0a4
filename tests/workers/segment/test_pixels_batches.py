"""Jobs that give every pixel a class, together: each gets what it would get alone."""

import gc
import weakref

import numpy as np
import pytest
import torch

from tests.workers.segment.desk import PARTS, Desk, fill, make_segmenter, paint
from tests.workers.segment.mask_files import save
from workers.runtime import trained
from workers.runtime.run import Cancelled
from workers.runtime.trained import UnknownModel
from workers.segment import pixels_tasks
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.pixels_contract import PixelsRequest
from workers.segment.pixels_tasks import pixels
from workers.segment.served import Served


def test_a_batch_answers_in_order_and_as_if_alone(sqlite_desk, ask):
    own = sqlite_desk.register(make_segmenter("x", "y"))
    contents = [save(paint(PARTS)), fill(1), fill(2, (90, 90)), fill(0, (30, 90)), fill(1)]
    requests = [
        ask(content, model=model, heat_maps=True)
        for content, model in zip(contents, [None, own, None, own, DEFAULT_MODEL], strict=True)
    ]
    together = sqlite_desk.do_all(pixels, *requests)
    for result, request in zip(together, requests, strict=True):
        alone = sqlite_desk.do(pixels, request)
        assert (result.areas, result.model, result.seen) == (alone.areas, alone.model, alone.seen)
        assert np.array_equal(sqlite_desk.open_mask(result.mask), sqlite_desk.open_mask(alone.mask))
    assert [result.model for result in together] == [
        DEFAULT_MODEL, own, DEFAULT_MODEL, own, DEFAULT_MODEL,
    ]  # fmt: skip


def count_passes(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How many pictures the networks look at, call by call."""
    passes, score = [], Served.score

    def count(served: Served, tiles: torch.Tensor) -> torch.Tensor:
        passes.append(len(tiles))
        return score(served, tiles)

    monkeypatch.setattr(Served, "score", count)
    return passes


def test_pictures_of_all_tenants_that_are_seen_at_one_size_share_a_pass(
    sqlite_desk, ask, monkeypatch
):
    passes, other = count_passes(monkeypatch), Desk(sqlite_desk.worker)
    theirs = other.make(PixelsRequest(picture=other.add(fill(1, (128, 128)))))
    requests = [ask(fill(1)), ask(fill(2)), ask(fill(1, (64, 100)))]
    answers = pixels(
        sqlite_desk.worker, [theirs, *(sqlite_desk.make(request) for request in requests)]
    )
    assert sorted(passes) == [1, 3]
    assert [answer.areas[0].label for answer in answers] == ["red", "red", "blue", "red"]


def test_large_pictures_are_looked_at_one_by_one(sqlite_desk, ask, monkeypatch):
    passes, request = count_passes(monkeypatch), ask(fill(2, (2200, 2000)))
    for result in sqlite_desk.do_all(pixels, request, request, ask(fill(1))):
        assert len(result.areas) == 1
    assert passes == [1, 1, 1]


def test_a_slow_picture_tells_how_far_it_is_and_can_be_stopped(sqlite_desk, ask):
    request = ask(fill(2, (1500, 200)), resolution=200)
    sqlite_desk.do(pixels, request)
    assert sqlite_desk.progress == pytest.approx([0.4, 0.8])
    sqlite_desk.stops = lambda: True
    with pytest.raises(Cancelled):
        sqlite_desk.do(pixels, request)


def test_small_pictures_can_be_stopped_before_the_network_looks_at_them(
    sqlite_desk, ask, monkeypatch
):
    monkeypatch.setattr(pixels_tasks, "count_together", lambda _served, _seen: 1)
    passes, request = count_passes(monkeypatch), ask(fill(1))
    sqlite_desk.stops = lambda: len(passes) == 1
    with pytest.raises(Cancelled):
        sqlite_desk.do_all(pixels, request, request, request)
    assert passes == [1]
    assert sqlite_desk.progress[0] == 0.0


def test_the_networks_of_a_batch_are_not_in_memory_together(desk: Desk, monkeypatch):
    names = [desk.register(make_segmenter()) for _ in range(3)]
    monkeypatch.setattr(trained, "KEPT_BYTES", 1)  # so only the newest is kept
    networks, alive, score = [], [], Served.score

    def count(served: Served, tiles: torch.Tensor) -> torch.Tensor:
        networks.append(weakref.ref(served.network))
        gc.collect()
        alive.append(sum(network() is not None for network in networks))
        return score(served, tiles)

    monkeypatch.setattr(Served, "score", count)
    picture = desk.add(fill(1))
    asked = [names[place] for place in (0, 1, 0, 2, 1)]
    answers = desk.do_all(pixels, *[PixelsRequest(picture=picture, model=name) for name in asked])
    assert [answer.model for answer in answers] == asked
    assert alive == [1, 1, 1]


def test_a_batch_mixes_models_and_tenants(desk: Desk):
    """Each gets the network that it means; what one may not use costs the others nothing."""
    other = Desk(desk.worker)
    desk.register(make_segmenter("a", "b", "c"))
    other.register(make_segmenter("d", "e", "f"))
    desk.register(make_segmenter("g", "h", "i"), "second")
    asked = [(desk, "mine"), (other, "mine@1"), (desk, None), (other, "second"), (desk, "second")]
    runs = [one.make(PixelsRequest(picture=one.add(fill(1)), model=name)) for one, name in asked]
    answers = pixels(desk.worker, runs)
    assert isinstance(answers.pop(3), UnknownModel)
    assert [answer.areas[0].label for answer in answers] == ["b", "e", "red", "h"]
    assert [answer.model for answer in answers] == ["mine@1", "mine@1", DEFAULT_MODEL, "second@1"]


@pytest.mark.parametrize("content", [b"", b"no picture", fill(1)[:60]])
def test_a_damaged_picture_fails_alone(content, sqlite_desk, ask):
    first, second, third = sqlite_desk.do_all(pixels, ask(fill(1)), ask(content), ask(fill(1)))
    assert second.code == "invalid_input"
    assert first.areas == third.areas != []


def test_what_cannot_be_drawn_fails_alone_before_the_network_looks(sqlite_desk, ask, monkeypatch):
    long, passes = fill(1, (70_000, 1)), count_passes(monkeypatch)
    assert sqlite_desk.refuse(pixels, ask(long, overlay=True))[0] == "invalid_input"
    assert passes == []
    one, plain, other = sqlite_desk.do_all(
        pixels, ask(long, overlay=True), ask(long), ask(fill(1), overlay=True)
    )
    assert (one.code, "70000 x 1" in str(one)) == ("invalid_input", True)
    assert plain.areas[0].pixels == 70_000
    assert other.overlay is not None


def test_weights_that_were_not_pulled_are_asked_for(sqlite_desk, ask):
    published = sqlite_desk.worker.segmenters.published
    published.folder = published.folder / "empty"
    one, other = sqlite_desk.do_all(pixels, ask(fill(1), model="selfie"), ask(fill(1)))
    assert (one.code, "atelier weights pull selfie.json" in str(one)) == ("missing_weights", True)
    assert other.areas[0].label == "red"


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 1e30])
def test_scores_that_are_no_numbers_harm_nobody(value, sqlite_desk, ask):
    odd = make_segmenter()
    torch.nn.init.constant_(odd.network.skips["pool3"].weight, value)
    name = sqlite_desk.register(odd)
    request = ask(fill(1), model=name, heat_maps=True, overlay=True, shapes="polygons")
    result, other = sqlite_desk.do_all(pixels, request, ask(fill(1)))
    assert sum(area.pixels for area in result.areas) == 64 * 64
    assert all(0 <= one.highest <= 1 for one in result.heat_maps)
    assert other.areas[0].label == "red"
