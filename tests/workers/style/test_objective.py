"""What is made small: content, style and total variation, each with its weight."""

import numpy as np
import pytest
import torch

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from tests.workers.style.networks import draw_features
from tests.workers.style.painted import draw_half_mask, make_painting
from workers.style.losses import find_gram, measure_content, measure_style, measure_tv
from workers.style.objective import measure
from workers.style.pictures import normalise, to_tensor
from workers.style.stops import ignore


@pytest.fixture(scope="module")
def features():
    return draw_features()


def weigh(features, picture, *paintings):
    """Content, style and total variation of one picture for each of the paintings."""
    pictures = torch.cat([normalise(to_tensor(picture))] * len(paintings))
    targets = [one.find_targets(features, "float32", ignore) for one in paintings]
    plans = [one.plan for one in paintings]
    return measure(pictures, plans, targets, features, "float32", ignore).float()


@pytest.mark.parametrize("cost", ["d2l", "ng"])
def test_each_loss_is_the_sum_over_its_layers_times_its_weight(features, cost):
    content, style, picture = draw_scene(), draw_stripes(), draw_noise(64, 48)
    layers = {"content_layers": ["relu2_1", "pool3"], "style_layers": ["relu1_2", "conv3_1"]}
    weights = {"content_weight": 2.0, "style_weight": 3.0, "strength": 5.0, "tv_weight": 7.0}
    painting = make_painting(content, (style,), scales=1, cost=cost, **layers, **weights)
    [found] = weigh(features, picture, painting)
    wanted = features.look(to_tensor(content), layers["content_layers"])
    seen = features.look(to_tensor(picture), [*layers["content_layers"], *layers["style_layers"]])
    grams = features.look(to_tensor(style), layers["style_layers"])
    apart = sum(measure_content(seen[name], one) for name, one in wanted.items())
    manner = sum(
        measure_style(find_gram(seen[name]), find_gram(one), cost) for name, one in grams.items()
    )
    tv = measure_tv(normalise(to_tensor(picture)))
    torch.testing.assert_close(found, torch.cat([2 * apart, 15 * manner, 7 * tv]))


def test_a_layer_can_be_both_contents_and_styles(features):
    painting = make_painting(content_layers=["relu2_1"], style_layers=["relu2_1"], scales=1)
    [found] = weigh(features, draw_noise(64, 48), painting)
    assert (found > 0).all()


def test_each_picture_has_its_own_weights(features):
    one = make_painting(scales=1, content_weight=1.0, style_weight=1.0)
    other = make_painting(scales=1, content_weight=2.0, style_weight=10.0)
    first, second = weigh(features, draw_noise(64, 48), one, other)
    torch.testing.assert_close(second, first * torch.tensor([2.0, 10.0, 1.0]))


def test_in_a_region_content_is_measured_there_alone(features):
    """The picture is another where the region is black, and some pixels around it."""
    mask = draw_half_mask()
    painting = make_painting(region=mask, scales=1, content_layers=["relu1_1"])
    changed = draw_scene()
    changed.paste((255, 0, 255), (60, 0, 64, 48))
    assert all(mask.getpixel((column, 20)) == 0 for column in range(58, 64))
    content, style, _ = weigh(features, changed, painting)[0].tolist()
    assert content == 0
    same = weigh(features, draw_scene(), painting)[0].tolist()
    assert style == pytest.approx(same[1], rel=1e-2)


def test_the_losses_of_half_a_picture_are_those_of_its_half(features):
    """Content and style are means over the region, so their weights mean what they did."""
    mask = draw_half_mask().point(lambda level: 255 if level > 127 else 0)
    share = np.asarray(mask).mean() / 255
    picture = draw_noise(64, 48)
    options = {"scales": 1, "content_layers": ["relu1_1"], "style_layers": ["relu1_1"]}
    whole = weigh(features, picture, make_painting(**options))[0]
    part = weigh(features, picture, make_painting(region=mask, **options))[0]
    assert part[1].item() == pytest.approx(whole[1].item(), rel=0.1)
    assert part[0].item() == pytest.approx(whole[0].item(), rel=0.3)
    assert part[2].item() == pytest.approx(whole[2].item() / share, rel=1e-4)
