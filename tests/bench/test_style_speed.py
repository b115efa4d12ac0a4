"""The textbook's loop measures what ours does; medians and losses of both are compared."""

from typing import Any

import pytest
import torch
from torch import Tensor

from bench.peers.textbook_style import (
    Settings,
    Textbook,
    cut,
    extract_features,
    gram,
    make_network,
    style_loss,
    tv_loss,
)
from bench.style_speed import COLUMNS, OURS, TEXTBOOK, judge, summarise
from workers.style.losses import find_gram, measure_content, measure_style, measure_tv

WIDTHS = (4, 4, 8, 8, 8)
SETTINGS = Settings(("relu2_2",), ("relu1_1", "conv3_1"), 1.0, 1e3, 10.0)


@pytest.fixture
def convolutions() -> list[tuple[Tensor, Tensor]]:
    """Of a VGG16 with few channels."""
    torch.manual_seed(0)
    depths = zip(WIDTHS, (2, 2, 3, 3, 3), strict=True)
    outputs = [width for width, depth in depths for _ in range(depth)]
    return [
        (torch.randn(after, before, 3, 3) / 5, torch.randn(after) / 10)
        for before, after in zip([3, *outputs], outputs, strict=False)
    ]


def make_cell(way: str, seconds: float, loss: float = 5.0) -> dict[str, Any]:
    return {"way": way, "cpu s": seconds, "loss": loss}


def test_its_losses_are_ours(convolutions: list[tuple[Tensor, Tensor]]) -> None:
    network = make_network(convolutions)
    content, style, now = torch.rand(3, 1, 3, 20, 28)
    textbook = Textbook(network, SETTINGS, content, style)
    textbook.picture.weight.data.copy_(now)
    found, tail = extract_features(cut(network, SETTINGS), now, SETTINGS), SETTINGS.style_layers
    of_style = extract_features(cut(network, SETTINGS), style, SETTINGS)
    of_content = extract_features(cut(network, SETTINGS), content, SETTINGS)["relu2_2"]
    by_ours = [
        measure_content(found["relu2_2"], of_content),
        torch.stack(
            [measure_style(find_gram(found[one]), find_gram(of_style[one]), "d2l") for one in tail]
        ).sum(),
        measure_tv(now),
    ]
    weights = (SETTINGS.content_weight, SETTINGS.style_weight, SETTINGS.tv_weight)
    for own, ours, weight in zip(textbook.compute_losses(), by_ours, weights, strict=True):
        assert own.item() == pytest.approx(ours.item() * weight, rel=1e-4)


def test_it_finds_what_the_book_prints_for_known_numbers() -> None:
    features = torch.arange(24.0).view(1, 3, 2, 4)
    rows = [[35 / 6, 91 / 6, 24.5], [91 / 6, 275 / 6, 76.5], [24.5, 76.5, 128.5]]
    assert torch.allclose(gram(features), torch.tensor(rows))
    assert float(style_loss(features, torch.zeros(3, 3))) == pytest.approx(3556.8920, rel=1e-6)
    assert float(tv_loss(features)) == 2.5


def test_only_the_picture_is_changed_though_weights_have_gradients(
    convolutions: list[tuple[Tensor, Tensor]],
) -> None:
    network = make_network(convolutions)
    content, style = torch.rand(2, 1, 3, 20, 28)
    textbook = Textbook(network, SETTINGS, content, style)
    before = [one.clone() for one in network.parameters()]
    taking = textbook.steps(lambda _: 0.05)
    losses = [next(taking) for _ in range(30)]
    assert losses[-1] < losses[0] / 2
    assert not torch.equal(textbook.picture.weight, content)
    assert all(torch.equal(*pair) for pair in zip(before, network.parameters(), strict=True))
    gradients = {name: one.grad is not None for name, one in network.named_parameters()}
    assert gradients["conv1_1.weight"]
    assert not gradients["conv3_2.weight"]  # behind the deepest layer that is asked for


def test_the_learning_rate_is_that_of_the_step(
    convolutions: list[tuple[Tensor, Tensor]],
) -> None:
    content, style = torch.rand(2, 1, 3, 20, 28)
    textbook = Textbook(make_network(convolutions), SETTINGS, content, style)
    taking = textbook.steps(lambda step: 0.0 if step == 0 else 1e-3)
    first, second, third = (next(taking) for _ in range(3))
    assert first == second
    assert third < second


def test_the_first_step_and_slow_moments_do_not_count() -> None:
    cells = [make_cell(OURS, second) for second in (9.0, 0.4, 0.4, 7.0)]
    cells += [make_cell(TEXTBOOK, second, 5.05) for second in (9.0, 1.0, 1.0, 1.0)]
    rows = summarise(cells, (450, 300), {OURS: 900, TEXTBOOK: 1000})
    assert all(set(row) == set(COLUMNS) for row in rows)
    assert [row["of textbook"] for row in rows] == pytest.approx([0.4, 1])
    assert [one.split(":")[0] for one in judge(rows)] == ["met"] * 3


def test_each_target_is_judged_alone() -> None:
    cells = [make_cell(OURS, 0.46), make_cell(OURS, 0.46, 5.2)]
    cells += [make_cell(TEXTBOOK, 1.0), make_cell(TEXTBOOK, 1.0, 5.0)]
    slow, apart, more = judge(summarise(cells, (450, 300), {OURS: 1001, TEXTBOOK: 1000}))
    assert slow == "MISSED: a step takes 0.46 of the textbook's processor time; wanted 0.45"
    assert apart == "MISSED: after as many steps the losses are 4.00% apart; wanted 2%"
    assert more == "MISSED: 1001 MB at most, the textbook 1000; wanted no more"
