"""Gram matrices of styles, kept for the next job that asks for the same."""

import hashlib
from collections.abc import Sequence
from functools import partial

import torch
from PIL import Image

from workers.style.features import Features
from workers.style.fields import Precision
from workers.style.gram_cache import Grams
from workers.style.losses import find_gram
from workers.style.pictures import to_tensor
from workers.style.stops import Stop


def find_styles(
    features: Features,
    styles: Sequence[Image.Image],
    shares: Sequence[float],
    layers: Sequence[str],
    precision: Precision,
    watch: Stop,
) -> Grams:
    """The mean of the Gram matrices of RGB pictures, each with its share.

    Its distance has the same gradient as the mean of the distances of each, and is 0 where that
    is least.
    """
    if not layers:
        return {}
    mixed: Grams = {}
    for style, share in zip(styles, shares, strict=True):
        if share == 0:
            continue
        found = features.styles.find(
            _make_key(style, layers, precision),
            partial(_measure, features, style, layers, precision, watch),
        )
        mixed = {name: mixed.get(name, 0) + share * found[name] for name in layers}
    return mixed


def _make_key(style: Image.Image, layers: Sequence[str], precision: Precision) -> str:
    digest = hashlib.sha256(style.tobytes()).hexdigest()
    return f"{digest} {style.size} {precision} {' '.join(layers)}"


@torch.no_grad()
def _measure(
    features: Features,
    style: Image.Image,
    layers: Sequence[str],
    precision: Precision,
    watch: Stop,
) -> Grams:
    seen = features.walk(to_tensor(style).to(features.device), layers, precision, watch)
    return {name: find_gram(maps) for name, maps in seen}
