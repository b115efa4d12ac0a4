"""What is measured gives masks of the same pictures, and the ratios made of the times."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from bench.segment_bare import Segmenting, make_random
from bench.segment_speed import COLUMNS, PEER, list_peer, prepare, summarise
from workers.runtime.run import JobError
from workers.segment.draw import write_mask


def make_cell(model: str, start: str, end: str, batch: int, seconds: list[float]) -> dict[str, Any]:
    return {"model": model, "from": start, "to": end, "batch": batch, "seconds": seconds}


def make_picture(seed: int, size: tuple[int, int] = (96, 64)) -> bytes:
    """A JPEG file of coloured squares."""
    chance = np.random.default_rng(seed)
    squares = Image.fromarray(chance.integers(0, 256, (4, 6, 3), np.uint8))
    file = BytesIO()
    squares.resize(size, Image.Resampling.NEAREST).save(file, "JPEG")
    return file.getvalue()


def test_a_row_has_medians_for_one_picture_and_shares_of_the_same_batch() -> None:
    rows = summarise(
        [
            make_cell("ours", "tensors", "scores", 8, [0.2, 9.0, 0.4]),
            make_cell("ours", "tensors", "scores", 1, [7.0]),
            make_cell("ours", "jpeg", "mask", 8, [0.8]),
            make_cell(PEER, "jpeg", "mask", 8, [1.6]),
        ]
    )
    assert all(set(row) == set(COLUMNS) for row in rows)
    first, _, whole, peer = rows
    assert first["cpu ms/picture"] == pytest.approx(50)
    assert first["pictures/s"] == pytest.approx(20)
    assert (first["of network"], first[f"of {PEER}"]) == (1, None)
    assert whole["of network"] == pytest.approx(0.5)
    assert whole[f"of {PEER}"] == pytest.approx(2)
    assert (peer["of network"], peer[f"of {PEER}"]) == (None, 1)


def test_a_registered_network_answers_with_what_the_bare_one_says(tmp_path: Path) -> None:
    segmenting = Segmenting(tmp_path)
    name = segmenting.register(make_random("thin", classes=5, resolution=64), "thin")
    assert name == "thin@1"
    pictures = [make_picture(seed) for seed in range(3)]
    served = segmenting.worker.segmenters.open("bench", name)
    with torch.inference_mode():
        scores = served.network(prepare(served, pictures))
    results = segmenting.segment(pictures, model=name, overlay=False)
    for own, result in zip(scores.argmax(1), results, strict=True):
        counts = {area.class_id: area.pixels for area in result.areas}
        found, pixels = own.unique(return_counts=True)
        assert counts == dict(zip(found.tolist(), pixels.tolist(), strict=True))
        assert len(counts) > 1


def test_a_refusal_ends_the_measurement(tmp_path: Path) -> None:
    with pytest.raises(JobError):
        Segmenting(tmp_path).segment([make_picture(0)], model="nobody")


def test_the_peer_makes_a_mask_of_each_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    shapes = []

    def watch(mask: np.ndarray, palette: Any) -> bytes:
        shapes.append(mask.shape)
        return write_mask(mask, palette)

    monkeypatch.setattr("bench.segment_speed.write_mask", watch)
    ways = list_peer([make_picture(seed) for seed in range(3)])
    ways[PEER, "tensors", "scores"](2)
    assert shapes == []
    ways[PEER, "jpeg", "mask"](2)
    assert shapes == [(64, 96)] * 2
