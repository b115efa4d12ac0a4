"""Recurrent networks on texts: what they reach, beside published figures and naive Bayes.

`--data` is a folder with timemachine/timemachine.txt, tinyshakespeare/input.txt,
ptb/ptb.{train,valid}.txt, sst2/{train,dev}.tsv and names/*.txt; `--only` chooses among them. One
thread. Settings were chosen on parts held out of the training data, never on what is reported.
Shakespeare and PTB: the state is carried over the whole text that is measured on. `--quick` is one
epoch of each.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import torch
from sklearn.metrics import accuracy_score, f1_score

from bench.options import Options
from bench.report import Report, tell
from bench.text_baselines import Pairs, guess_labels, read_names, read_sst2, split_pairs
from workers.text.classifier import TextClassifier, weigh_labels
from workers.text.corpora import (
    LanguageCorpus,
    WordChoice,
    read_labelled_texts,
    read_text,
)
from workers.text.fields import Tokeniser
from workers.text.language_model import LanguageModel, measure_loss
from workers.text.lessons import ClassifierLesson, LanguageLesson, TrainOptions
from workers.text.lexicon import Lexicon
from workers.text.reader import Architecture
from workers.text.tokenise import cut
from workers.text.train import Progress, Trained, train
from workers.text.training_tasks import describe

Spent = dict[str, float]  # seconds of processor, tokens a second, epochs

COLUMNS = ("corpus", "measure", "found", "wanted", "other", "is", "cpu s", "tokens/s", "epochs")

# "Dive into Deep Learning", 9.5 and 10.1: 10,000 characters, batches of 32 x 35, SGD at 1, clip 1.
TIME_MACHINE = TrainOptions(
    Architecture("lstm", hidden=256),
    steps=35,
    batch_size=32,
    epochs=500,
    optimiser="sgd",
    learning_rate=1.0,
)
SHAKESPEARE = TrainOptions(
    Architecture("lstm", hidden=256, layers=2, dropout=0.2), steps=64, batch_size=32, epochs=8
)
PTB = TrainOptions(
    Architecture("lstm", hidden=200, layers=2, embedding=200, dropout=0.25, tied=True),
    steps=35,
    batch_size=20,
    epochs=8,
    learning_rate=2e-3,
)
SST2 = TrainOptions(
    Architecture("lstm", hidden=64, embedding=64, bidirectional=True, dropout=0.5), epochs=20
)
SST2_COUNT = 2  # rarer words are unknown
NAMES = TrainOptions(
    Architecture("lstm", hidden=128, embedding=32, bidirectional=True, dropout=0.2),
    batch_size=64,
    epochs=20,
    learning_rate=3e-3,
)


@dataclass(frozen=True)
class Finding:
    """One figure, beside what was wanted and what others reach."""

    corpus: str
    measure: str
    found: float
    wanted: float | None  # at most
    other: float | None
    name: str  # of the other
    spent: Spent = field(default_factory=dict)

    @property
    def row(self) -> dict[str, Any]:
        return {
            "corpus": self.corpus,
            "measure": self.measure,
            "found": self.found,
            "wanted": self.wanted,
            "other": self.other,
            "is": self.name,
            **self.spent,
        }


def run(options: Options) -> Report:
    torch.set_num_threads(1)
    if options.data is None:
        raise SystemExit("Say where the texts are: --data DIR")
    findings: list[Finding] = []
    for name, measure_corpus in CORPORA.items():
        if not options.only or name in options.only:
            findings += measure_corpus(options.data, options.quick)
    notes = [judge(finding) for finding in findings if finding.wanted is not None]
    return Report("text_models", COLUMNS, [finding.row for finding in findings], notes)


def measure_time_machine(data: Path, quick: bool) -> list[Finding]:
    tokeniser = Tokeniser(unit="characters", letters_only=True)
    tokens = cut(tokeniser, read(data / "timemachine" / "timemachine.txt"))[:20_000]
    first, following = tokens[:10_000], tokens[10_000:]
    lexicon = Lexicon.build(tokeniser, first, max_words=100)
    corpus = LanguageCorpus(lexicon, lexicon.encode(first), lexicon.encode([]))
    trained, spent = learn(LanguageLesson(corpus, shorten(TIME_MACHINE, quick)), len(first))
    learned = math.exp(trained.losses[-1])
    unseen = math.exp(read_through(trained, lexicon.encode(following)))
    return [
        Finding("timemachine", "train perplexity", learned, 1.15, 1.1, "published", spent),
        Finding("timemachine", "next 10,000 characters", unseen, None, None, ""),
    ]


def measure_shakespeare(data: Path, quick: bool) -> list[Finding]:
    tokeniser = Tokeniser(unit="characters", lower=False, nfkc=False)
    corpus = read_text(
        read(data / "tinyshakespeare" / "input.txt"), WordChoice(tokeniser), held_out=0.1
    )
    trained, spent = learn(
        LanguageLesson(corpus, shorten(SHAKESPEARE, quick)), len(corpus.learning)
    )
    loss = read_through(trained, corpus.held_out)
    name = "nanoGPT, A100"
    return [Finding("shakespeare", "held-out nats", loss, 1.55, 1.4697, name, spent)]


def measure_ptb(data: Path, quick: bool) -> list[Finding]:
    """The ends of lines are tokens, as in all published figures."""
    tokeniser = Tokeniser(unit="whitespace", lower=False, nfkc=False)
    learning, held_out = (
        cut(tokeniser, read(data / "ptb" / f"ptb.{part}.txt").replace("\n", " <eos>\n"))
        for part in ("train", "valid")
    )
    # The corpus writes rare words as <unk>, which is the unknown word here too.
    lexicon = Lexicon.build(tokeniser, learning, max_words=10_000)
    corpus = LanguageCorpus(lexicon, lexicon.encode(learning), lexicon.encode(held_out))
    trained, spent = learn(LanguageLesson(corpus, shorten(PTB, quick)), len(learning))
    perplexity = math.exp(read_through(trained, corpus.held_out))
    return [
        Finding("ptb", "valid perplexity", perplexity, 186.0, 114.5, "Zaremba, test", spent),
    ]


def measure_sst2(data: Path, quick: bool) -> list[Finding]:
    learning, dev = (read_sst2(data / "sst2" / f"{part}.tsv") for part in ("train", "dev"))
    choice = WordChoice(Tokeniser(unit="whitespace"), min_count=SST2_COUNT)
    found, spent = classify(learning, dev, choice, shorten(SST2, quick))
    guessed = guess_labels(learning, dev, choice.tokeniser, (1, 1))
    return compare("sst2", dev, found, guessed, "naive Bayes, words", spent)


def measure_names(data: Path, quick: bool) -> list[Finding]:
    learning, test = split_pairs(read_names(data / "names"), 0.2)
    choice = WordChoice(Tokeniser(unit="characters", lower=False))
    found, spent = classify(learning, test, choice, shorten(NAMES, quick))
    guessed = guess_labels(learning, test, choice.tokeniser, (1, 3))
    return compare("names", test, found, guessed, "naive Bayes, 1-3 letters", spent)


def classify(
    learning: Pairs, test: Pairs, choice: WordChoice, options: TrainOptions
) -> tuple[list[str], dict[str, float]]:
    """Labels of the test texts; a tenth of the others is held out to stop in time."""
    corpus = read_labelled_texts(learning, choice, held_out=0.1, seed=0)
    size = sum(len(text) for text in corpus.learning.texts)
    trained, spent = learn(ClassifierLesson(corpus, options), size)
    assert isinstance(trained.network, TextClassifier)
    texts = [corpus.lexicon.encode(cut(choice.tokeniser, text)) for _, text in test]
    chosen = weigh_labels(trained.network, texts).argmax(1).tolist()
    return [corpus.label_names[label] for label in chosen], spent


def compare(
    corpus: str, test: Pairs, found: list[str], guessed: list[str], name: str, spent: Spent
) -> list[Finding]:
    wanted = [label for label, _ in test]
    return [
        Finding(
            corpus,
            "test accuracy",
            float(accuracy_score(wanted, found)),
            None,
            float(accuracy_score(wanted, guessed)),
            name,
            spent,
        ),
        Finding(
            corpus,
            "test macro-F1",
            float(f1_score(wanted, found, average="macro")),
            None,
            float(f1_score(wanted, guessed, average="macro")),
            name,
        ),
    ]


def learn(lesson: LanguageLesson | ClassifierLesson, tokens: int) -> tuple[Trained, Spent]:
    """`tokens`: those that an epoch reads. Looks at what is held out count in the time."""

    def show(progress: Progress) -> None:
        if progress.ended and progress.epoch % max(1, progress.epochs // 10) == 0:
            print(describe(progress), flush=True)

    started = time.process_time()
    with TemporaryDirectory() as folder:
        trained = train(lesson, show, Path(folder))
    seconds = time.process_time() - started
    epochs = len(trained.losses)
    return trained, {"cpu s": seconds, "tokens/s": tokens * epochs / seconds, "epochs": epochs}


def read_through(trained: Trained, tokens: np.ndarray) -> float:
    """Nats a token, the state being carried from the first to the last."""
    assert isinstance(trained.network, LanguageModel)
    return measure_loss(trained.network, tokens)


def shorten(options: TrainOptions, quick: bool) -> TrainOptions:
    return replace(options, epochs=1) if quick else options


def read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


def judge(finding: Finding) -> str:
    met = tell(finding.found <= (finding.wanted or 0.0))
    return (
        f"{met}: {finding.corpus}, {finding.measure} {finding.found:.3f}; wanted "
        f"{finding.wanted} at most"
    )


CORPORA: dict[str, Callable[[Path, bool], list[Finding]]] = {
    "timemachine": measure_time_machine,
    "shakespeare": measure_shakespeare,
    "ptb": measure_ptb,
    "sst2": measure_sst2,
    "names": measure_names,
}
