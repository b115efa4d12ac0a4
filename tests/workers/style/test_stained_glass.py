"""The drawn style: panes of flat colours, which lead holds, the same on every machine."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workers.style.stained_glass import COLOURS, DARK, LEAD, draw_stained_glass, find_panes


def test_a_picture_is_drawn_again_pixel_by_pixel() -> None:
    drawn, again = draw_stained_glass(96, panes=12), draw_stained_glass(96, panes=12)
    assert drawn.mode == "RGB"
    assert drawn.size == (96, 96)
    assert drawn.tobytes() == again.tobytes()
    assert drawn.tobytes() != draw_stained_glass(96, panes=12, seed=8).tobytes()


def test_a_pixel_is_in_the_pane_whose_centre_is_nearest_and_its_edge_is_halfway() -> None:
    nearest, gap = find_panes(np.array([[10.0, 4.0], [10.0, 16.0]]), 21)
    columns = np.arange(21)
    assert np.array_equal(nearest, np.tile(columns > 10, (21, 1)))
    assert gap[10] == pytest.approx(abs(columns - 10))


def test_lead_is_dark_and_glass_has_the_colours() -> None:
    drawn = np.asarray(draw_stained_glass(128, panes=9), np.float32)
    lead = np.linalg.norm(drawn - DARK, axis=2) < 1
    assert 0.05 < lead.mean() < 0.4
    shares = drawn[~lead] / drawn[~lead].sum(axis=1, keepdims=True)
    known = np.array(COLOURS) / np.array(COLOURS).sum(axis=1, keepdims=True)
    away = np.linalg.norm(shares[:, None] - known, axis=2).min(axis=1)
    assert np.median(away) < 0.02  # brightness changes, hue does not


def test_wider_panes_have_less_lead() -> None:
    def lead(panes: int) -> float:
        _, gap = find_panes(np.random.default_rng(0).uniform(0, 128, (panes, 2)), 128)
        return float((gap < LEAD).mean())

    assert lead(5) < lead(40)


def test_as_a_program_it_writes_the_picture_of_the_published_network(tmp_path: Path) -> None:
    path = tmp_path / "drawn.png"
    subprocess.run([sys.executable, "-m", "workers.style.stained_glass", str(path)], check=True)
    with Image.open(path) as written:
        assert written.size == (512, 512)
        assert written.tobytes() == draw_stained_glass().tobytes()
