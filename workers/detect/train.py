"""Trains a YOLO on labelled pictures: `python -m workers.detect.train --data DIR --out DIR`."""

import copy
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from importlib.metadata import version
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from shared.settings import CHECKPOINT_EVERY
from workers.detect.batches import Batch, Squares, draw_batch, draw_order
from workers.detect.labelled import LabelledPictures, Watch, watch_nothing
from workers.detect.suppression import Suppression
from workers.detect.train_options import (
    TERMS,
    Epoch,
    Progress,
    Trained,
    TrainOptions,
    check_finite,
    check_growth,
    count_waited,
    find_best,
    list_looks,
    schedule,
    split_parts,
)
from workers.detect.validation import LEAST_SCORE, measure
from workers.detect.weights import check_weights, make_network
from workers.detect.yolo_loss import yolo_loss
from workers.runtime.checkpoints import CHECKPOINT, read_checkpoint
from workers.runtime.tensors import copy_weights, write_parts
from workers.runtime.training import (
    as_one_batch,
    digest,
    fix_chance,
    hold_back,
    make_optimiser,
    move_average,
    pack_optimiser,
    run_through,
    unpack_optimiser,
)

CPU = torch.device("cpu")
FORMAT = 1  # of a checkpoint
REPORT_EVERY = 0.5  # seconds


def train(
    options: TrainOptions,
    data: LabelledPictures,
    report: Callable[[Progress], None],
    checkpoint_dir: Path,
    device: torch.device = CPU,
    trunk: Mapping[str, Tensor] | None = None,
    report_every: float = REPORT_EVERY,
    save_every: float = CHECKPOINT_EVERY,
) -> Trained:
    """Learn from `data`, going on from the checkpoint in the folder if there is one.

    With a `trunk` the network starts with these weights, those of a classifier (paper, section
    2.2). The same options and data give the same weights, bit for bit on a CPU, even if it was
    stopped and resumed: chance depends on the seed, the epoch and the picture. `report` may raise
    to stop it. Under torchrun the processes share each batch, and only the first one reports and
    saves. Raises Diverged, UnusableCheckpoint, also for one of other options or data, and
    ValueError for data without objects to learn, a batch that cannot be shared, a network of other
    classes or a trunk of other layers.
    """
    training = Training(options, data, checkpoint_dir / CHECKPOINT, device, trunk)
    return run_through(training, report, report_every, save_every)


class Training:
    """One run: the network, its optimiser, and how far they are."""

    def __init__(
        self,
        options: TrainOptions,
        data: LabelledPictures,
        checkpoint: Path,
        device: torch.device = CPU,
        trunk: Mapping[str, Tensor] | None = None,
        watch: Watch = watch_nothing,
    ) -> None:
        """`watch` is called before each picture is decoded, and may raise."""
        learning, held = split_parts(data, options)
        side, bordered = options.network.side, options.bordered
        self.options, self.checkpoint, self.device = options, checkpoint, device
        self.names = data.names
        self.learning = Squares(learning.pictures, side, bordered, watch=watch)
        self.held = Squares(held.pictures, side, bordered, watch=watch) if held else None
        self.origin = {"format": FORMAT, "code": version("atelier"), "options": asdict(options)}
        self.origin |= {"data": data.fingerprint(), "trunk": digest(trunk) if trunk else ""}
        self.network = make_network(options, trunk).to(device)
        self.average = copy.deepcopy(self.network).eval()
        self.best = copy_weights(self.average)
        self.optimiser = make_optimiser(
            self.network,
            options.optimiser,
            options.learning_rate,
            options.momentum,
            options.weight_decay,
        )
        self.history: list[Epoch] = []
        self.rank, self.world = 0, 1
        self.joint: nn.Module = self.network
        if distributed.is_initialized():
            self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
            if device.type == "cuda":
                self.network = as_one_batch(self.network)
            self.joint = DistributedDataParallel(self.network)
        self.start_epoch()

    def start_epoch(self) -> None:
        options = self.options
        self.order = draw_order(len(self.learning), options.batch, options.seed, len(self.history))
        shares = self.world * options.parts
        if self.order.shape[1] < shares:
            raise ValueError(f"{self.order.shape[1]} pictures of a batch cannot be {shares} parts.")
        self.place = 0  # batches done in this epoch
        self.sums = torch.zeros(len(TERMS), dtype=torch.float64, device=self.device)

    @property
    def step(self) -> int:
        return len(self.history) * len(self.order) + self.place

    def has_seen_all(self) -> bool:
        return self.place == len(self.order)

    def is_over(self) -> bool:
        waited = count_waited(list_looks(self.history))
        return len(self.history) >= self.options.epochs or waited >= self.options.patience

    def advance(self, watch: Callable[[], None] = lambda: None) -> None:
        """One step of the optimiser; `watch` is called between parts, and may raise."""
        self.network.train()
        self.optimiser.zero_grad()
        terms = self._accumulate(self.order[self.place], watch)
        if self.world > 1:
            distributed.all_reduce(terms)
        nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        for group in self.optimiser.param_groups:
            group["lr"] = schedule(self.step, len(self.order), self.options)
        self.optimiser.step()
        self.sums += terms
        self.place += 1
        # the first weights, which are chance, are soon forgotten
        kept = min(self.options.averaging, (1 + self.step) / (10 + self.step))
        move_average(self.average, self.network, 1 - kept)

    def _accumulate(self, rows: np.ndarray, watch: Callable[[], None]) -> Tensor:
        """The gradients of a batch, part by part; answers with the terms of its loss (5,).

        Of several processes each has its parts, and gets the gradients of all, its own terms.
        """
        options = self.options
        parts = np.array_split(rows, self.world * options.parts)[self.rank :: self.world]
        chance = (options.seed, len(self.history))
        terms = torch.zeros_like(self.sums)
        for number, part in enumerate(parts):
            if number:
                watch()
            batch = draw_batch(self.learning, part, options.network, options.augmentation, chance)
            last = number == len(parts) - 1
            with nullcontext() if last else hold_back(self.joint):
                terms += self._learn(batch.to(self.device), len(part) / len(rows), number)
        return terms

    def _learn(self, batch: Batch, share: float, number: int) -> Tensor:
        """Add a part's gradients; answers with the terms of its loss (5,), as parts of the sum."""
        half = self.options.half and self.device.type == "cuda"
        # what dropout draws depends on the step and the part of its batch alone
        place = (self.options.seed, self.step, number * self.world + self.rank)
        with fix_chance(place, self.device), torch.autocast(self.device.type, torch.bfloat16, half):
            output = self.joint(batch.pixels)
        loss = yolo_loss(output.float(), batch.truth, self.options.network.boxes, self.options.loss)
        # the processes' gradients, parts of a sum, are averaged
        (loss.total * share * self.world).backward()  # type: ignore[no-untyped-call]
        return torch.stack([getattr(loss, term).detach() for term in TERMS]).double() * share

    def end_epoch(self, watch: Callable[[], None]) -> None:
        """Look at the validation pictures if it is time; keep the best weights. Raises Diverged."""
        terms = self._mean_terms()
        check_growth(terms, self.history)
        check_weights(self.average)
        done, looks = len(self.history) + 1, list_looks(self.history)
        look = None
        if self.held and (done % self.options.check_every == 0 or done == self.options.epochs):
            look = self._look(self.held, watch)
        if self.held is None or (look is not None and look >= max(looks, default=0.0)):
            self.best = copy_weights(self.average)
        self.history.append(Epoch(terms, look))
        self.start_epoch()

    def _look(self, held: Squares, watch: Callable[[], None]) -> float:
        """The mean average precision of the average of the weights, told by the first process."""
        found = torch.zeros((), dtype=torch.float64, device=self.device)
        if self.rank == 0:
            settings = Suppression(score_threshold=LEAST_SCORE)
            found += measure(self.average, held, self.names, settings, watch).mean
        if self.world > 1:
            distributed.broadcast(found, 0)
        return found.item()

    def _mean_terms(self) -> dict[str, float]:
        """Of the loss in this epoch so far. Raises Diverged."""
        means = dict(zip(TERMS, (self.sums / max(1, self.place)).tolist(), strict=True))
        check_finite(means)
        return means

    def describe(self) -> Progress:
        """Raises Diverged."""
        ended = self.place == 0 and bool(self.history)
        return Progress(
            fraction=self.step / (self.options.epochs * len(self.order)),
            epoch=len(self.history) + (not ended),
            epochs=self.options.epochs,
            terms=self.history[-1].terms if ended else self._mean_terms(),
            history=tuple(self.history),
        )

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all. Raises Diverged instead."""
        self._mean_terms()
        if self.rank:
            return
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "sums": {"terms": self.sums},
            **pack_optimiser(self.optimiser),
        }
        about = {
            "origin": self.origin,
            "history": [asdict(epoch) for epoch in self.history],
            "place": self.place,
        }
        write_parts(self.checkpoint, parts, about)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises UnusableCheckpoint."""
        if not self.checkpoint.exists():
            return
        parts, about = read_checkpoint(self.checkpoint, self.origin)
        self.network.load_state_dict(parts.pop("network"))
        self.average.load_state_dict(parts.pop("average"))
        self.best = parts.pop("best")
        self.history = [Epoch(**epoch) for epoch in about["history"]]
        self.start_epoch()
        self.place = about["place"]
        self.sums.copy_(parts.pop("sums")["terms"])
        unpack_optimiser(self.optimiser, parts)

    def finish(self) -> Trained:
        network = copy.deepcopy(self.average).cpu()
        network.load_state_dict(self.best)
        history, epochs = tuple(self.history), self.options.epochs
        return Trained(network.eval(), history, find_best(history), len(history) < epochs)


if __name__ == "__main__":
    from workers.detect.train_command import main

    main()
