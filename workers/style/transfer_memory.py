"""How much memory a painting takes, told before its maps are made."""

import math

import torch

from workers.runtime.memory import find_usable, refuse_beyond
from workers.runtime.vgg16 import WIDTHS
from workers.style.fields import MIN_SIDE
from workers.style.layers import count_features, count_filters, count_maps
from workers.style.painting import Subject
from workers.style.pictures import fit
from workers.style.recipe import Plan, fit_style
from workers.style.transfer_contract import Optimiser

FLOAT = 4  # bytes
# Bytes for each 3 x 3 filter of float32: its weights, and 36 as the fast convolution has them; and
# for those of the largest layer while these are made, in float64, from 9 over 18.
FILTER, MAKING = 4 * (9 + 36), 8 * (9 + 18 + 36)
# Bytes at the peak for each byte of what the network makes of a picture, with its gradients; of
# maps whose content is compared, as they should be and how far they are; and of convolutions that
# are watched themselves, so that no ReLU can write over them. Measured: see the test.
WORK, COMPARED, APART = 2.0, 3.0, 1.0
LOOKING = 3.2  # and of the largest maps of a style, which is only looked at
# Numbers for each pixel beside the network's: 3 of the picture, of its gradient, of Adam's two
# means, of the content, and copies; L-BFGS keeps ten pairs of pictures, and some of a search.
OWN: dict[Optimiser, int] = {"adam": 30, "lbfgs": 130}


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
    learning = width * height * (count_watching(plan) + OWN[plan.optimiser])
    styles = [fit_style(*one.size, longer, subject.style_scale) for one in subject.styles]
    looking = LOOKING * WIDTHS[0] * max(math.prod(size) for size in styles)
    return count_filter_bytes(plan) + int(FLOAT * max(learning, looking))


def count_watching(plan: Plan) -> float:
    """The numbers for each pixel that the network makes, and that are made of its layers."""
    watched = {*plan.watched_content, *plan.watched_style}
    if not watched:
        return 0.0
    compared = sum(map(count_maps, set(plan.watched_content)))
    apart = sum(count_maps(layer) for layer in watched if layer.startswith("conv"))
    return WORK * count_features(tuple(watched), plan.network) + COMPARED * compared + APART * apart


def count_filter_bytes(plan: Plan) -> int:
    """Of all convolutions that run, and of the largest while its filters are made."""
    watched = plan.watched_content + plan.watched_style
    filters = count_filters(watched, plan.network) if watched else [0]
    return FILTER * sum(filters) + MAKING * max(filters)
