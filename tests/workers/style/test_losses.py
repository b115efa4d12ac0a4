"""Losses have the values of the textbook, and its gradients."""

import pytest
import torch
from torch.nn import functional as F

from workers.style.losses import find_gram, measure_content, measure_style, measure_tv

COUNTED = torch.arange(24.0).view(1, 3, 2, 4)


def gram_of_the_book(features):
    """As Dive into Deep Learning writes it, of one picture."""
    channels, count = features.shape[1], features.numel() // features.shape[1]
    flat = features.reshape(channels, count)
    return torch.matmul(flat, flat.T) / (channels * count)


def tv_of_the_book(picture):
    return 0.5 * (
        (picture[:, :, 1:, :] - picture[:, :, :-1, :]).abs().mean()
        + (picture[:, :, :, 1:] - picture[:, :, :, :-1]).abs().mean()
    )


def test_the_gram_matrix_of_counted_numbers():
    # by hand: sums of products of the rows 0..7, 8..15 and 16..23, divided by 24
    expected = [[5.8333, 15.1667, 24.5], [15.1667, 45.8333, 76.5], [24.5, 76.5, 128.5]]
    assert torch.allclose(find_gram(COUNTED)[0], torch.tensor(expected), atol=1e-4)


def test_the_style_of_counted_numbers_against_nothing():
    # by hand: the mean of the squares of the matrix above, and 9 / 4 times that
    gram, nothing = find_gram(COUNTED), torch.zeros(1, 3, 3)
    assert measure_style(gram, nothing, "d2l").item() == pytest.approx(3556.8920, abs=1e-3)
    assert measure_style(gram, nothing, "ng").item() == pytest.approx(8003.0069, abs=1e-3)


def test_the_total_variation_of_counted_numbers():
    assert measure_tv(COUNTED).item() == 2.5  # (4 + 1) / 2


def test_ngs_cost_is_that_of_grams_which_nothing_divides():
    found, wanted = torch.randn(2, 1, 5, 3, 4)
    flat, other = found.view(5, 12), wanted.view(5, 12)
    distance = (flat @ flat.T - other @ other.T).square().sum()
    expected = distance / (4 * 3**2 * 4**2 * 5**2)
    cost = measure_style(find_gram(found), find_gram(wanted), "ng")
    assert cost.item() == pytest.approx(expected.item(), rel=1e-5)


@pytest.mark.parametrize("layout", [torch.contiguous_format, torch.channels_last])
def test_losses_and_gradients_equal_the_books(layout):
    generator = torch.Generator().manual_seed(0)
    features, wanted = torch.randn(2, 1, 6, 5, 7, generator=generator)
    ours = features.clone(memory_format=layout).requires_grad_()
    theirs = features.clone().requires_grad_()
    style = measure_style(find_gram(ours), find_gram(wanted), "d2l")
    (style + measure_content(ours, wanted) + measure_tv(ours)).backward()
    book = F.mse_loss(gram_of_the_book(theirs), gram_of_the_book(wanted))
    book = book + F.mse_loss(theirs, wanted) + tv_of_the_book(theirs)
    book.backward()
    assert torch.allclose(ours.grad, theirs.grad, atol=1e-6)
    assert ours.grad.is_contiguous(memory_format=layout)


def test_each_picture_is_measured_on_its_own():
    many = torch.randn(3, 4, 6, 5, generator=torch.Generator().manual_seed(0))
    wanted = many.flip(2)
    for place in range(3):
        one, other = many[place : place + 1], wanted[place : place + 1]
        for together, alone in (
            (find_gram(many), find_gram(one)),
            (measure_content(many, wanted), measure_content(one, other)),
            (
                measure_style(find_gram(many), find_gram(wanted), "d2l"),
                measure_style(find_gram(one), find_gram(other), "d2l"),
            ),
            (measure_tv(many), measure_tv(one)),
        ):
            assert len(together) == 3
            assert torch.allclose(together[place], alone[0], atol=1e-6)


def test_a_region_counts_alone():
    features = torch.randn(2, 4, 6, 8, generator=torch.Generator().manual_seed(0))
    region = torch.zeros(2, 1, 6, 8)
    region[:, :, 1:4, 2:7] = 1
    assert torch.allclose(find_gram(features, region), find_gram(features[:, :, 1:4, 2:7]))
    assert torch.allclose(find_gram(features, torch.ones(2, 1, 6, 8)), find_gram(features))


def test_a_region_of_nothing_has_no_style():
    features = torch.randn(1, 4, 6, 8, requires_grad=True)
    gram = find_gram(features, torch.zeros(1, 1, 6, 8))
    gram.sum().backward()
    assert gram.abs().max() == 0
    assert features.grad.abs().max() == 0


@pytest.mark.parametrize("masked", [False, True])
def test_the_gradient_of_the_gram_matrix_is_right(masked):
    features = torch.randn(2, 3, 2, 4, dtype=torch.float64, requires_grad=True)
    region = torch.rand(2, 1, 2, 4, dtype=torch.float64) if masked else None
    skewed = torch.randn(3, 3, dtype=torch.float64)  # a gradient that is not symmetric
    assert torch.autograd.gradcheck(lambda x: find_gram(x, region) * skewed, features)


def test_losses_of_halved_features_are_computed_in_32_bits():
    features = torch.full((1, 8, 64, 64), 1 + 2**-7, dtype=torch.bfloat16)
    assert find_gram(features).dtype == torch.float32
    assert find_gram(features)[0, 0, 0].item() == pytest.approx((1 + 2**-7) ** 2 / 8, rel=1e-5)
    found = measure_content(features, torch.ones_like(features))
    assert (found.dtype, found.item()) == (torch.float32, pytest.approx(2**-14))


@pytest.mark.parametrize("size", [(1, 1), (1, 5), (5, 1)])
def test_pictures_of_one_row_or_column_have_a_total_variation(size):
    picture = torch.arange(15.0)[: 3 * size[0] * size[1]].view(1, 3, *size)
    assert measure_tv(picture).item() == (0 if size == (1, 1) else 0.5)
