"""Gram matrices of styles, kept for the next job that asks for the same."""

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from weakref import WeakKeyDictionary

import torch
from PIL import Image
from torch import Tensor

from workers.style.features import Features, Precision
from workers.style.losses import find_gram
from workers.style.pictures import to_tensor

KEPT = 2**26  # bytes of each network's; one style at one size takes 2 MB of quick's layers

Grams = dict[str, Tensor]  # (1, C, C) float32 by layer


class GramCache:
    """Those that were used last, up to so many bytes."""

    def __init__(self, most: int = KEPT) -> None:
        self._most = most
        self._kept: OrderedDict[str, Grams] = OrderedDict()

    def find(self, key: str, compute: Callable[[], Grams]) -> Grams:
        """What is kept under the key, or else what is computed, which then is kept."""
        if key in self._kept:
            self._kept.move_to_end(key)
            return self._kept[key]
        grams = compute()
        self._kept[key] = grams
        while self._count_bytes() > self._most:
            self._kept.popitem(last=False)
        return grams

    def _count_bytes(self) -> int:
        return sum(one.nbytes for grams in self._kept.values() for one in grams.values())


_CACHES: WeakKeyDictionary[Features, GramCache] = WeakKeyDictionary()


def find_styles(
    features: Features,
    styles: Sequence[Image.Image],
    shares: Sequence[float],
    layers: Sequence[str],
    precision: Precision,
    watch: Callable[[], None],
) -> Grams:
    """The mean of the Gram matrices of RGB pictures, each with its share.

    Its distance has the same gradient as the mean of the distances of each, and is 0 where that
    is least.
    """
    if not layers:
        return {}
    cache = _CACHES.setdefault(features, GramCache())
    mixed: Grams = {}
    for style, share in zip(styles, shares, strict=True):
        if share == 0:
            continue
        found = cache.find(
            _make_key(style, layers, precision),
            lambda one=style: _measure(features, one, layers, precision, watch),  # type: ignore[misc]
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
    watch: Callable[[], None],
) -> Grams:
    maps = features.look(to_tensor(style).to(features.device), layers, precision, watch)
    return {name: find_gram(found) for name, found in maps.items()}
