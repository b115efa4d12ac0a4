"""What is made small: the weighted losses of pictures that are painted together."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from workers.style.features import Features, Precision
from workers.style.losses import find_gram, measure_content, measure_style, measure_tv
from workers.style.pictures import denormalise
from workers.style.recipe import Plan


@dataclass(frozen=True)
class Targets:
    """What one picture should look like to the network, at one size."""

    content: dict[str, Tensor]  # (1, C, h, w) by layer
    grams: dict[str, Tensor]  # (1, C, C) by layer
    region: Tensor | None  # (1, 1, H, W) in [0, 1]: where there is painting


@torch.no_grad()
def find_targets(
    features: Features,
    plan: Plan,
    content: Tensor,
    grams: dict[str, Tensor],
    region: Tensor | None,
    precision: Precision,
    watch: Callable[[], None],
) -> Targets:
    """`content`: a `normalise`d picture (1, 3, H, W); `grams`: of the styles."""
    layers = plan.watched[0]
    maps = features.look(denormalise(content), layers, precision, watch) if layers else {}
    return Targets(maps, grams, region)


def measure(
    pictures: Tensor,
    plans: Sequence[Plan],
    targets: Sequence[Targets],
    features: Features,
    precision: Precision,
    watch: Callable[[], None],
) -> Tensor:
    """Content, style and total variation of each of `normalise`d (N, 3, H, W), weighted: (N, 3).

    The plans watch the same layers and have the same cost; either all have a region, or none. In
    one, content is the mean over the region, and total variation, which is 0 elsewhere or
    constant, is divided by its share of the picture, so that the weights mean what they do
    without one.
    """
    content, style = plans[0].watched
    layers = [*content, *(name for name in style if name not in content)]
    maps = features.look(denormalise(pictures), layers, precision, watch) if layers else {}
    regions = [one.region for one in targets if one.region is not None]
    region = torch.cat(regions) if regions else None
    zero = pictures.new_zeros(len(pictures))
    apart = sum(
        (_compare(maps[name], [one.content[name] for one in targets], region) for name in content),
        zero,
    )
    manner = zero
    for name in style:
        gram = find_gram(maps[name], _shrink(region, maps[name]))
        wanted = torch.cat([one.grams[name] for one in targets])
        manner = manner + measure_style(gram, wanted, plans[0].cost)
    tv = measure_tv(pictures)
    if region is not None:
        tv = tv / region.mean(dim=(1, 2, 3))
    weights = [[one.content_weight, one.style_weight, one.tv_weight] for one in plans]
    return torch.stack([apart, manner, tv], dim=1) * pictures.new_tensor(weights)


def _compare(found: Tensor, wanted: Sequence[Tensor], region: Tensor | None) -> Tensor:
    """(N,): the content loss of a layer, over the region."""
    targets = torch.cat(list(wanted))
    shrunk = _shrink(region, found)
    if shrunk is None:
        return measure_content(found, targets)
    weights = (shrunk / shrunk.mean(dim=(2, 3), keepdim=True)).sqrt()
    return measure_content(found.float() * weights, targets.float() * weights)


def _shrink(region: Tensor | None, maps: Tensor) -> Tensor | None:
    """As large as the maps: each place has the mean of what it covers."""
    if region is None:
        return None
    return functional.adaptive_avg_pool2d(region, (maps.shape[2], maps.shape[3]))
