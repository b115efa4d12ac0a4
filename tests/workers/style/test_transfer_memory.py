"""What a painting may take of the memory."""

import re

import pytest
import torch
from PIL import Image

from tests.workers.style.desk import Desk, draw_scene
from workers.runtime import memory
from workers.runtime.run import TooLarge
from workers.style.layers import list_layers
from workers.style.painting import Subject
from workers.style.recipe import Plan, make_plan
from workers.style.transfer_contract import TransferRequest
from workers.style.transfer_memory import check_memory, count_bytes
from workers.style.transfer_tasks import transfer

CPU, CUDA = torch.device("cpu"), torch.device("cuda")
GIB, MIB = 2**30, 2**20


def plan_for(width: int, height: int, *styles: Image.Image, **fields) -> tuple[Plan, Subject]:
    ids = ["0" * 64] * len(styles)
    asked = TransferRequest.model_validate(
        {"content": "0" * 64, "styles": ids, "size": max(width, height), **fields}
    )
    share = (1 / len(styles),) * len(styles)
    subject = Subject(draw_scene(), styles, share, style_scale=asked.style_scale)
    return make_plan(asked, width, height), subject


@pytest.mark.parametrize(
    ("longer", "preset", "measured"),
    [
        (256, "quick", 212),
        (512, "quick", 500),
        (1024, "quick", 1566),
        (256, "d2l_v2", 394),
        (512, "d2l_v2", 607),
        (512, "gatys", 665),
    ],
)
def test_what_a_step_takes_is_what_was_measured(longer, preset, measured):
    """MB at the peak beyond those before, of the resident set, in the first two steps of VGG16.

    L-BFGS had not filled its memory then.
    """
    plan, subject = plan_for(longer, longer * 3 // 4, draw_scene(), preset=preset)
    assert count_bytes(plan, subject, longer) / MIB == pytest.approx(measured, rel=0.35)
    assert count_bytes(plan, subject, longer) / MIB > 0.98 * measured


@pytest.mark.parametrize(
    ("kinds", "both", "measured"), [(("relu",), False, 1367), (("conv", "relu"), True, 2082)]
)
def test_what_comparing_all_layers_takes_is_what_was_measured(kinds, both, measured):
    """MB at the peak beyond those before; the larger in a region, and 1907 without one."""
    layers = [name for name in list_layers("vgg16") if name.startswith(kinds)]
    styles = {"style_layers": layers} if both else {}
    plan, subject = plan_for(512, 384, draw_scene(), content_layers=layers, **styles)
    assert 1 < count_bytes(plan, subject, 512) / MIB / measured < 1.1


def test_what_l_bfgs_keeps_is_counted_before_it_is_there():
    """MB at the peak beyond those before, in the first two steps, which keep two pairs of ten."""
    plan, subject = plan_for(1024, 768, draw_scene(), preset="gatys")
    assert 1544 < count_bytes(plan, subject, 1024) / MIB < 1544 + 1024


def test_what_looking_at_a_large_style_takes_is_what_was_measured():
    plan, subject = plan_for(256, 192, Image.new("RGB", (64, 64)), style_scale=4)
    assert count_bytes(plan, subject, 256) / MIB == pytest.approx(819, rel=0.2)


@pytest.mark.parametrize(
    ("size", "fields"),
    [
        ((2048, 2048), {}),
        ((1500, 2048), {"preset": "gatys"}),
        ((800, 600), {"style_scale": 4}),
    ],
    ids=["square", "gatys", "style"],
)
def test_the_size_that_is_told_would_do(monkeypatch, size, fields):
    monkeypatch.setattr(memory, "find_memory", lambda: 2 * GIB)
    plan, subject = plan_for(*size, draw_scene(64, 64), **fields)
    with pytest.raises(
        TooLarge, match=r"GB of memory, more than the 1\.5 GB .* use a `size`"
    ) as refused:
        check_memory(plan, subject, CPU)
    told = re.search(r"`size` of (\d+)", str(refused.value))
    assert told is not None
    fitting = int(told[1])
    longer = max(size)
    assert longer > fitting > 200
    shape = [round(side * fitting / longer) for side in size]
    check_memory(*plan_for(*shape, draw_scene(64, 64), **fields), CPU)
    larger = [round(1.05 * side) for side in shape]
    with pytest.raises(TooLarge):
        check_memory(*plan_for(*larger, draw_scene(64, 64), **fields), CPU)


def test_of_a_gpu_nothing_is_known(monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: GIB)
    check_memory(*plan_for(2048, 2048, draw_scene()), CUDA)


def test_total_variation_alone_needs_no_network():
    fields = {"content_weight": 0, "style_weight": 0, "tv_weight": 1}
    plan, subject = plan_for(2048, 2048, draw_scene(), **fields)
    alone, usual = (
        count_bytes(one, subject, 2048) for one in (plan, plan_for(2048, 2048, draw_scene())[0])
    )
    assert alone < usual / 2


def test_a_job_that_is_too_large_is_refused_before_it_is_painted(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(memory, "find_memory", lambda: GIB // 2)
    code, text = sqlite_desk.refuse(transfer, sqlite_desk.ask(size=2048))
    assert code == "too_large"
    assert re.search(r"use a `size` of [2-4]\d\d or less", text)
    assert sqlite_desk.steps == []
