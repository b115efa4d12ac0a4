"""A training of a one-pass network: its optimiser, its losses, its checkpoint, step by step."""

import copy
import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor, distributed, nn
from torch.nn.parallel import DistributedDataParallel

from workers.runtime.checkpoints import read_checkpoint
from workers.runtime.spooled_data import Watch
from workers.runtime.tensors import write_parts
from workers.runtime.training import fix_chance, make_optimiser, pack_optimiser, unpack_optimiser
from workers.style.contents import Contents, watch_nothing
from workers.style.convolution import watch_gradient
from workers.style.features import Features
from workers.style.losses import find_gram, measure_content, measure_style, measure_tv
from workers.style.one_pass import OnePass
from workers.style.pictures import normalise
from workers.style.precision import choose_precision
from workers.style.recipe import fit_style
from workers.style.stops import Stop, ignore
from workers.style.style_targets import find_styles
from workers.style.train_options import Diverged, Point, Progress, Trained, TrainOptions, schedule
from workers.style.windows import Pictures, choose_rows, draw_windows

CPU = torch.device("cpu")
LEAST = 1e-2  # size of Gram matrices, where the style is flat: those of paintings are 0.3 to 17


class Training:
    """One run: the network, the optimiser, and how far they are."""

    def __init__(
        self,
        options: TrainOptions,
        style: Image.Image,
        data: Contents,
        features: Features,
        checkpoint: Path,
        device: torch.device = CPU,
        prepare: Watch = watch_nothing,
        watch: Stop = ignore,
    ) -> None:
        """`prepare` is called before each picture that is decoded, `watch` between layers.

        Both may raise.
        """
        self.options, self.features = options, features
        self.checkpoint, self.device = checkpoint, device
        self.rank, self.world = 0, 1
        if distributed.is_initialized():
            self.rank, self.world = distributed.get_rank(), distributed.get_world_size()
        if self.world > options.batch:
            raise ValueError(f"{self.world} processes cannot share {options.batch} squares.")
        self.precision = choose_precision("auto", device)
        self.origin = describe_origin(options, style, data)
        size = fit_style(*style.size, options.style_size, style_scale=1.0)
        wanted = style.resize(size, Image.Resampling.LANCZOS)
        layers = options.style_layers  # for each its Gram matrix (1, C, C)
        self.grams = find_styles(features, [wanted], [1.0], layers, self.precision, watch)
        self.sizes = {layer: measure_size(gram) for layer, gram in self.grams.items()}
        self.pictures = Pictures(data, options.window, watch=prepare)
        with fix_chance((options.seed,), CPU):
            self.network = OnePass(options.network)
        self.network.to(device).to(memory_format=torch.channels_last)
        self.optimiser = make_optimiser(
            self.network, "adamw", options.learning_rate, momentum=0.0, weight_decay=0.0
        )
        self.joint: nn.Module = self.network
        if self.world > 1:
            self.joint = DistributedDataParallel(self.network)
        self.step = 0  # those done
        self.history: list[Point] = []
        # (3,) of content, style and total variation, since the last point of the history
        self.sums = torch.zeros(3, dtype=torch.float64, device=device)

    @property
    def unwritten(self) -> int:
        """Steps since the last point of the history."""
        return self.step - (self.history[-1].step if self.history else 0)

    def is_over(self) -> bool:
        return self.step >= self.options.steps and not self.unwritten

    def has_seen_all(self) -> bool:
        """Whether it is time for a point of the history."""
        return self.unwritten == self.options.span or self.step == self.options.steps

    def advance(self, watch: Stop = ignore) -> None:
        """One step of the optimiser; `watch` is called between layers, and may raise."""
        self.optimiser.zero_grad()
        losses = self._measure(self._draw(), watch)
        # the processes' gradients, parts of a sum, are averaged
        (losses.sum() * self.world).backward()  # type: ignore[no-untyped-call]
        for group in self.optimiser.param_groups:
            group["lr"] = schedule(self.step, self.options)
        self.optimiser.step()
        found = losses.detach().double()
        if self.world > 1:
            distributed.all_reduce(found)
        self.sums += found
        self.step += 1

    def _draw(self) -> Tensor:
        """The squares of this step; of several processes each has its part of them."""
        options = self.options
        rows = choose_rows(len(self.pictures), options.batch, options.seed, self.step)
        places = np.array_split(np.arange(options.batch), self.world)[self.rank].tolist()
        mine = [rows[place] for place in places]
        return draw_windows(self.pictures, mine, places, options.seed, self.step).to(self.device)

    def _measure(self, pixels: Tensor, watch: Stop) -> Tensor:
        """The losses (3,), each with its weight: parts of the means of a whole step."""
        options, look = self.options, self.features.look
        with torch.no_grad():
            wanted = look(pixels, [options.content_layer], self.precision, watch)
        half = self.precision == "bfloat16"
        autocast = torch.autocast(self.device.type, torch.bfloat16, half)
        with watch_layers(self.network, watch), autocast:
            painted = self.joint(pixels)
        painted = painted.float()
        found = look(painted, options.looked_at, self.precision, watch)
        content = measure_content(found[options.content_layer], wanted[options.content_layer])
        style = [
            measure_style(find_gram(found[layer]), gram, "ng") / self.sizes[layer]
            for layer, gram in self.grams.items()
        ]
        return (
            torch.stack(
                [
                    options.content_weight * content,
                    options.style_weight * torch.stack(style).sum(dim=0),
                    options.tv_weight * measure_tv(normalise(painted)),
                ]
            ).sum(dim=1)
            / options.batch
        )

    def end_epoch(self, watch: Stop = ignore) -> None:
        """Write a point of the history; `watch` is called before. Raises Diverged."""
        watch()
        self.history.append(self._mean())
        self.sums.zero_()

    def _mean(self) -> Point:
        """Of the steps since the last point. Raises Diverged."""
        means = self.sums / max(1, self.unwritten)
        if not means.isfinite().all():
            raise Diverged("The loss is no number any more. Lower `learning_rate` or the weights.")
        return Point(self.step, *means.tolist())

    def describe(self) -> Progress:
        """Raises Diverged."""
        newest = self.history[-1] if self.history else None
        return Progress(
            fraction=self.step / self.options.steps,
            step=self.step,
            steps=self.options.steps,
            losses=self._mean() if self.unwritten else newest,
            history=tuple(self.history),
        )

    def save(self) -> None:
        """Replace the checkpoint, whole or not at all. Raises Diverged instead."""
        self._mean()
        if self.rank:
            return
        parts = {
            "network": self.network.state_dict(),
            "sums": {"losses": self.sums},
            **pack_optimiser(self.optimiser),
        }
        about = {
            "origin": self.origin,
            "step": self.step,
            "history": [asdict(point) for point in self.history],
        }
        write_parts(self.checkpoint, parts, about)

    def resume(self) -> None:
        """Go on from the checkpoint, if there is one. Raises UnusableCheckpoint."""
        if not self.checkpoint.exists():
            return
        parts, about = read_checkpoint(self.checkpoint, self.origin)
        self.network.load_state_dict(parts.pop("network"))
        self.sums.copy_(parts.pop("sums")["losses"])
        unpack_optimiser(self.optimiser, parts)
        self.step = about["step"]
        self.history = [Point(**point) for point in about["history"]]

    def finish(self) -> Trained:
        return Trained(copy.deepcopy(self.network).cpu().eval(), tuple(self.history))


@contextmanager
def watch_layers(network: nn.Module, watch: Stop) -> Iterator[None]:
    """In a pass that begins here, `watch` is called after every layer, forward and backward."""

    def look(_layer: nn.Module, _inputs: Any, maps: Tensor) -> None:
        watch()
        watch_gradient(maps, watch)

    layers = [module for module in network.modules() if not list(module.children())]
    hooks = [layer.register_forward_hook(look) for layer in layers]
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def describe_origin(options: TrainOptions, style: Image.Image, data: Contents) -> dict[str, Any]:
    """What a checkpoint must have been begun with; the same before and after JSON."""
    return {
        "options": asdict(options) | {"style_layers": list(options.style_layers)},
        "style": hashlib.sha256(repr(style.size).encode() + style.tobytes()).hexdigest(),
        "data": data.fingerprint(),
    }


def measure_size(gram: Tensor) -> Tensor:
    """(1,) of a Gram matrix (1, C, C): how far a picture without any style is away from it.

    Gram matrices of bright contrasts are many times those of others: relative to their size, one
    weight suits all styles and layers.
    """
    return measure_style(torch.zeros_like(gram), gram, "ng").clamp(min=LEAST)
