"""A picture is painted from coarse to fine, alone or with others, in part or from noise."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional

from tests.workers.style.desk import draw_noise, draw_scene, draw_stripes
from tests.workers.style.networks import draw_features
from tests.workers.style.painted import draw_half_mask, finish, make_painting
from workers.runtime.run import Cancelled, InvalidInput
from workers.style.painting import measure_painting, paint
from workers.style.pictures import denormalise, normalise, to_tensor
from workers.style.stops import ignore

PRESETS = ("quick", "d2l_v1", "d2l_v2", "gatys")


@pytest.fixture(scope="module")
def features():
    return draw_features()


def as_levels(painting):
    return np.asarray(painting.render()).astype(float)


@pytest.mark.parametrize("preset", PRESETS)
def test_each_preset_makes_the_loss_small(features, preset):
    averaged = draw_features(pooling="average")
    painting = finish(
        make_painting(preset=preset, steps=40), averaged if preset == "gatys" else features
    )
    assert painting.history[-1].total < 0.9 * painting.start_losses.total
    assert painting.history[-1].style < painting.start_losses.style
    assert painting.render().size == (64, 48)


def test_a_step_is_that_of_the_textbook(features):
    """The loop of Dive into Deep Learning, written out: autograd of everything, and Adam."""
    size, steps = (64, 48), 12
    content, style = draw_scene(*size), draw_stripes(*size)
    painting = make_painting(content, (style,), preset="d2l_v2", steps=steps)
    plan = painting.plan
    target = features.look(to_tensor(content), plan.content_layers)

    def find_grams(pixels):
        found = features.look(pixels, plan.style_layers)
        maps = {name: one.permute(1, 0, 2, 3).flatten(1) for name, one in found.items()}
        return {name: one @ one.T / one.numel() for name, one in maps.items()}

    wanted = find_grams(to_tensor(style))
    picture = torch.nn.Parameter(normalise(to_tensor(content)))
    adam = torch.optim.Adam([picture], eps=1e-20)  # the pixels' gradients are below its 1e-8
    for step in range(steps):
        adam.param_groups[0]["lr"] = plan.find_rate(0, step)
        adam.zero_grad()
        maps = features.look(denormalise(picture), plan.content_layers)
        grams = find_grams(denormalise(picture))
        loss = sum(functional.mse_loss(maps[name], target[name]) for name in maps)
        loss = loss + 1e4 * sum(functional.mse_loss(grams[name], wanted[name]) for name in grams)
        down, right = picture.diff(dim=2).abs().mean(), picture.diff(dim=3).abs().mean()
        loss = loss + 10 * (down + right) / 2
        loss.backward()
        adam.step()
        paint([painting], features, ignore)
        assert painting.history[-1].total == pytest.approx(loss.item(), rel=2e-3)
    apart = painting.canvas.picture.detach() - picture.detach()
    assert apart.abs().mean() < 0.01  # of some 0.3 x 12 that they moved


def test_together_they_become_what_they_become_alone(features):
    kinds = [
        {"steps": 6},
        {"steps": 4, "strength": 5.0, "learning_rate": 0.02},
        {"steps": 5, "seed": 3, "start": "noise"},
        {"steps": 6, "styles": (draw_noise(), draw_stripes()), "content_weight": 0.1},
    ]
    alone = [finish(make_painting(scales=1, **kind), features) for kind in kinds]
    together = [make_painting(scales=1, **kind) for kind in kinds]
    assert len({one.key for one in together}) == 1
    while going := [one for one in together if not one.is_over()]:
        paint(going, features, ignore)
    for one, other in zip(alone, together, strict=True):
        assert other.step == one.steps
        assert np.abs(as_levels(one) - as_levels(other)).mean() < 0.2
        assert other.history[-1].total == pytest.approx(one.history[-1].total, rel=1e-2)


@pytest.mark.parametrize(
    "options",
    [
        {"content": draw_scene(60, 48)},
        {"region": draw_half_mask()},
        {"style_layers": ["pool2"]},
        {"content_weight": 0.0},
        {"cost": "d2l"},
        {"pooling": "average"},
        {"network": "vgg19"},
        {"scales": 1},
    ],
    ids=lambda options: next(iter(options)),
)
def test_what_one_pass_cannot_paint_together_has_another_key(options):
    assert make_painting(**options).key != make_painting().key


def test_l_bfgs_paints_alone():
    assert make_painting(preset="gatys").key != make_painting(preset="gatys").key
    assert make_painting().key == make_painting().key


def test_one_that_diverges_does_not_harm_the_others(features):
    bad = make_painting(steps=8, scales=1, learning_rate=100.0, style_weight=1e12, strength=1000.0)
    good = make_painting(steps=8, scales=1)
    with torch.no_grad():
        bad.canvas.picture.fill_(1e30)
    paint([bad, good], features, ignore)
    assert bad.is_over()
    assert not good.is_over()
    with pytest.raises(InvalidInput, match="Lower learning_rate"):
        bad.render()
    lone = finish(make_painting(steps=8, scales=1), features)
    assert np.abs(as_levels(finish(good, features)) - as_levels(lone)).mean() < 0.2


@pytest.mark.parametrize("start", ["content", "noise"])
@pytest.mark.parametrize("options", [{}, {"strength": 100}, {"tv_weight": 1e6}, {"scales": 2}])
def test_by_l_bfgs_the_loss_never_rises_at_a_size(options, start):
    painting = make_painting(preset="gatys", steps=40, start=start, **options)
    finish(painting, draw_features(pooling="average"))
    totals = [one.total for one in painting.history]
    [*_, last] = painting.plan.scales
    for part in (totals[: -last.steps], totals[-last.steps :]):
        assert part == sorted(part, reverse=True)
    assert totals[-1] < totals[-last.steps]


@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("weights", [(1e12, 1e12, 0.0), (0.0, 1e-40, 0.0), (0.0, 0.0, 1.0)])
def test_any_weights_give_numbers(features, preset, weights):
    content, style, tv = weights
    own = draw_features(pooling="average") if preset == "gatys" else features
    painting = make_painting(
        preset=preset, steps=8, content_weight=content, style_weight=style, tv_weight=tv
    )
    finish(painting, own)
    assert painting.failed is None
    assert tv or painting.history[-1].total < painting.start_losses.total  # it is least already
    assert measure_painting(painting, own, ignore).total < float("inf")


def test_the_content_alone_stays_as_it_is(features):
    painting = finish(make_painting(strength=0, tv_weight=0, steps=5, scales=1), features)
    assert np.array_equal(np.asarray(painting.render()), np.asarray(draw_scene()))


def test_only_the_region_is_painted(features):
    mask = draw_half_mask()
    painting = finish(make_painting(region=mask, steps=30), features)
    changed = np.abs(as_levels(painting) - np.asarray(draw_scene())).max(axis=2)
    dark, light = np.asarray(mask) == 0, np.asarray(mask) == 255
    assert dark.any()
    assert light.any()
    assert not (dark | light).all()
    assert changed[dark].max() == 0
    assert changed[light].mean() > 5


def test_a_region_that_is_all_light_is_the_whole(features):
    white = Image.new("L", (64, 48), 255)
    masked = finish(make_painting(region=white, steps=6), features)
    whole = finish(make_painting(steps=6), features)
    assert masked.history[-1].total == pytest.approx(whole.history[-1].total, rel=1e-2)


def test_a_soft_region_is_as_strong_at_the_next_scale(features):
    grey = Image.new("L", (64, 48), 64)
    painting = make_painting(region=grey, start="noise", steps=2, scales=2, learning_rate=1e-9)

    def measure_change() -> float:
        size = painting.canvas.scale.width, painting.canvas.scale.height
        content = to_tensor(draw_scene().resize(size))
        return float((painting.canvas.show() - content).abs().mean())

    coarse = measure_change()
    paint([painting], features, ignore)
    assert painting.scale == 1
    assert measure_change() == pytest.approx(coarse, rel=0.2)


def test_a_dot_of_a_region_is_painted_at_all_scales(features):
    dot = Image.new("L", (64, 48))
    dot.putpixel((40, 20), 9)
    painting = finish(make_painting(region=dot, scales=2, steps=6), features)
    assert painting.failed is None


def test_noise_is_drawn_from_the_seed(features):
    pictures = [
        np.asarray(finish(make_painting(start="noise", seed=seed, steps=3), features).render())
        for seed in (1, 1, 2)
    ]
    assert np.array_equal(pictures[0], pictures[1])
    assert not np.array_equal(pictures[0], pictures[2])


def test_noise_becomes_like_the_content_where_no_style_counts(features):
    painting = make_painting(start="noise", steps=60, preset="gatys", scales=1, strength=0)
    finish(painting, features)
    assert painting.history[-1].content < 0.3 * painting.history[0].content


def test_the_style_is_the_mean_of_the_styles(features):
    both = make_painting(styles=(draw_noise(), draw_stripes()))
    targets = both.find_targets(features, "float32", ignore)
    each = [
        make_painting(styles=(one,)).find_targets(features, "float32", ignore)
        for one in (draw_noise(), draw_stripes())
    ]
    for name, gram in targets.grams.items():
        torch.testing.assert_close(gram, (each[0].grams[name] + each[1].grams[name]) / 2)


def test_each_scale_goes_on_from_the_one_before(features):
    painting = make_painting(steps=10, scales=2)
    coarse, fine = painting.plan.scales
    while painting.step < coarse.steps:
        assert painting.preview().size == (coarse.width, coarse.height)
        paint([painting], features, ignore)
    assert painting.preview().size == (fine.width, fine.height)
    assert painting.start_losses is None
    finish(painting, features)
    assert painting.start_losses == painting.history[coarse.steps]
    assert len(painting.history) == 10


def test_what_is_painted_is_told(features):
    painting = make_painting(steps=10, scales=2)
    fractions = []
    while not painting.is_over():
        paint([painting], features, ignore)
        told = painting.describe()
        fractions.append(told.fraction)
        assert (told.step, told.steps) == (painting.step, 10)
        assert told.losses == painting.history[-1]
    assert fractions == sorted(fractions)
    assert fractions[-1] == 1
    assert fractions[5] == pytest.approx(6 / (6 + 4 * 4))  # the first six have a quarter of pixels


def test_the_result_is_measured_as_it_is_shown(features):
    painting = finish(make_painting(steps=10, learning_rate=0.5), features)
    again = make_painting(painting.render(), scales=1)
    again.targets = painting.targets
    measured = measure_painting(painting, features, ignore)
    assert measured.total == pytest.approx(
        measure_painting(again, features, ignore).total, rel=0.02
    )


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (300, 1), (17, 33)])
def test_pictures_of_any_shape_are_painted(features, size):
    for style in (draw_stripes(1, 1), draw_stripes(1, 300), draw_stripes(300, 1)):
        painting = finish(make_painting(draw_scene(*size), (style,), steps=4), features)
        assert painting.failed is None
        assert painting.render().size == size


def test_deep_pools_see_a_picture_of_one_pixel(features):
    options = {"content_layers": ["pool5"], "style_layers": ["pool5"], "steps": 3}
    assert finish(make_painting(draw_scene(1, 1), **options), features).failed is None


def test_watching_ends_a_step_without_a_trace(features):
    painting = make_painting(steps=4, scales=1)
    paint([painting], features, ignore)
    before, calls = painting.canvas.picture.detach().clone(), []

    def stop():
        calls.append(None)
        if len(calls) == 20:
            raise Cancelled

    with pytest.raises(Cancelled):
        paint([painting], features, stop)
    assert painting.step == 1
    assert torch.equal(before, painting.canvas.picture.detach())
    assert finish(painting, features).step == 4
