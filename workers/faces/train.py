"""Trains the Siamese network on folders of faces: `python -m workers.faces.train --data DIR`."""

import copy
import math
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.optim import AdamW

from workers.faces.batches import augment, draw_batch, make_augmentation
from workers.faces.evaluate import score_pairs
from workers.faces.folders import FaceFolders
from workers.faces.metrics import equal_error_rate
from workers.faces.siamese import Architecture, SiameseNet, to_faces, to_unit
from workers.faces.triplets import Mining, contrastive_losses, mine_triplets, triplet_losses
from workers.runtime.checkpoints import CHECKPOINT, read_checkpoint
from workers.runtime.tensors import copy_weights, write_parts
from workers.runtime.training import pack_optimiser, unpack_optimiser

CPU = torch.device("cpu")


@dataclass(frozen=True)
class TrainOptions:
    """What fixes the result, together with the data."""

    architecture: Architecture = field(default_factory=Architecture)
    loss: Literal["triplet", "contrastive"] = "triplet"
    mining: Mining = "batch-hard"
    margin: float = 0.2  # alpha; squared distance for triplets, distance for contrastive
    people: int = 12  # P of a batch
    pictures: int = 4  # K of each
    steps: int = 400
    warm_up: int = 50  # steps in which the rate rises and triplets are random
    learning_rate: float = 1e-3  # the highest
    weight_decay: float = 1e-2
    validation: float = 0.2  # share of the people who are only looked at to stop in time
    check_every: int = 25  # steps between checkpoints, and looks at the validation people
    patience: int = 8  # such looks without a better one, then it stops
    report_every: int = 10  # steps
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    fraction: float  # [0, 1]
    step: int
    loss: float  # mean since the last report
    active: float  # share of the mined triplets that cost anything, in [0, 1]
    validation_eer: float | None  # [0, 1]; of the last look, None without validation people


@dataclass(frozen=True)
class Trained:
    network: SiameseNet  # the best seen, on the CPU
    metrics: dict[str, float]
    curve: list[float]  # the loss of each step


def train(
    options: TrainOptions,
    data: FaceFolders,
    report: Callable[[Progress], None],
    checkpoint_dir: Path,
    device: torch.device = CPU,
) -> Trained:
    """Learn from `data`, going on from the checkpoint in the folder if there is one.

    The same options and data give the same weights, bit for bit on a CPU, even if it was stopped
    and resumed: chance depends on the seed and the step alone. `report` may raise to stop it.
    Under torchrun the processes share each batch, and only the first one reports and saves.
    Raises ValueError for too few people, or a checkpoint of other options or data.
    """
    training = Training(options, data, checkpoint_dir / CHECKPOINT, device)
    training.resume()
    while not training.is_over():
        training.advance()
        if training.step % options.check_every == 0 or training.step == options.steps:
            training.check()
            training.save()
        if training.rank == 0 and training.step % options.report_every == 0:
            report(training.describe())
    return training.finish()


class Training:
    """One run: the network, its optimiser, and how far they are."""

    def __init__(
        self, options: TrainOptions, data: FaceFolders, checkpoint: Path, device: torch.device
    ) -> None:
        learning, validation = split_people(data, options)
        self.options, self.checkpoint, self.device = options, checkpoint, device
        self.origin = {"options": asdict(options), "data": data.fingerprint()}
        channels = options.architecture.channels
        self.faces = to_faces(learning.chips, channels)
        self.labels = torch.from_numpy(learning.labels)
        self.unseen, self.unseen_labels = to_faces(validation.chips, channels), validation.labels
        self.change = make_augmentation(options.architecture.side)
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(options.seed)
            network = SiameseNet(options.architecture)
        self.network = network.to(device).to(memory_format=torch.channels_last)
        self.best = copy_weights(self.network)
        self.optimiser = AdamW(self.network.parameters(), weight_decay=options.weight_decay)
        self.curve: list[float] = []  # loss of each step
        self.active: list[float] = []  # share of costly triplets since the last report
        self.errors: list[float] = []  # validation EER at each check
        self.rank, self.world = 0, 1
        self.joint: nn.Module = self.network
        if distributed.is_initialized():
            self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
            self.joint = DistributedDataParallel(self.network)

    @property
    def step(self) -> int:
        return len(self.curve)

    def is_over(self) -> bool:
        waited = len(self.errors) - 1 - int(np.argmin(self.errors)) if self.errors else 0
        return self.step >= self.options.steps or waited >= self.options.patience

    def advance(self) -> None:
        """One step of the optimiser."""
        options = self.options
        seed = np.random.SeedSequence((options.seed, self.step)).generate_state(1, np.uint64)[0]
        generator = torch.Generator().manual_seed(int(seed))
        rows = draw_batch(self.labels, options.people, options.pictures, generator)
        seeds = torch.randint(2**31, (len(rows),), generator=generator)
        own = take_share(len(rows), self.rank, self.world)
        faces = augment(to_unit(self.faces[rows[own]]), seeds[own], self.change)
        with torch.autocast(self.device.type, torch.bfloat16, self.device.type == "cuda"):
            points = self.joint(faces.to(self.device)).float()  # (B / processes, d)
        losses = self._cost(self._gather(points), self.labels[rows].to(self.device), generator)
        loss = losses.mean() if len(losses) else points.sum() * 0  # nothing was mined
        for group in self.optimiser.param_groups:
            group["lr"] = options.learning_rate * schedule(self.step, options)
        self.optimiser.zero_grad()
        (loss * self.world).backward()  # the processes' gradients, parts of a sum, are averaged
        self.optimiser.step()
        self.curve.append(loss.item())
        self.active.append((losses > 0).float().mean().item() if len(losses) else 0.0)

    def _cost(self, points: Tensor, labels: Tensor, generator: torch.Generator) -> Tensor:
        options = self.options
        if options.loss == "contrastive":
            return contrastive_losses(points, labels, options.margin)
        # From the start, hard triplets would pull all faces to one point, where L = margin.
        mining = "random" if self.step < options.warm_up else options.mining
        rows = mine_triplets(points, labels, mining, options.margin, generator)
        anchor, positive, negative = (points[column] for column in rows.unbind(dim=1))
        return triplet_losses(anchor, positive, negative, options.margin)

    def _gather(self, points: Tensor) -> Tensor:
        """The points of all processes, (B, d); gradients go to those of this one."""
        if self.world == 1:
            return points
        parts = [torch.empty_like(points) for _ in range(self.world)]
        distributed.all_gather(parts, points.detach())
        parts[self.rank] = points
        return torch.cat(parts)

    def check(self) -> None:
        """Look at the validation people, and keep the weights if there were none better."""
        if len(self.unseen):
            points = self.network.encode(self.unseen)
            self.errors.append(equal_error_rate(*score_pairs(points, self.unseen_labels)))
        if not self.errors or self.errors[-1] == min(self.errors):
            self.best = copy_weights(self.network)

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all."""
        if self.rank:
            return
        parts = {"network": self.network.state_dict(), "best": self.best}
        parts |= pack_optimiser(self.optimiser)
        about = {"origin": self.origin, "curve": self.curve, "errors": self.errors}
        write_parts(self.checkpoint, parts, about)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one."""
        if not self.checkpoint.exists():
            return
        parts, about = read_checkpoint(self.checkpoint, self.origin)
        self.network.load_state_dict(parts.pop("network"))
        self.best = parts.pop("best")
        unpack_optimiser(self.optimiser, parts)
        self.curve, self.errors = about["curve"], about["errors"]

    def describe(self) -> Progress:
        recent = len(self.active)
        progress = Progress(
            fraction=self.step / self.options.steps,
            step=self.step,
            loss=float(np.mean(self.curve[-recent:])),
            active=float(np.mean(self.active)),
            validation_eer=self.errors[-1] if self.errors else None,
        )
        self.active.clear()
        return progress

    def finish(self) -> Trained:
        network = copy.deepcopy(self.network).cpu()
        network.load_state_dict(self.best)
        metrics = {"steps": float(self.step), "loss": float(np.mean(self.curve[-20:]))}
        if self.errors:
            metrics["validation_eer"] = min(self.errors)
        return Trained(network.eval(), metrics, self.curve)


def split_people(data: FaceFolders, options: TrainOptions) -> tuple[FaceFolders, FaceFolders]:
    """(to learn from, to stop by); the second is empty if there were no two people for it."""
    learning, validation = data.split(options.validation, options.seed)
    if len(validation.names) < 2:  # no pair of strangers, so no error rate
        learning, validation = data, data.select(())
    if len(learning.names) < 2:
        raise ValueError(f"{len(learning.names)} people are too few to learn from.")
    return learning, validation


def schedule(step: int, options: TrainOptions) -> float:
    """The share of the highest learning rate: a line up, then half a cosine down to 0."""
    if step < options.warm_up:
        return (step + 1) / options.warm_up
    done = (step - options.warm_up) / max(1, options.steps - options.warm_up)
    return (1 + math.cos(math.pi * done)) / 2


def take_share(faces: int, rank: int, world: int) -> slice:
    """The part of a batch that a process encodes; raises ValueError if parts would differ."""
    if faces % world:
        raise ValueError(f"{world} processes cannot share a batch of {faces} faces equally.")
    size = faces // world
    return slice(rank * size, (rank + 1) * size)


if __name__ == "__main__":
    from workers.faces.train_command import main

    main()
