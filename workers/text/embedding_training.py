"""Trains word embeddings, so that a stop in between changes nothing."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from shared.settings import CHECKPOINT_EVERY
from workers.runtime.checkpoints import CHECKPOINT, read_checkpoint
from workers.runtime.clock import Clock
from workers.runtime.run import InvalidInput
from workers.runtime.tensors import write_parts
from workers.text.embedding import METHODS, Method, Table, Tables
from workers.text.pairs import Epoch, Noise, Sentences, weigh_words
from workers.text.train import (
    CPU,
    REPORT_EVERY,
    SAVING,
    Diverged,
    make_origin,
)

POINTS = 200  # of the curve of the loss
MEASURE_EVERY = 16  # batches: measuring costs about as much as a third of one
LOWEST_RATE = 1e-4  # of the learning rate, at the end


class NothingToLearn(InvalidInput):
    """No two words stand beside each other."""


@dataclass(frozen=True)
class EmbeddingOptions:
    """What fixes the result, together with the corpus."""

    method: Method = "skip-gram"
    dimensions: int = 100
    window: int = 5  # words on each side, at most
    negatives: int = 5  # for each true pair
    epochs: int = 5
    subsample: float = 1e-3  # words more frequent than this part are thinned; 0: none
    learning_rate: float = 0.025  # the first; it falls in a straight line
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    epoch: int  # from 1 on
    epochs: int
    curve: "Curve"


class Curve:
    """The loss over a training."""

    def __init__(self, sums: Tensor | None = None) -> None:
        """(POINTS, 2) float64 for each part of the training: nats, pairs."""
        self.sums = torch.zeros(POINTS, 2, dtype=torch.float64) if sums is None else sums
        self.place = -1

    def is_due(self, fraction: float, batch: int) -> bool:
        """At the first batch of each part, and now and then."""
        place = int(fraction * POINTS)
        due = place != self.place or batch % MEASURE_EVERY == 0
        self.place = place
        return due

    def add(self, nats: float, pairs: float) -> None:
        """Raises Diverged."""
        if not math.isfinite(nats):
            raise Diverged("The loss is no number any more. Lower the `learning_rate`.")
        self.sums[self.place] += torch.tensor([nats, pairs], dtype=torch.float64)

    def list_points(self) -> tuple[list[float], list[float]]:
        """Fractions of the training, and the loss in nats a pair."""
        [places] = self.sums[:, 1].nonzero(as_tuple=True)
        losses = self.sums[places, 0] / self.sums[places, 1]
        return ((places + 0.5) / POINTS).tolist(), losses.tolist()

    def last(self) -> float:
        """Mean of the last tenth, in nats a pair. Raises NothingToLearn."""
        seen = self.sums[self.sums[:, 1] > 0]
        if not len(seen):
            raise NothingToLearn(
                "No word has another one beside it. Send a larger corpus, lower `min_count`, or "
                "raise `subsample`."
            )
        nats, pairs = seen[-max(1, len(seen) // 10) :].sum(0).tolist()
        return float(nats / pairs)


@dataclass(frozen=True)
class Trained:
    vectors: Tensor  # (words + 1, d) float32 on the CPU; zero for words that do not occur
    curve: Curve


def train_embedding(
    options: EmbeddingOptions,
    corpus: Sentences,
    words: int,
    report: Callable[[Progress], None],
    folder: Path,
    device: torch.device = CPU,
    save_every: float = CHECKPOINT_EVERY,
) -> Trained:
    """Learn vectors for the indices 1 to `words`, going on from the checkpoint if there is one.

    The same options and corpus give the same vectors, bit for bit on a CPU, even if it was stopped
    and resumed: chance depends on the seed, the epoch and the batch alone. `report` may raise to
    stop it. Raises NothingToLearn, Diverged, and UnusableCheckpoint, also for one of other options
    or another corpus.
    """
    training = Training(options, corpus, words, folder / CHECKPOINT, device)
    training.resume()
    reporting, saving = Clock(REPORT_EVERY), Clock(save_every)
    while training.epoch < options.epochs:
        for _ in training.go_through():
            if reporting.is_due():
                report(training.describe())
            if saving.is_due():
                training.save()
                saving.wait(SAVING)
    return training.finish()


class Training:
    """One run: the vectors, and how far they are."""

    def __init__(
        self,
        options: EmbeddingOptions,
        corpus: Sentences,
        words: int,
        checkpoint: Path,
        device: torch.device,
    ) -> None:
        self.options, self.corpus = options, corpus
        self.checkpoint, self.device = checkpoint, device
        self.counts = np.bincount(corpus.tokens, minlength=words + 1)
        if not self.counts.any():
            raise NothingToLearn("The corpus has none of the words.")
        self.kept = weigh_words(self.counts, options.subsample)
        self.noise = Noise(self.counts[1:])
        self.tables = Tables.start(words, options.dimensions, options.seed, device)
        self.epoch, self.batch = 0, 0  # done
        self.batches = 1  # of the epoch
        self.curve = Curve()
        self.origin = {**make_origin(options, identify(corpus)), "words": words}

    @property
    def fraction(self) -> float:
        return (self.epoch + self.batch / self.batches) / self.options.epochs

    def go_through(self) -> Iterator[None]:
        """The batches of this epoch that are still to come, and a pause after each."""
        options = self.options
        seed = [options.seed, self.epoch]
        epoch = Epoch(self.corpus, self.kept, self.noise, options.window, seed)
        self.batches = max(1, len(epoch))
        differentiate = METHODS[options.method]
        for batch in epoch.draw(self.batch):
            step = differentiate(self.tables, batch.to(self.device), options.negatives)
            if self.curve.is_due(self.fraction, self.batch):
                self.curve.add(*step.scores.measure())
            rate = options.learning_rate * max(LOWEST_RATE, 1 - self.fraction)
            self.tables.move(step, rate)
            self.batch += 1
            yield
        self.epoch, self.batch = self.epoch + 1, 0

    def describe(self) -> Progress:
        return Progress(self.fraction, self.epoch + 1, self.options.epochs, self.curve)

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all."""
        tables = {"inputs": self.tables.inputs.vectors, "outputs": self.tables.outputs.vectors}
        parts = {"tables": tables, "curve": {"sums": self.curve.sums}}
        about = {
            "origin": self.origin,
            "epoch": self.epoch,
            "batch": self.batch,
            "place": self.curve.place,
        }
        write_parts(self.checkpoint, parts, about)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises UnusableCheckpoint."""
        if not self.checkpoint.exists():
            return
        parts, about = read_checkpoint(self.checkpoint, self.origin)
        known = {name: Table(table.to(self.device)) for name, table in parts["tables"].items()}
        self.tables = Tables(known["inputs"], known["outputs"])
        self.epoch, self.batch = about["epoch"], about["batch"]
        self.curve = Curve(parts["curve"]["sums"])
        self.curve.place = about["place"]

    def finish(self) -> Trained:
        self.curve.last()  # raises if there was nothing
        vectors = self.tables.inputs.vectors.cpu()
        vectors[torch.from_numpy(self.counts == 0)] = 0
        if not vectors.isfinite().all():
            raise Diverged("The vectors are no numbers any more. Lower the `learning_rate`.")
        return Trained(vectors, self.curve)


def identify(corpus: Sentences) -> str:
    """A hash of the corpus."""
    return sha256(corpus.tokens.tobytes() + corpus.numbers.tobytes()).hexdigest()
