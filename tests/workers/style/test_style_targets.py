"""Styles are measured once, and mixed by their shares."""

import pytest
import torch

from tests.workers.style.desk import draw_noise, draw_stripes
from tests.workers.style.networks import draw_features
from workers.style.gram_cache import GramCache
from workers.style.stops import ignore
from workers.style.style_targets import find_styles

LAYERS = ("relu1_1", "relu2_1")


@pytest.fixture
def features():
    return draw_features()


def find(features, *styles, shares=None, layers=LAYERS, precision="float32", watch=ignore):
    shares = shares or [1 / len(styles)] * len(styles)
    return find_styles(features, styles, shares, layers, precision, watch)


def count_layers_run(features, *styles, **options):
    """How often the network was watched: not once if nothing was computed."""
    calls = []
    find(features, *styles, **options, watch=lambda: calls.append(None))
    return len(calls)


def test_the_same_picture_is_measured_once(features):
    assert count_layers_run(features, draw_stripes()) > 0
    assert count_layers_run(features, draw_stripes()) == 0
    torch.testing.assert_close(find(features, draw_stripes()), find(features, draw_stripes()))


def test_what_differs_is_measured_anew(features):
    find(features, draw_stripes())
    assert count_layers_run(features, draw_noise()) > 0
    assert count_layers_run(features, draw_stripes().resize((32, 128))) > 0
    assert count_layers_run(features, draw_stripes(), layers=("relu3_1",)) > 0
    assert count_layers_run(features, draw_stripes(), precision="bfloat16") > 0


def test_each_network_has_its_own(features):
    first = find(features, draw_stripes())
    other = find(draw_features(seed=1), draw_stripes())
    assert not torch.allclose(first["relu1_1"], other["relu1_1"])


def test_styles_are_mixed_by_their_shares(features):
    stripes, noise = find(features, draw_stripes()), find(features, draw_noise())
    mixed = find(features, draw_stripes(), draw_noise(), shares=[0.75, 0.25])
    for name in LAYERS:
        torch.testing.assert_close(mixed[name], 0.75 * stripes[name] + 0.25 * noise[name])


def test_a_style_without_a_share_is_not_looked_at(features):
    find(features, draw_stripes())
    assert count_layers_run(features, draw_stripes(), draw_noise(), shares=[1, 0]) == 0


def test_no_layers_take_no_look(features):
    assert find(features, draw_stripes(), layers=()) == {}


def make_grams(number):
    return {"relu1_1": torch.full((1, 8, 8), float(number))}  # 256 bytes


def test_what_was_not_used_for_longest_goes_first():
    cache, computed = GramCache(most=512), []

    def ask(number):
        def compute():
            computed.append(number)
            return make_grams(number)

        return cache.find(str(number), compute)["relu1_1"].mean().item()

    assert [ask(number) for number in (1, 2, 1, 3, 1, 2)] == [1, 2, 1, 3, 1, 2]
    assert computed == [1, 2, 3, 2]


def test_what_is_too_large_to_be_kept_is_found_all_the_same():
    cache = GramCache(most=100)
    assert cache.find("large", lambda: make_grams(7))["relu1_1"].mean() == 7
    assert cache.find("large", lambda: make_grams(8))["relu1_1"].mean() == 8
