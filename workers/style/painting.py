"""Paintings at work: each a picture that is optimised, several of them in one pass."""

import hashlib
import math
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import torch
from PIL import Image
from torch import Tensor

from workers.runtime.checkpoints import read_checkpoint
from workers.runtime.run import InvalidInput
from workers.runtime.tensors import write_parts
from workers.style.canvas import Canvas, resize
from workers.style.descent import Measure, Measured, NoWayBack, make_descent
from workers.style.features import Features
from workers.style.fields import Losses, Precision
from workers.style.objective import Targets, measure
from workers.style.pictures import denormalise, normalise, to_image
from workers.style.recipe import Plan, fit_style
from workers.style.stops import Stop
from workers.style.style_targets import find_styles

DIVERGED = (
    "The painting diverged: its losses are no numbers any more. Lower learning_rate, or the weight "
    "that is the largest."
)
NOISE = 0.5  # how wide it is, in standard deviations of ImageNet's pixels
CPU = torch.device("cpu")
OWN = "painting"  # the part of a checkpoint beside those of the optimiser


@dataclass(frozen=True)
class Subject:
    """What is painted, and from what; pictures are RGB, of any size."""

    content: Image.Image
    styles: tuple[Image.Image, ...]
    shares: tuple[float, ...]  # of the styles; their sum is 1
    style_scale: float = 1.0
    region: Image.Image | None = None  # "L", not black: the lighter, the more there is painting
    start: Literal["content", "noise"] = "content"
    seed: int = 0


@dataclass(frozen=True)
class Progress:
    """How far a painting is, after its first step."""

    step: int  # of all scales, that are done
    steps: int
    losses: Losses  # weighted, before the last step
    fraction: float  # of the work, which grows with the pixels


class Painting:
    """One picture that is painted from coarse to fine; see `paint`.

    Between steps it can be shown, and saved to be resumed.
    """

    def __init__(
        self, subject: Subject, plan: Plan, precision: Precision, device: torch.device = CPU
    ) -> None:
        self.plan, self.precision, self.device = plan, precision, device
        self._subject = subject
        self.step = 0
        self.history: list[Losses] = []  # before each step
        self.failed: InvalidInput | None = None  # why it ended before all steps were done
        self._open(0)
        if subject.start == "noise":
            self.canvas.begin_as(self._draw_noise())

    def _open(self, scale: int) -> None:
        """Begin one of the plan's scales, with the content."""
        own = self._subject
        self.scale = scale
        self.canvas = Canvas(own.content, own.region, self.plan.scales[scale], self.device)
        self.descent = make_descent(self.plan.optimiser, self.canvas.picture)
        self.targets: Targets | None = None

    def _draw_noise(self) -> Tensor:
        """The same on every device."""
        chance = torch.Generator().manual_seed(self._subject.seed)
        size = self.plan.scales[0]
        noise = torch.randn((1, 3, size.height, size.width), generator=chance)
        return noise.mul_(NOISE).to(self.device)

    @property
    def steps(self) -> int:
        return sum(one.steps for one in self.plan.scales)

    @property
    def key(self) -> Hashable:
        """What paintings have in common that one pass can advance together.

        L-BFGS measures a picture several times in a step, so one of its paintings goes alone.
        """
        plan = self.plan
        if plan.optimiser == "lbfgs":
            return self
        size, masked = self.canvas.picture.shape, self.canvas.region is not None
        network = plan.network, plan.pooling, self.precision
        return size, masked, network, plan.watched_content, plan.watched_style, plan.cost

    @property
    def start_losses(self) -> Losses | None:
        """Before the first step at the size that is painted now; None until that step is done."""
        before = self._count_before()
        return self.history[before] if self.step > before else None

    def _count_before(self) -> int:
        """Steps of the scales that are done."""
        return sum(one.steps for one in self.plan.scales[: self.scale])

    def is_over(self) -> bool:
        return self.failed is not None or self.step == self.steps

    def describe(self) -> Progress:
        """After the first step."""
        scales = self.plan.scales
        work = [one.steps * one.height * one.width for one in scales]
        here = self.step - self._count_before()
        done = sum(work[: self.scale]) + work[self.scale] * here / scales[self.scale].steps
        return Progress(
            step=self.step,
            steps=self.steps,
            losses=self.history[-1],
            fraction=done / sum(work),
        )

    def preview(self) -> Image.Image:
        """RGB, as it is now, at the size that is painted now."""
        return to_image(self.canvas.show())

    def render(self) -> Image.Image:
        """RGB, when it is over. Raises `failed`."""
        if self.failed is not None:
            raise self.failed
        return self.preview()

    @torch.no_grad()
    def find_targets(self, features: Features, precision: Precision, watch: Stop) -> Targets:
        """What the picture should look like at the size that is painted now."""
        own, plan, canvas = self._subject, self.plan, self.canvas
        longer = max(canvas.scale.width, canvas.scale.height)
        styles = [resize(s, fit_style(*s.size, longer, own.style_scale)) for s in own.styles]
        grams = find_styles(features, styles, own.shares, plan.watched_style, precision, watch)
        layers, content = plan.watched_content, denormalise(canvas.content)
        maps = features.look(content, layers, precision, watch) if layers else {}
        return Targets(maps, grams, canvas.region)

    def advance(self, measure_now: Measure) -> None:
        """One step of the optimiser, and to the next scale after the last of one.

        If the losses are no numbers, the painting has `failed`.
        """
        place, scale = self.step - self._count_before(), self.plan.scales[self.scale]
        rate, last = self.plan.find_rate(self.scale, place), place == scale.steps - 1
        try:
            found = self.descent.step(measure_now, rate)
        except NoWayBack:
            self.failed = InvalidInput(DIVERGED)
            return
        self.history.append(make_losses(*found.losses))
        self.step += 1
        if last and not self.is_over():
            painted = self.canvas.picture.detach()  # which the next mixes with the content
            self._open(self.scale + 1)
            self.canvas.begin_as(painted)

    def save(self, path: Path) -> None:
        """All that `resume` needs, in place of what is at the path."""
        own = {
            "picture": self.canvas.picture.detach(),
            "history": torch.tensor(
                [[one.content, one.style, one.tv] for one in self.history], dtype=torch.float64
            ).view(-1, 3),
        }
        about = {"origin": self._origin, "step": self.step, "scale": self.scale}
        write_parts(path, {OWN: own, **self.descent.pack()}, about)

    def resume(self, path: Path) -> None:
        """Go on from what was saved. Raises UnusableCheckpoint if it is of another painting."""
        parts, about = read_checkpoint(path, self._origin)
        self._open(about["scale"])
        with torch.no_grad():
            self.canvas.picture.copy_(parts[OWN]["picture"])
        self.descent.unpack(parts)
        self.step = about["step"]
        self.history = [make_losses(*one) for one in parts[OWN]["history"].tolist()]

    @cached_property
    def _origin(self) -> dict[str, Any]:
        """Of all that decides what it becomes."""
        own, digest = self._subject, hashlib.sha256()
        for image in (own.content, *own.styles, *[one for one in [own.region] if one is not None]):
            digest.update(repr(image.size).encode() + image.tobytes())
        rest = self.plan, self.precision, own.shares, own.style_scale, own.start, own.seed
        digest.update(repr(rest).encode())
        return {"digest": digest.hexdigest()}


def paint(paintings: Sequence[Painting], features: Features, watch: Stop) -> None:
    """One step of each, in one pass of the network; all have the same `key` and are not over.

    What comes out is as if each were painted alone. One that diverges has `failed`, and the
    others go on. `watch` is called often and may raise: then no step was made.
    """
    if len(paintings) == 1:
        paintings[0].advance(lambda: _measure(paintings, features, watch)[0])
        return
    found = iter(_measure(paintings, features, watch))
    for one in paintings:
        one.advance(lambda: next(found))


def _measure(paintings: Sequence[Painting], features: Features, watch: Stop) -> list[Measured]:
    precision, plans = paintings[0].precision, [one.plan for one in paintings]
    targets = [_prepare(one, features, watch) for one in paintings]
    shown = torch.cat([one.canvas.look() for one in paintings])
    losses = measure(shown, plans, targets, features, precision, watch)
    pictures = [one.canvas.picture for one in paintings]
    values = losses.sum(dim=1) * losses.new_tensor([_find_unit(one) for one in paintings])
    gradients = torch.autograd.grad(values.sum(), pictures)
    rows = zip(losses.tolist(), values.tolist(), gradients, strict=True)
    return [Measured(own, value, gradient) for own, value, gradient in rows]


def _prepare(painting: Painting, features: Features, watch: Stop) -> Targets:
    if painting.targets is None:
        painting.targets = painting.find_targets(features, painting.precision, watch)
    return painting.targets


def _find_unit(painting: Painting) -> float:
    """What the loss is multiplied by, so that pixels have gradients of about 1 at any weights.

    The means over pixels have tiny gradients, which Adam's epsilon would drown.
    """
    plan = painting.plan
    largest = max(plan.content_weight, plan.style_weight, plan.tv_weight)
    return painting.canvas.picture.numel() / largest


@torch.no_grad()
def measure_painting(painting: Painting, features: Features, watch: Stop) -> Losses:
    """Of the picture as it is shown now, so within [0, 1], computed in float32.

    Raises InvalidInput if they are no numbers.
    """
    targets = painting.targets
    if targets is None or painting.precision != "float32":
        targets = painting.find_targets(features, "float32", watch)
    shown = normalise(painting.canvas.show())
    [losses] = measure(shown, [painting.plan], [targets], features, "float32", watch).tolist()
    if not math.isfinite(sum(losses)):
        raise InvalidInput(DIVERGED)
    return make_losses(*losses)


def make_losses(content: float, style: float, tv: float) -> Losses:
    return Losses(content=content, style=style, tv=tv, total=content + style + tv)
