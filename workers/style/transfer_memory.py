"""How much memory a painting takes, told before its maps are made."""

import math

import torch

from workers.runtime.memory import find_usable, refuse_beyond
from workers.runtime.vgg16 import WIDTHS
from workers.style.fields import MIN_SIDE
from workers.style.layers import count_features
from workers.style.painting import Subject
from workers.style.pictures import fit
from workers.style.recipe import Plan, fit_style
from workers.style.transfer_contract import Optimiser

FLOAT = 4  # bytes
FIXED = 100 * 2**20  # bytes: filters as the fast convolutions have them, and buffers
# Bytes at the peak for each byte of what the network makes of a picture, with its gradients.
# Measured, with all sorts of layers: 1.7 to 2.2.
WORK = 2.2
LOOKING = 3.2  # and of the largest maps of a style, which is only looked at
# Numbers for each pixel beside the network's: 3 of the picture, of its gradient, of Adam's two
# means, of the content, and copies; L-BFGS keeps ten pairs of pictures.
OWN: dict[Optimiser, int] = {"adam": 30, "lbfgs": 100}


def check_memory(plan: Plan, subject: Subject, device: torch.device) -> None:
    """Raises TooLarge, which tells the `size` that would do.

    Of a GPU's memory nothing is known here: it tells itself what is full.
    """
    if device.type != "cpu":
        return
    longer, allowed = max(plan.scales[-1].width, plan.scales[-1].height), find_usable()
    sizes = range(longer, MIN_SIDE, -1)
    fitting = (size for size in sizes if count_bytes(plan, subject, size) <= allowed)
    refuse_beyond(
        count_bytes(plan, subject, longer),
        f"Painting at a size of {longer}",
        f"use a `size` of {next(fitting, MIN_SIDE)} or less.",
    )


def count_bytes(plan: Plan, subject: Subject, longer: int) -> int:
    """At the peak of painting on a CPU, if the longer side had so many pixels."""
    width, height = fit(plan.scales[-1].width, plan.scales[-1].height, longer)
    watched = plan.watched_content + plan.watched_style
    maps = count_features(watched, plan.network) if watched else 0
    learning = width * height * (WORK * maps + OWN[plan.optimiser])
    styles = [fit_style(*one.size, longer, subject.style_scale) for one in subject.styles]
    looking = LOOKING * WIDTHS[0] * max(math.prod(size) for size in styles)
    return FIXED + int(FLOAT * max(learning, looking))
