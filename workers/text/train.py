"""Trains language models and classifiers: `python -m workers.text.train --data FILE --out DIR`."""

import math
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import SGD, AdamW, Optimizer

from shared.settings import CHECKPOINT_EVERY
from workers.runtime.checkpoints import CHECKPOINT, read_checkpoint
from workers.runtime.clock import Clock
from workers.runtime.run import InvalidInput
from workers.runtime.tensors import write_parts
from workers.runtime.training import fix_chance, pack_optimiser, unpack_optimiser
from workers.text.lessons import Lesson, Network, TrainOptions, Watch
from workers.text.recurrent import State
from workers.text.saved import list_weights, load_weights

CPU = torch.device("cpu")
FORMAT = 2  # of it
REPORT_EVERY = 0.5  # seconds
SAVING = 20  # times as long as saving took, training goes on before the next time


class Diverged(InvalidInput):
    """The loss is no number any more."""


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    epoch: int  # from 1 on
    epochs: int
    loss: float  # nats, mean of this epoch so far
    losses: list[float]  # of each whole epoch
    held_out: list[float]  # after each of them; empty if nothing is held out

    @property
    def ended(self) -> bool:
        """This was the last batch of the epoch."""
        return self.epoch == len(self.losses)


@dataclass(frozen=True)
class Trained:
    network: Network  # with the best held-out loss, on the CPU
    losses: list[float]  # nats, mean of each epoch
    held_out: list[float]
    best: int  # the epoch whose weights these are, from 1 on
    stopped_early: bool


def train(
    lesson: Lesson,
    report: Callable[[Progress], None],
    folder: Path,
    device: torch.device = CPU,
    save_every: float = CHECKPOINT_EVERY,
) -> Trained:
    """Learn, going on from the checkpoint in the folder if there is one.

    The same options and corpus give the same weights, bit for bit on a CPU, even if it was stopped
    and resumed: chance depends on the seed, the epoch and the batch alone. `report` may raise to
    stop it. Raises Diverged, and UnusableCheckpoint, also for one of other options or corpus.
    """
    training = Training(lesson, folder / CHECKPOINT, device)
    training.resume()
    reporting, saving = Clock(REPORT_EVERY), Clock(save_every)

    def look_up() -> None:
        if reporting.is_due():
            report(training.describe())

    while not training.is_over():
        for batch in training.draw():
            training.advance(batch)
            look_up()
            if saving.is_due():
                training.save()
                saving.wait(SAVING)
        training.check(look_up)
        report(training.describe())
        if saving.is_due():
            training.save()
            saving.wait(SAVING)
    return training.finish()


class Training:
    """One run: the network, its optimiser, and how far they are."""

    def __init__(self, lesson: Lesson, checkpoint: Path, device: torch.device) -> None:
        self.lesson, self.checkpoint, self.device = lesson, checkpoint, device
        self.options = lesson.options
        self.origin = make_origin(self.options, lesson.identify())
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.options.seed)
            self.network = lesson.make_network().to(device)
        self.best = copy_weights(self.network)
        self.optimiser = make_optimiser(self.network, self.options)
        self.losses: list[float] = []  # of each whole epoch
        self.held_out: list[float] = []
        self.start_epoch()

    def start_epoch(self) -> None:
        self.place = 0  # batches done in this epoch
        self.state: State | None = None
        self.total = torch.zeros((), dtype=torch.float64, device=self.device)  # of the losses
        self.count = 0  # how many they are of
        self.batches = sum(1 for _ in self.lesson.draw(len(self.losses)))

    def is_over(self) -> bool:
        waited = len(self.held_out) - 1 - int(np.argmin(self.held_out)) if self.held_out else 0
        return len(self.losses) >= self.options.epochs or waited >= self.options.patience

    def draw(self) -> Iterator[Any]:
        """The batches of this epoch that are still to come."""
        return islice(self.lesson.draw(len(self.losses)), self.place, None)

    def advance(self, batch: Any) -> None:
        """One step of the optimiser."""
        self.network.train()
        # what dropout draws depends on the batch alone
        with fix_chance((self.options.seed, len(self.losses), self.place), self.device):
            loss, count, self.state = self.lesson.cost(self.network, batch, self.state)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = self.options.learning_rate * self.options.decay ** self._count_worse()
        self.optimiser.step()
        self.total += loss.detach() * count
        self.count += count
        self.place += 1

    def _count_worse(self) -> int:
        """Epochs whose held-out loss was no better than one before."""
        best = np.minimum.accumulate([math.inf, *self.held_out])[:-1]
        return int((np.array(self.held_out) >= best).sum())

    def check(self, watch: Watch) -> None:
        """End the epoch: look at what is held out, keep the weights if there were none better."""
        self.optimiser.zero_grad()  # their memory is free for the look
        loss, held_out = self._measure(), self.lesson.check(self.network, watch)
        if held_out is None or held_out < min(self.held_out, default=math.inf):
            self.best = copy_weights(self.network)
        if held_out is not None:
            self.held_out.append(_check_number(held_out))
        self.losses.append(loss)
        self.start_epoch()

    def _measure(self) -> float:
        return _check_number(self.total.item() / max(1, self.count))

    def describe(self) -> Progress:
        """Raises Diverged."""
        ended = self.place == 0 and bool(self.losses)
        done = len(self.losses) + self.place / self.batches
        return Progress(
            fraction=done / self.options.epochs,
            epoch=len(self.losses) + (not ended),
            epochs=self.options.epochs,
            loss=self.losses[-1] if ended else self._measure(),
            losses=list(self.losses),
            held_out=list(self.held_out),
        )

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all. Raises Diverged instead."""
        self._measure()
        parts = {"network": list_weights(self.network), "best": self.best}
        parts |= pack_optimiser(self.optimiser)
        parts["carried"] = {str(n): part for n, part in enumerate(_list_parts(self.state))}
        parts["sum"] = {"loss": self.total}
        about = {
            "origin": self.origin,
            "losses": self.losses,
            "held_out": self.held_out,
            "place": self.place,
            "count": self.count,
        }
        write_parts(self.checkpoint, parts, about)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises UnusableCheckpoint."""
        if not self.checkpoint.exists():
            return
        parts, about = read_checkpoint(self.checkpoint, self.origin)
        load_weights(self.network, parts.pop("network"))
        self.best = parts.pop("best")
        self.losses, self.held_out = about["losses"], about["held_out"]
        self.start_epoch()
        self.place, self.count = about["place"], about["count"]
        self.total = parts.pop("sum")["loss"].to(self.device)
        carried = [part.to(self.device) for _, part in sorted(parts.pop("carried", {}).items())]
        self.state = (carried[0], carried[1]) if len(carried) > 1 else next(iter(carried), None)
        unpack_optimiser(self.optimiser, parts)

    def finish(self) -> Trained:
        network = self.network.cpu()
        load_weights(network, self.best)
        best = int(np.argmin(self.held_out)) + 1 if self.held_out else len(self.losses)
        stopped_early = len(self.losses) < self.options.epochs
        return Trained(network.eval(), self.losses, self.held_out, best, stopped_early)


def make_optimiser(network: nn.Module, options: TrainOptions) -> Optimizer:
    if options.optimiser == "sgd":
        return SGD(network.parameters(), options.learning_rate, weight_decay=options.weight_decay)
    return AdamW(
        network.parameters(), options.learning_rate, weight_decay=options.weight_decay, fused=True
    )


def copy_weights(network: nn.Module) -> dict[str, Tensor]:
    return {name: weights.cpu().clone() for name, weights in list_weights(network).items()}


def make_origin(options: Any, corpus: str) -> dict[str, Any]:
    """What a checkpoint must be of to be gone on from: options (a dataclass), hash of a corpus."""
    return {"format": FORMAT, "options": asdict(options), "corpus": corpus}


def _list_parts(state: State | None) -> tuple[Tensor, ...]:
    if state is None:
        return ()
    return state if isinstance(state, tuple) else (state,)


def _check_number(loss: float) -> float:
    if not math.isfinite(loss):
        raise Diverged("The loss is no number any more. Lower the learning rate, or `clip`.")
    return loss


if __name__ == "__main__":
    from workers.text.train_command import main

    main()
