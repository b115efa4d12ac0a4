"""A small made-up language whose words have known neighbours."""

import numpy as np

KINDS = {
    "animal": ("cat", "dog", "cow", "hen", "pig"),
    "colour": ("red", "blue", "green", "white", "black"),
    "metal": ("iron", "gold", "zinc", "lead", "tin"),
    "fruit": ("pear", "plum", "fig", "lime", "kiwi"),
}
COMPANY = {kind: [f"{kind}{letter}" for letter in "abcdef"] for kind in KINDS}


def write_sentences(count: int = 3000, seed: int = 0) -> str:
    """Each has a word of a kind among words that only this kind is seen with."""
    chance = np.random.default_rng(seed)
    lines = []
    for _ in range(count):
        kind = chance.choice(list(KINDS))
        words = [*chance.choice(COMPANY[kind], 3), chance.choice(KINDS[kind]), "the"]
        lines.append(" ".join(chance.permutation(words)))
    return "\n".join(lines)
