"""What a painting is made by: a preset, but for what a request asks otherwise."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from workers.runtime.run import InvalidInput
from workers.style.fields import MAX_SIDE, MIN_SIDE, Cost, Network, Pooling
from workers.style.layers import check_layers
from workers.style.pictures import fit
from workers.style.transfer_contract import Optimiser, Preset, Recipe, Scale, TransferRequest

FINER = 0.6  # of the steps of a scale the next one, twice as large, gets: d2l has 500 and 300
LEARNING_RATES: dict[Optimiser, float] = {"adam": 0.05, "lbfgs": 1.0}  # with another's preset

T = TypeVar("T")


@dataclass(frozen=True)
class Defaults:
    """What a preset says."""

    content_layers: Mapping[Network, tuple[str, ...]]
    style_layers: tuple[str, ...]
    content_weight: float
    style_weight: float
    tv_weight: float
    cost: Cost
    pooling: Pooling
    optimiser: Optimiser
    learning_rate: float
    size: int  # of the longer side
    steps: int
    scales: int = 1
    decay: float = 1.0  # times the learning rate, again and again:
    decay_shares: tuple[float, ...] = (1.0,)  # after this share of the steps of each scale


_LAST_OF_STAGE_4: dict[Network, tuple[str, ...]] = {"vgg16": ("relu4_3",), "vgg19": ("relu4_4",)}
# Dive into Deep Learning lists five convolutions, but the ReLU that follows writes over what
# all but the last of them gave.
_D2L_STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1")

PRESETS: dict[Preset, Defaults] = {
    "quick": Defaults(
        content_layers={"vgg16": ("relu3_3",), "vgg19": ("relu3_3",)},
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1"),
        content_weight=1.0,
        style_weight=30.0,  # chosen by looking at six pairs of pictures
        tv_weight=0.1,
        cost="ng",
        pooling="max",
        optimiser="adam",
        learning_rate=0.1,
        size=320,
        steps=160,
        scales=2,
        decay=0.1,
        decay_shares=(0.7,),
    ),
    "d2l_v1": Defaults(
        content_layers=_LAST_OF_STAGE_4,
        style_layers=_D2L_STYLE,
        content_weight=1.0,
        # The book's 1e3 belongs to layers that are not made equally loud, and hardly shows
        # here; ten times that, as its second edition has it, does.
        style_weight=1e4,
        tv_weight=10.0,
        cost="d2l",
        pooling="max",
        optimiser="adam",
        learning_rate=0.01,
        size=450,
        steps=800,
        scales=2,
        decay=0.1,
        decay_shares=(200 / 500, 100 / 300),
    ),
    "d2l_v2": Defaults(
        content_layers=_LAST_OF_STAGE_4,
        style_layers=_D2L_STYLE,
        content_weight=1.0,
        style_weight=1e4,
        tv_weight=10.0,
        cost="d2l",
        pooling="max",
        optimiser="adam",
        learning_rate=0.3,
        size=450,
        steps=500,
        decay=0.8,
        decay_shares=(50 / 500,),
    ),
    # Gatys, Ecker and Bethge (2016), section 3: average pooling, L-BFGS, these layers, and the
    # cost that is called ng here.
    "gatys": Defaults(
        content_layers={"vgg16": ("relu4_2",), "vgg19": ("relu4_2",)},
        style_layers=("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1"),
        content_weight=1.0,
        style_weight=10.0,
        tv_weight=0.0,
        cost="ng",
        pooling="average",
        optimiser="lbfgs",
        learning_rate=1.0,
        size=450,
        steps=300,
    ),
}


@dataclass(frozen=True)
class Plan:
    """All that a painting is made by, but for its pictures."""

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_weight: float
    style_weight: float  # with the strength
    tv_weight: float
    cost: Cost
    network: Network
    pooling: Pooling
    optimiser: Optimiser
    learning_rate: float  # at first
    decay: float
    decay_every: tuple[int, ...]  # steps, at each scale
    scales: tuple[Scale, ...]  # from coarse to fine

    @property
    def watched_content(self) -> tuple[str, ...]:
        """The layers that count: none if the content has no weight."""
        return self.content_layers if self.content_weight else ()

    @property
    def watched_style(self) -> tuple[str, ...]:
        """The layers that count: none if the style has no weight."""
        return self.style_layers if self.style_weight else ()

    def find_rate(self, scale: int, step: int) -> float:
        """The learning rate of a step of one of the scales, both counted from 0."""
        return self.learning_rate * float(self.decay ** (step // self.decay_every[scale]))

    def describe(self, precision: str) -> Recipe:
        """As the result tells it; `precision` is that of the network, float32 or bfloat16."""
        return Recipe.model_validate(
            {
                "content_layers": list(self.content_layers),
                "style_layers": list(self.style_layers),
                "content_weight": self.content_weight,
                "style_weight": self.style_weight,
                "tv_weight": self.tv_weight,
                "cost": self.cost,
                "network": self.network,
                "pooling": self.pooling,
                "optimiser": self.optimiser,
                "learning_rate": self.learning_rate,
                "precision": precision,
                "scales": self.scales,
            }
        )


def make_plan(request: TransferRequest, width: int, height: int) -> Plan:
    """The plan for a content of so many pixels.

    Raises InvalidInput for a layer that the network does not have, weights that are all 0, and
    shares of styles that do not fit.
    """
    own = PRESETS[request.preset]
    share_styles(request)
    optimiser = _choose(request.optimiser, own.optimiser)
    as_preset = optimiser == own.optimiser
    rate = own.learning_rate if as_preset else LEARNING_RATES[optimiser]
    scales = _make_scales(request, own, width, height)
    plan = Plan(
        content_layers=_list_once(request.content_layers, own.content_layers[request.network]),
        style_layers=_list_once(request.style_layers, own.style_layers),
        content_weight=_choose(request.content_weight, own.content_weight),
        style_weight=_choose(request.style_weight, own.style_weight) * request.strength,
        tv_weight=_choose(request.tv_weight, own.tv_weight),
        cost=_choose(request.cost, own.cost),
        network=request.network,
        pooling=_choose(request.pooling, own.pooling),
        optimiser=optimiser,
        learning_rate=_choose(request.learning_rate, rate),
        decay=own.decay if as_preset else 1.0,
        decay_every=_shrink_decay(own.decay_shares, scales),
        scales=scales,
    )
    _check(plan)
    return plan


def share_styles(request: TransferRequest) -> tuple[float, ...]:
    """How much each style counts; the sum is 1. Raises InvalidInput if that cannot be."""
    weights = request.style_weights
    if weights is None:
        return (1 / len(request.styles),) * len(request.styles)
    if len(weights) != len(request.styles):
        raise InvalidInput(
            f"{len(request.styles)} styles need as many style_weights, not {len(weights)}."
        )
    if not any(weights):
        raise InvalidInput("One of style_weights must be more than 0.")
    return tuple(one / sum(weights) for one in weights)


def fit_style(width: int, height: int, painted: int, style_scale: float) -> tuple[int, int]:
    """(width, height) at which a style of such a shape is looked at.

    `painted`: pixels of the longer side of what is painted at this scale.
    """
    return fit(width, height, min(MAX_SIDE, max(1, round(painted * style_scale))))


def _choose(asked: T | None, own: T) -> T:
    return own if asked is None else asked


def _list_once(asked: Sequence[str] | None, own: tuple[str, ...]) -> tuple[str, ...]:
    """In the order asked for; a layer that is named twice counts once."""
    return tuple(dict.fromkeys(_choose(asked, own)))


def _make_scales(
    request: TransferRequest, own: Defaults, width: int, height: int
) -> tuple[Scale, ...]:
    """From coarse to fine, each twice as large; none too small or without a step."""
    size = _choose(request.size, min(own.size, max(width, height)))
    steps = _choose(request.steps, own.steps)
    count = min(_choose(request.scales, own.scales), steps)
    while count > 1 and size / 2 ** (count - 1) < MIN_SIDE:
        count -= 1
    sizes = [round(size / 2**halvings) for halvings in reversed(range(count))]
    fitted = [fit(width, height, longer) for longer in sizes]
    return tuple(
        Scale(width=wide, height=high, steps=share)
        for (wide, high), share in zip(fitted, _split(steps, count), strict=True)
    )


def _split(steps: int, count: int) -> list[int]:
    """Steps of each scale, at least 1, their sum as given."""
    parts: list[int] = []
    for place in range(count):
        later = count - place - 1
        share = 1 / sum(FINER**further for further in range(later + 1))
        left = steps - sum(parts)
        parts.append(min(max(1, round(share * left)), left - later))
    return parts


def _shrink_decay(shares: tuple[float, ...], scales: tuple[Scale, ...]) -> tuple[int, ...]:
    """Steps between decays at each scale; further scales decay as the last that is known."""
    known = [shares[min(place, len(shares) - 1)] for place in range(len(scales))]
    return tuple(max(1, round(s * one.steps)) for s, one in zip(known, scales, strict=True))


def _check(plan: Plan) -> None:
    try:
        check_layers(plan.network, (*plan.content_layers, *plan.style_layers))
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if not (plan.content_weight or plan.style_weight or plan.tv_weight):
        raise InvalidInput(
            "All weights are 0: give content_weight, style_weight (times strength) or tv_weight."
        )
