"""How well vectors agree with people on which words are similar."""

from importlib.util import find_spec
from pathlib import Path

import numpy as np
from scipy.stats import spearmanr

Pairs = list[tuple[str, str, float]]  # two words, how similar people find them
# WordSim-353 (Finkelstein et al. 2002) and SimLex-999 (Hill et al. 2015) come with gensim.
FILES = {"wordsim": "wordsim353.tsv", "simlex": "simlex999.txt"}


def read_pairs(file: str) -> Pairs:
    found = find_spec("gensim")
    if found is None or found.origin is None:
        raise SystemExit("This needs gensim: its tests have the pairs of words.")
    lines = (Path(found.origin).parent / "test" / "test_data" / file).read_text().splitlines()
    rows = (line.lower().split("\t") for line in lines if not line.startswith("#"))
    return [(first, second, float(score)) for first, second, score in rows]


def correlate(words: list[str], vectors: np.ndarray, pairs: Pairs) -> tuple[float, int]:
    """Spearman's correlation with the cosines, and of how many pairs both words are known.

    `vectors` (V, d) of the words.
    """
    places = {word: place for place, word in enumerate(words)}
    known = [pair for pair in pairs if pair[0] in places and pair[1] in places]
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = [float(unit[places[a]] @ unit[places[b]]) for a, b, _ in known]
    return float(spearmanr(cosines, [score for *_, score in known]).statistic), len(known)
