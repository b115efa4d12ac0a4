"""A preset says how a painting is made, and what a request gives replaces it."""

import pytest

from tests.workers.style.painted import ask
from workers.runtime.run import InvalidInput
from workers.style.recipe import PRESETS, fit_style, make_plan, share_styles


def plan(width=900, height=600, **options):
    return make_plan(ask(**options), width, height)


def list_sizes(made):
    return [(one.width, one.height) for one in made.scales]


def list_scales(made):
    return [(one.width, one.height, one.steps) for one in made.scales]


def test_the_first_edition_of_the_book_paints_at_half_and_at_full_size():
    """d2l-zh, first edition, the notebook on neural style: 500 steps at 150 x 225, then 300."""
    made = plan(preset="d2l_v1")
    assert list_scales(made) == [(225, 150, 500), (450, 300, 300)]
    assert made.decay_every == (200, 100)
    weights = 1, 1e4, 10
    assert (made.content_weight, made.style_weight, made.tv_weight) == weights
    assert [made.find_rate(0, step) for step in (0, 199, 200, 400)] == pytest.approx(
        [1e-2, 1e-2, 1e-3, 1e-4]
    )
    assert made.find_rate(1, 99) == pytest.approx(1e-2)
    assert made.find_rate(1, 100) == pytest.approx(1e-3)


def test_the_second_edition_of_the_book_paints_at_one_size():
    """d2l, second edition: lr 0.3, StepLR(50, 0.8), 500 epochs, 300 x 450."""
    made = plan(preset="d2l_v2")
    assert list_scales(made) == [(450, 300, 500)]
    assert (made.content_weight, made.style_weight, made.tv_weight) == (1, 1e4, 10)
    assert [made.find_rate(0, step) for step in (0, 49, 50, 499)] == pytest.approx(
        [0.3, 0.3, 0.24, 0.3 * 0.8**9]
    )


def test_the_book_lists_convolutions_that_relu_writes_over():
    made = plan(preset="d2l_v2", network="vgg19")
    assert made.style_layers == ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "conv5_1")
    assert made.content_layers == ("relu4_4",)
    assert plan(preset="d2l_v2").content_layers == ("relu4_3",)


def test_gatys_has_average_pooling_and_lbfgs():
    made = plan(preset="gatys")
    assert (made.pooling, made.optimiser, made.cost) == ("average", "lbfgs", "ng")
    assert made.content_layers == ("relu4_2",)


def test_what_is_asked_replaces_the_preset():
    asked = {
        "content_layers": ["pool2", "conv3_1", "pool2"],
        "style_layers": ["pool1"],
        "content_weight": 0.5,
        "style_weight": 3.0,
        "strength": 2.0,
        "tv_weight": 0.0,
        "pooling": "average",
        "cost": "d2l",
        "optimiser": "lbfgs",
        "learning_rate": 0.7,
    }
    made = plan(**asked)
    assert made.content_layers == ("pool2", "conv3_1")
    assert made.style_layers == ("pool1",)
    assert (made.content_weight, made.style_weight, made.tv_weight) == (0.5, 6.0, 0.0)
    assert (made.pooling, made.cost, made.optimiser) == ("average", "d2l", "lbfgs")
    assert made.learning_rate == 0.7


def test_another_optimiser_has_a_learning_rate_of_its_own():
    made = plan(preset="d2l_v1", optimiser="lbfgs")
    assert made.find_rate(0, 0) == made.find_rate(0, 499) == 1.0


def test_the_schedule_shrinks_with_the_steps():
    assert plan(preset="d2l_v1", steps=80).decay_every == (20, 10)
    assert plan(preset="d2l_v2", steps=100, scales=1).decay_every == (10,)


def test_the_steps_of_all_scales_are_those_asked_for():
    for steps in (1, 2, 3, 5, 10, 97, 1000):
        for scales in (1, 2, 3, 4):
            found = [one.steps for one in plan(size=512, steps=steps, scales=scales).scales]
            assert sum(found) == steps
            assert min(found) >= 1
            assert len(found) == min(steps, scales)


def test_each_scale_is_twice_the_one_before():
    found = list_sizes(plan(size=512, scales=4))
    assert found == [(64, 43), (128, 85), (256, 171), (512, 341)]


def test_no_scale_is_smaller_than_a_picture_may_be():
    assert [one.width for one in plan(size=100, scales=4).scales] == [50, 100]
    assert [one.width for one in plan(size=32, scales=4).scales] == [32]


def test_a_picture_is_not_made_larger_unless_asked():
    assert list_sizes(plan(40, 30))[-1] == (40, 30)
    assert list_sizes(plan(40, 30, size=80))[-1] == (80, 60)
    assert list_sizes(plan(1, 1))[-1] == (1, 1)


def test_a_side_never_vanishes():
    assert list_sizes(plan(1, 4000, size=256, scales=3)) == [(1, 64), (1, 128), (1, 256)]


def test_what_has_no_weight_is_not_watched():
    assert plan(content_weight=0).watched_content == ()
    assert plan(strength=0).watched_style == ()


def test_nothing_to_make_small_is_refused():
    with pytest.raises(InvalidInput, match="All weights are 0"):
        plan(content_weight=0, style_weight=0, tv_weight=0)
    with pytest.raises(InvalidInput, match="strength"):
        plan(content_weight=0, strength=0, tv_weight=0)


@pytest.mark.parametrize("field", ["content_layers", "style_layers"])
def test_a_layer_that_the_network_does_not_have_is_refused(field):
    with pytest.raises(InvalidInput, match=r"conv3_4.*relu3_3"):
        plan(**{field: ["conv3_4"]})
    assert getattr(plan(network="vgg19", **{field: ["conv3_4"]}), field) == ("conv3_4",)


def test_styles_share_alike_or_by_their_weights():
    assert share_styles(ask(styles=["a", "b"])) == (0.5, 0.5)
    assert share_styles(ask(styles=["a", "b"], style_weights=[3, 1])) == (0.75, 0.25)
    assert share_styles(ask(styles=["a", "b"], style_weights=[1e12, 0])) == (1, 0)


def test_weights_of_styles_that_do_not_fit_are_refused():
    with pytest.raises(InvalidInput, match="2 styles need as many style_weights, not 1"):
        plan(styles=["a", "b"], style_weights=[1])
    with pytest.raises(InvalidInput, match="more than 0"):
        plan(styles=["a", "b"], style_weights=[0, 0])


def test_a_style_is_looked_at_as_large_as_the_picture_times_its_scale():
    assert fit_style(1000, 500, 320, 1.0) == (320, 160)
    assert fit_style(100, 50, 320, 0.5) == (160, 80)
    assert fit_style(1, 4000, 320, 1.0) == (1, 320)
    assert fit_style(1, 1, 2048, 4.0) == (2048, 2048)  # no larger than what can be painted


@pytest.mark.parametrize("preset", sorted(PRESETS))
def test_a_plan_tells_all_that_it_is_made_of(preset):
    made = plan(preset=preset)
    told = made.describe("float32").model_dump()
    for field in told.keys() - {"precision", "scales"}:
        found = getattr(made, field)
        assert told[field] == (list(found) if isinstance(found, tuple) else found)
    assert told["scales"] == [one.model_dump() for one in made.scales]
    assert told["precision"] == "float32"
