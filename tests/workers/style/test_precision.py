"""Half as many bits are taken where they are faster, and where they are asked for."""

import pytest
import torch

from workers.style import precision
from workers.style.precision import choose_precision, is_bfloat16_faster

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def forget():
    is_bfloat16_faster.cache_clear()
    yield
    is_bfloat16_faster.cache_clear()


@pytest.mark.parametrize("asked", ["float32", "bfloat16"])
def test_what_is_asked_for_is_taken(asked, monkeypatch):
    monkeypatch.delattr(precision, "time_convolution")  # nothing is measured
    assert choose_precision(asked, CPU) == asked


@pytest.mark.parametrize(
    ("seconds", "chosen"), [(0.1, "bfloat16"), (0.7, "bfloat16"), (0.9, "float32"), (3, "float32")]
)
def test_auto_takes_what_is_clearly_faster(seconds, chosen, monkeypatch):
    times = {"float32": 1.0, "bfloat16": seconds}
    monkeypatch.setattr(precision, "time_convolution", lambda kind, _: times[kind])
    assert choose_precision("auto", CPU) == chosen


def test_it_is_measured_once(monkeypatch):
    asked: list[str] = []

    def time_once(kind, _):
        asked.append(kind)
        return 1.0

    monkeypatch.setattr(precision, "time_convolution", time_once)
    assert {choose_precision("auto", CPU) for _ in range(3)} == {"float32"}
    assert asked == ["float32", "bfloat16"]
