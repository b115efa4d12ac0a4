"""The network that comes with Atelier: small, free, and a painter of stained glass."""

import numpy as np
from PIL import Image

from tests.workers.style.desk import draw_scene
from workers.style.painter_file import load_painter
from workers.style.pictures import to_image, to_tensor
from workers.style.served import FOLDER, Served

PATH = FOLDER / "stained-glass.safetensors"
MAX_BYTES = 4_000_000


def paint(picture: Image.Image) -> np.ndarray:
    """(H, W, 3) in 0 .. 255."""
    served = Served("stained-glass", load_painter(PATH).network)
    return np.asarray(to_image(served.paint(to_tensor(picture))), np.float32)


def test_its_file_is_small_and_tells_what_it_reached() -> None:
    painter = load_painter(PATH)
    assert PATH.stat().st_size < MAX_BYTES
    assert painter.list_facts() == {"width": 32, "blocks": 5}
    assert painter.metrics["end_total"] < painter.metrics["start_total"]


def test_it_puts_dark_lead_around_vivid_glass() -> None:
    scene = draw_scene(192, 144).resize((384, 288))
    painted = paint(scene)
    lead = painted.max(axis=2) < 70
    assert 0.01 < lead.mean() < 0.5
    assert (np.asarray(scene).max(axis=2) < 70).mean() < 0.01
    glass = painted[~lead]
    assert float((glass.max(axis=1) - glass.min(axis=1)).mean()) > 60  # vivid


def test_what_was_there_can_still_be_told_apart() -> None:
    scene = draw_scene(192, 144).resize((384, 288))
    painted, shown = paint(scene), np.asarray(scene, np.float32)
    sky = (shown == shown[0, -1]).all(axis=2)
    parts = painted[sky].mean(axis=0), painted[~sky].mean(axis=0)
    assert np.linalg.norm(parts[0] - parts[1]) > 40
