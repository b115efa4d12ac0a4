"""Turns of what is measured, and the ratios made of them."""

from io import BytesIO
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.detect_speed import COLUMNS, count_ssd_boxes, make_ssd, make_tensors, measure, summarise


def make_cell(model: str, start: str, end: str, batch: int, seconds: list[float]) -> dict[str, Any]:
    return {"model": model, "from": start, "to": end, "batch": batch, "seconds": seconds}


def make_picture(seed: int) -> bytes:
    """A JPEG file of noise."""
    noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
    file = BytesIO()
    Image.fromarray(noise).save(file, "JPEG")
    return file.getvalue()


def test_a_row_has_medians_for_one_picture_and_shares_of_the_same_batch() -> None:
    rows = summarise(
        [
            make_cell("ours", "tensors", "candidates", 8, [0.2, 9.0, 0.4]),
            make_cell("ours", "tensors", "candidates", 1, [7.0]),
            make_cell("ours", "jpeg", "boxes", 8, [0.8]),
            make_cell("ssdlite320", "jpeg", "boxes", 8, [1.6]),
        ]
    )
    assert all(set(row) == set(COLUMNS) for row in rows)
    first, _, whole, peer = rows
    assert first["cpu ms/picture"] == pytest.approx(50)
    assert first["pictures/s"] == pytest.approx(20)
    assert (first["of network"], first["of ssdlite"]) == (1, None)
    assert whole["of network"] == pytest.approx(0.5)
    assert whole["of ssdlite"] == pytest.approx(2)
    assert (peer["of network"], peer["of ssdlite"]) == (None, 1)


def test_ways_take_turns_after_each_was_tried_once() -> None:
    asked: list[tuple[str, int]] = []
    ways = {
        (name, "tensors", "boxes"): lambda count, name=name: asked.append((name, count))
        for name in ("a", "b")
    }
    cells = measure(ways, 8, 0)
    assert asked == [("a", 8), ("b", 8)] * 4
    assert [(cell["model"], cell["batch"], len(cell["seconds"])) for cell in cells] == [
        ("a", 8, 3),
        ("b", 8, 3),
    ]


def test_random_weights_leave_few_boxes() -> None:
    """At the threshold that torchvision comes with, as many as it keeps at all."""
    pictures = [make_picture(seed) for seed in range(2)]
    ssd, found = make_ssd(pictures, kept=2.0)
    tensors = make_tensors(pictures)
    assert all(one.shape == (3, 320, 320) for one in tensors)
    assert found == count_ssd_boxes(ssd, tensors) <= 2
    assert torch.is_grad_enabled()
    ssd.score_thresh = 0.001
    assert count_ssd_boxes(ssd, tensors) == ssd.detections_per_img
