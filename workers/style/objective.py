"""What is made small: the weighted losses of pictures that are painted together."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from workers.style.features import Features
from workers.style.fields import Precision
from workers.style.losses import find_gram, measure_content, measure_style, measure_tv
from workers.style.pictures import denormalise
from workers.style.recipe import Plan
from workers.style.stops import Stop


@dataclass(frozen=True)
class Targets:
    """What one picture should look like to the network, at one size."""

    content: dict[str, Tensor]  # (1, C, h, w) by layer
    grams: dict[str, Tensor]  # (1, C, C) by layer
    region: Tensor | None  # (1, 1, H, W) in [0, 1]: where there is painting


def measure(
    pictures: Tensor,
    plans: Sequence[Plan],
    targets: Sequence[Targets],
    features: Features,
    precision: Precision,
    watch: Stop,
) -> Tensor:
    """Content, style and total variation of each of `normalise`d (N, 3, H, W), weighted: (N, 3).

    In 64 bits, so that any weights are numbers, also times those that bring them back to 1.

    The plans watch the same layers and have the same cost; either all have a region, or none. In
    one, content is the mean over the region, and total variation, which is 0 elsewhere or
    constant, is divided by its share of the picture, so that the weights mean what they do
    without one.
    """
    content, style = plans[0].watched_content, plans[0].watched_style
    layers = {*content, *style}
    regions = [one.region for one in targets if one.region is not None]
    region = torch.cat(regions) if regions else None
    apart = manner = pictures.new_zeros(len(pictures))
    seen = features.walk(denormalise(pictures), layers, precision, watch) if layers else ()
    for name, maps in seen:  # what is made of a layer's maps comes before the next layer's
        if name in content:
            apart = apart + _compare(maps, [one.content[name] for one in targets], region)
        if name in style:
            gram = find_gram(maps, _shrink(region, maps))
            wanted = torch.cat([one.grams[name] for one in targets])
            manner = manner + measure_style(gram, wanted, plans[0].cost)
    tv = measure_tv(pictures)
    if region is not None:
        tv = tv / region.mean(dim=(1, 2, 3))
    weights = [[one.content_weight, one.style_weight, one.tv_weight] for one in plans]
    losses = torch.stack([apart, manner, tv], dim=1).double()
    return losses * losses.new_tensor(weights)


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
