"""Gram matrices that were found last, within a bound of memory."""

from collections import OrderedDict
from collections.abc import Callable

from torch import Tensor

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
