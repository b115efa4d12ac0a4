"""What others take to make a vocabulary of one text, each in a process of its own."""

import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

LETTERS = r"[^\W\d_]+"  # runs of letters, nearly as we cut


def count_ready(text: str) -> Callable[[], int]:
    """`Counter` on tokens that are cut already: nothing in Python can be faster."""
    tokens = text.lower().split()
    return lambda: len(Counter(tokens))


def fit_sklearn(text: str) -> Callable[[], int]:
    from sklearn.feature_extraction.text import CountVectorizer

    return lambda: len(CountVectorizer(token_pattern=LETTERS).fit([text]).vocabulary_)


def train_huggingface(text: str) -> Callable[[], int]:
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    lines = text.splitlines()

    def train() -> int:
        tokenizer = Tokenizer(models.WordLevel(unk_token="<unk>"))
        tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase()])
        tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
        trainer = trainers.WordLevelTrainer(vocab_size=10**8, show_progress=False)
        tokenizer.train_from_iterator(lines, trainer)
        return int(tokenizer.get_vocab_size())

    return train


def fill_gensim(text: str) -> Callable[[], int]:
    from gensim.corpora import Dictionary
    from gensim.utils import tokenize

    lines = text.splitlines()
    return lambda: len(
        Dictionary((tokenize(line, lowercase=True) for line in lines), prune_at=10**8)
    )


PEERS = {
    "Counter, tokens ready": count_ready,
    "sklearn CountVectorizer": fit_sklearn,
    "tokenizers WordLevel": train_huggingface,
    "gensim Dictionary": fill_gensim,
}


def main() -> None:
    """Arguments: a peer, a text file."""
    name, path = sys.argv[1:]
    os.environ["RAYON_NUM_THREADS"] = "1"
    work = PEERS[name](Path(path).read_text(encoding="utf-8"))
    started, cpu = time.perf_counter(), time.process_time()
    words = work()
    seconds = time.perf_counter() - started
    spent = time.process_time() - cpu
    sys.stdout.write(json.dumps({"seconds": seconds, "cpu s": spent, "words": words}) + "\n")


if __name__ == "__main__":
    main()
