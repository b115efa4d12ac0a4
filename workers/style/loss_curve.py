"""Draws how the losses of a painting fell."""

from collections.abc import Mapping

from workers.runtime.plots import draw_curves
from workers.style.fields import Losses


def draw_losses(history: Mapping[int, Losses]) -> bytes:
    """A PNG of content, style and total variation by step, with powers of ten for y."""
    steps = list(history)
    curves = {
        name: (steps, [getattr(one, name) for one in history.values()])
        for name in ("content", "style", "tv")
    }
    return draw_curves(curves, "Losses, with their weights", "step", "", logarithmic=True)
