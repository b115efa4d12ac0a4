"""A training of segmentation: its network, its optimiser, its checkpoint, step by step."""

import copy
import math
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workers.runtime.checkpoints import read_checkpoint
from workers.runtime.tensors import copy_weights, write_parts
from workers.runtime.training import (
    as_one_batch,
    digest,
    fix_chance,
    hold_back,
    make_optimiser,
    move_average,
    pack_optimiser,
    unpack_optimiser,
)
from workers.segment.batches import Batch, Pictures, draw_batch, draw_order
from workers.segment.fcn import FCN, start_from
from workers.segment.labelled import LabelledPictures, Watch, watch_nothing
from workers.segment.loss import balance, segmentation_loss, weigh_pixels
from workers.segment.scores import ignore
from workers.segment.train_options import (
    Diverged,
    Epoch,
    Progress,
    Trained,
    TrainOptions,
    choose_resolution,
    list_looks,
    schedule,
    split_parts,
)
from workers.segment.validation import measure_network
from workers.segment.weights import make_network

CPU = torch.device("cpu")


class Training:
    """One run: the network of its stage, the optimiser, and how far they are."""

    def __init__(
        self,
        options: TrainOptions,
        data: LabelledPictures,
        checkpoint: Path,
        device: torch.device = CPU,
        encoder: Mapping[str, Tensor] | None = None,
        prepare: Watch = watch_nothing,
    ) -> None:
        """`prepare` is called before each picture that is decoded, and may raise."""
        learning, held = split_parts(data, options)
        self.options, self.checkpoint, self.device = options, checkpoint, device
        self.resolution = options.resolution or choose_resolution(learning)
        self.learning = Pictures(learning, self.resolution, watch=prepare)
        self.held = Pictures(held, watch=prepare) if held else None
        self.weights: Tensor | None = None  # (C,) what a pixel of each class counts
        if options.balanced:
            self.weights = balance(torch.from_numpy(learning.count())).to(device)
        self.origin: dict[str, Any] = {
            "options": asdict(options) | {"window": list(options.window)},  # as JSON has it
            "data": data.fingerprint(),
            "encoder": digest(encoder) if encoder is not None else "",
        }
        self.history: list[Epoch] = []
        self.rank, self.world = 0, 1
        if distributed.is_initialized():
            self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        self.start_stage(make_network(options.stages[0], options.seed, encoder))
        self.start_epoch()

    @property
    def stage(self) -> int:
        return min(len(self.history) // self.options.epochs, len(self.options.stages) - 1)

    def start_stage(self, network: FCN) -> None:
        """Train this network from now on."""
        self.network = network.to(self.device)
        self.frozen = network.encoder.stages[: self.options.frozen]
        self.frozen.requires_grad_(False)
        self.average = copy.deepcopy(self.network).eval()
        self.best = copy_weights(self.average)
        self.optimiser = make_optimiser(
            self.network,
            self.options.optimiser,
            self.options.learning_rate,
            self.options.momentum,
            self.options.weight_decay,
        )
        self.joint: nn.Module = self.network
        if self.world > 1:
            if self.device.type == "cuda":  # which alone can normalise over the processes
                self.network = as_one_batch(self.network)
            self.joint = DistributedDataParallel(self.network)

    def start_epoch(self) -> None:
        options = self.options
        self.order = draw_order(len(self.learning), options.batch, options.seed, len(self.history))
        shares = self.world * options.parts
        if self.order.shape[1] < shares:
            raise ValueError(f"{self.order.shape[1]} pictures of a batch cannot be {shares} parts.")
        self.place = 0  # batches done in this epoch
        self.sum = torch.zeros((), dtype=torch.float64, device=self.device)  # of their losses

    @property
    def stride(self) -> int:
        return self.options.stages[self.stage].stride

    @property
    def step(self) -> int:
        return len(self.history) * len(self.order) + self.place

    def has_seen_all(self) -> bool:
        return self.place == len(self.order)

    def is_over(self) -> bool:
        return len(self.history) >= self.options.epochs * len(self.options.stages)

    def advance(self, watch: Callable[[], None] = ignore) -> None:
        """One step of the optimiser; `watch` is called between parts, and may raise."""
        self.network.train()
        self.frozen.eval()
        self.optimiser.zero_grad()
        loss = self._accumulate(self.order[self.place], watch)
        if not self.options.summed:
            nn.utils.clip_grad_norm_(self.network.parameters(), self.options.clip)
        step = self.step - self.stage * self.options.epochs * len(self.order)
        for group in self.optimiser.param_groups:
            group["lr"] = schedule(step, len(self.order), self.stage, self.options)
        self.optimiser.step()
        self.sum += loss
        self.place += 1
        if self.options.averaging:
            # the first weights, which are chance, are soon forgotten
            kept = min(self.options.averaging, (1 + step) / (10 + step))
            move_average(self.average, self.network, 1 - kept)

    def _accumulate(self, rows: np.ndarray, watch: Callable[[], None]) -> Tensor:
        """The gradients of a batch, part by part; answers with its loss ().

        Of several processes each has its parts, and gets the gradients and the loss of all.
        """
        options = self.options
        parts = np.array_split(rows, self.world * options.parts)[self.rank :: self.world]
        chance = (options.seed, len(self.history))
        batches = [
            draw_batch(self.learning, part.tolist(), options.window, options.augmentation, *chance)
            for part in parts
        ]
        weights = self.weights.cpu() if self.weights is not None else None
        pixels = sum((weigh_pixels(one.truth, weights) for one in batches), torch.zeros(()))
        pixels = pixels.to(self.device)
        self._add_up(pixels)
        share = torch.ones_like(pixels) if options.summed else 1 / pixels.clamp(min=1e-12)
        loss = torch.zeros_like(self.sum)
        for number, batch in enumerate(batches):
            if number:
                watch()
            last = number == len(batches) - 1
            with nullcontext() if last else hold_back(self.joint):
                loss += self._learn(batch.to(self.device), share, number)
        return self._add_up(loss)

    def _add_up(self, one: Tensor) -> Tensor:
        """That of all processes together."""
        if self.world > 1:
            distributed.all_reduce(one)
        return one

    def _learn(self, batch: Batch, share: Tensor, number: int) -> Tensor:
        """Add a part's gradients; answers with its share () of the loss."""
        half = self.options.half and self.device.type == "cuda"
        # what dropout draws depends on the step and the part of its batch alone
        place = (self.options.seed, self.step, number * self.world + self.rank)
        with fix_chance(place, self.device), torch.autocast(self.device.type, torch.bfloat16, half):
            scores = self.joint(batch.pixels)
        total = segmentation_loss(scores.float(), batch.truth, self.weights).total * share
        # the processes' gradients, parts of a sum, are averaged
        (total * self.world).backward()  # type: ignore[no-untyped-call]
        return total.detach().double()

    def end_epoch(self, watch: Callable[[], None]) -> None:
        """Look at the validation pictures if it is time; keep the weights if none were better.

        After the last epoch of a stage the next one starts with the best weights.
        """
        loss, stage, stride = self._mean_loss(), self.stage, self.stride
        if not self.options.averaging:
            move_average(self.average, self.network, 1.0)
        done, looks = len(self.history) + 1, list_looks(self.history, stride)
        ends = done % self.options.epochs == 0
        look = None
        if self.held and (done % self.options.check_every == 0 or ends):
            look = self._look(self.held, watch)
        if self.held is None or (look is not None and look >= max(looks, default=0.0)):
            self.best = copy_weights(self.average)
        self.history.append(Epoch(stride, loss, look))
        if self.stage > stage:
            network = make_network(self.options.stages[self.stage], self.options.seed)
            start_from(network, self.best)
            self.start_stage(network)
        self.start_epoch()

    def _look(self, held: Pictures, watch: Callable[[], None]) -> float:
        """The mean IoU of the average of the weights, told by the first process."""
        found = torch.zeros((), dtype=torch.float64, device=self.device)
        if self.rank == 0:
            found += measure_network(self.average, held, self.resolution, watch).mean_iou
        if self.world > 1:
            distributed.broadcast(found, 0)
        return found.item()

    def _mean_loss(self) -> float:
        """In this epoch so far. Raises Diverged."""
        mean = self.sum.item() / max(1, self.place)
        if not math.isfinite(mean):
            raise Diverged(f"The loss is no number any more. {advise(self.options)}")
        return mean

    def describe(self) -> Progress:
        """Raises Diverged."""
        ended = self.place == 0 and bool(self.history)
        epochs = self.options.epochs * len(self.options.stages)
        return Progress(
            fraction=self.step / (epochs * len(self.order)),
            stride=self.stride,
            epoch=len(self.history) + (not ended),
            epochs=epochs,
            loss=self.history[-1].loss if ended else self._mean_loss(),
            history=tuple(self.history),
        )

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all. Raises Diverged instead."""
        self._mean_loss()
        if self.rank:
            return
        parts = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "best": self.best,
            "sum": {"loss": self.sum},
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
        self.history = [Epoch(**epoch) for epoch in about["history"]]
        if self.stage:
            self.start_stage(make_network(self.options.stages[self.stage], self.options.seed))
        self.network.load_state_dict(parts.pop("network"))
        self.average.load_state_dict(parts.pop("average"))
        self.best = parts.pop("best")
        self.start_epoch()
        self.place = about["place"]
        self.sum.copy_(parts.pop("sum")["loss"])
        unpack_optimiser(self.optimiser, parts)

    def finish(self) -> Trained:
        network = copy.deepcopy(self.average).cpu()
        network.load_state_dict(self.best)
        looks = list_looks(self.history, self.stride)
        best = len(self.history)
        if looks:  # of equal ones the last
            best = max(
                number
                for number, epoch in enumerate(self.history, start=1)
                if (epoch.stride, epoch.mean_iou) == (self.stride, max(looks))
            )
        return Trained(network.eval(), tuple(self.history), best, self.resolution)


def advise(options: TrainOptions) -> str:
    """What may help a training that diverged."""
    if options.summed:
        return "Lower `learning_rate`: for a sum over pixels it must be very small."
    if options.optimiser == "sgd":
        return "Lower `learning_rate`, or use the `optimiser` adamw."
    return "Lower `learning_rate`."
