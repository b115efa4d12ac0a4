"""Word embeddings beside gensim's: agreement with people, and words per second of the CPU.

`--data` is a folder with ptb.train.txt, or a text file of a sentence a line, its tokens between
blanks. Both learn from the same tokens, on one thread, with the same dimension, window, negatives,
epochs, least count and subsampling; seeds take turns. Run it where gensim is installed.
"""

import math
import time
from collections.abc import Callable
from pathlib import Path
from statistics import mean, stdev
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from gensim.models import Word2Vec

from bench.options import Options
from bench.report import Report, tell
from bench.word_similarity import FILES, correlate, read_pairs
from workers.text.corpora import WordChoice
from workers.text.embedding import Method
from workers.text.embedding_tasks import read_sentences
from workers.text.embedding_training import EmbeddingOptions, Progress, train_embedding
from workers.text.fields import Tokeniser
from workers.text.lexicon import UNKNOWN

DIMENSIONS, WINDOW, NEGATIVES, EPOCHS, MIN_COUNT, SUBSAMPLE = 100, 5, 5, 5, 5, 1e-3
METHODS: tuple[Method, ...] = ("skip-gram", "cbow")
SPLIT = Tokeniser(unit="whitespace")

COLUMNS = ("method", "by", "seeds", "wordsim", "wordsim std", "simlex", "simlex std", "words/cpu s")
Learned = tuple[list[str], np.ndarray, int, float]  # words, (V, d), tokens read, CPU seconds


def run(options: Options) -> Report:
    torch.set_num_threads(1)
    if options.data is None:
        raise SystemExit("Say where ptb.train.txt is: --data DIR")
    text = read_lines(options.data)
    learners: dict[str, Callable[[str, Method, int], Learned]] = {"ours": learn, "gensim": ask_peer}
    cells = []
    for seed in range(1, options.repeats + 1):
        for method in METHODS:
            for by, learner in learners.items():
                cells.append({"method": method, "by": by, "seed": seed})
                cells[-1] |= describe(*learner(text, method, seed))
                print(cells[-1], flush=True)
    rows = [summarize(cells, method, by) for method in METHODS for by in learners]
    return Report("text_embeddings", COLUMNS, rows, judge(rows), cells)


def read_lines(data: Path) -> str:
    """Without its unknown words: they would be a word to one and none to the other."""
    path = data / "ptb.train.txt" if data.is_dir() else data
    lines = path.read_text().splitlines()
    return "\n".join(" ".join(w for w in line.split() if w != UNKNOWN) for line in lines)


def learn(text: str, method: Method, seed: int) -> Learned:
    choice = WordChoice(SPLIT, 10**6, MIN_COUNT)
    lexicon, sentences = read_sentences(text, choice)
    options = EmbeddingOptions(method, DIMENSIONS, WINDOW, NEGATIVES, EPOCHS, SUBSAMPLE, seed=seed)
    started = time.process_time()
    with TemporaryDirectory() as folder:
        trained = train_embedding(options, sentences, len(lexicon.words), _ignore, Path(folder))
    spent = time.process_time() - started
    return list(lexicon.words), trained.vectors[1:].numpy(), len(sentences.tokens), spent


def _ignore(progress: Progress) -> None:
    """Nobody follows."""


def ask_peer(text: str, method: Method, seed: int) -> Learned:
    sentences = [line.split() for line in text.lower().splitlines()]
    model = Word2Vec(
        vector_size=DIMENSIONS,
        window=WINDOW,
        negative=NEGATIVES,
        min_count=MIN_COUNT,
        sample=SUBSAMPLE,
        sg=int(method == "skip-gram"),
        workers=1,
        seed=seed,
    )
    model.build_vocab(sentences)
    tokens = int(sum(model.wv.get_vecattr(word, "count") for word in model.wv.index_to_key))
    started = time.process_time()
    model.train(sentences, total_examples=model.corpus_count, epochs=EPOCHS)
    return model.wv.index_to_key, model.wv.vectors, tokens, time.process_time() - started


def describe(words: list[str], vectors: np.ndarray, tokens: int, spent: float) -> dict[str, Any]:
    found: dict[str, Any] = {"words/cpu s": tokens * EPOCHS / spent, "words": len(words)}
    for name, file in FILES.items():
        found[name], found[f"{name} pairs"] = correlate(words, vectors, read_pairs(file))
    return found


def summarize(cells: list[dict[str, Any]], method: str, by: str) -> dict[str, Any]:
    own = [cell for cell in cells if (cell["method"], cell["by"]) == (method, by)]
    row: dict[str, Any] = {"method": method, "by": by, "seeds": len(own)}
    for name in (*FILES, "words/cpu s"):
        values = [cell[name] for cell in own]
        row[name] = mean(values)
        row[f"{name} std"] = stdev(values) if len(own) > 1 else None
    return row | {f"{name} pairs": own[0][f"{name} pairs"] for name in FILES}


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """Ours beside the peer, and how much chance moves a mean over so many seeds."""
    notes = []
    for method in METHODS:
        ours, peer = ({**row} for row in rows if row["method"] == method)
        for name in FILES:
            spread = math.hypot(*(row[f"{name} std"] or 0 for row in (ours, peer)))
            chance = spread / math.sqrt(ours["seeds"])  # standard error of the difference
            verdict = tell(ours[name] >= peer[name])
            notes.append(
                f"{verdict}: {method} {name} {ours[name]:.3f}, gensim {peer[name]:.3f} "
                f"({ours[f'{name} pairs']} pairs); wanted no less; "
                f"chance alone moves the difference by {chance:.3f}"
            )
        times = ours["words/cpu s"] / peer["words/cpu s"]
        notes.append(f"{method}: {times:.2f} times the words per CPU second of gensim")
    return notes
