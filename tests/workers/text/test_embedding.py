"""Gradients by hand, against automatic differentiation."""

import numpy as np
import pytest
import torch
from torch import Tensor
from torch.nn.functional import logsigmoid

from workers.text.embedding import (
    STRIDE,
    Slope,
    Table,
    Tables,
    differentiate_cbow,
    differentiate_skip_gram,
)
from workers.text.pairs import Batch, Epoch, Noise, Sentences

NEGATIVES = 5
WORDS, D = 40, 7


def make_batch() -> Batch:
    chance = np.random.default_rng(1)
    sentences = Sentences.build([chance.integers(0, WORDS + 1, n) for n in (1, 60, 9, 33)])
    [batch] = Epoch(sentences, np.ones(WORDS + 1), Noise(np.ones(WORDS)), 3, [0, 0]).draw(0)
    return Batch(batch.centres, batch.around, batch.near.double(), batch.negatives)


def make_tables() -> Tables:
    chance = torch.Generator().manual_seed(2)
    inputs, outputs = torch.randn(2, WORDS + 1, D, generator=chance, dtype=torch.float64)
    return Tables(Table(inputs), Table(outputs))


def sum_rows(slope: Slope) -> Tensor:
    """(WORDS + 1, D)."""
    zeros = torch.zeros(WORDS + 1, D, dtype=torch.float64)
    return zeros.index_add_(0, slope.rows, slope.values)


def cost_pair(context: Tensor, word: Tensor, negatives: Tensor) -> Tensor:
    """Equation 4 of Mikolov et al. 2013, with the mean over the shared negatives."""
    drawn = -logsigmoid(-(negatives @ context)).mean() * NEGATIVES
    return drawn - logsigmoid(word @ context)


def cost_skip_gram(tables: Tables, batch: Batch) -> Tensor:
    """Pair by pair, as the paper says it."""
    total = torch.zeros((), dtype=torch.float64)
    for group, row, column in batch.near.nonzero().tolist():
        context = tables.inputs[batch.centres[group, row]]
        word = tables.outputs[batch.around[group, column]]
        total = total + cost_pair(context, word, tables.outputs[batch.negatives[group]])
    return total


def cost_cbow(tables: Tables, batch: Batch) -> Tensor:
    """Centre by centre; the mean passes its gradient on whole, as in word2vec."""
    total = torch.zeros((), dtype=torch.float64)
    for group in range(len(batch.centres)):
        for row, centre in enumerate(batch.centres[group]):
            near = batch.around[group, batch.near[group, row] > 0]
            if len(near):
                read = tables.inputs[near]
                context = read.mean(0).detach() + read.sum(0) - read.sum(0).detach()
                negatives = tables.outputs[batch.negatives[group]]
                total = total + cost_pair(context, tables.outputs[centre], negatives)
    return total


@pytest.mark.parametrize(
    ("differentiate", "cost"),
    [(differentiate_skip_gram, cost_skip_gram), (differentiate_cbow, cost_cbow)],
)
def test_gradients_by_hand_are_those_of_autograd(differentiate, cost):
    batch, tables = make_batch(), make_tables()
    step = differentiate(tables, batch, NEGATIVES)
    inputs, outputs = (t.vectors.requires_grad_() for t in (tables.inputs, tables.outputs))
    loss = cost(tables, batch)
    loss.backward()
    torch.testing.assert_close(step.scores.loss(), loss.detach())
    torch.testing.assert_close(sum_rows(step.read), inputs.grad)
    torch.testing.assert_close(sum_rows(step.predicted), outputs.grad)


def test_a_step_goes_down_the_gradient():
    batch, tables = make_batch(), make_tables()
    step = differentiate_skip_gram(tables, batch, NEGATIVES)
    before = tables.inputs.vectors.clone()
    tables.move(step, 0.001)
    moved = before - 0.001 * sum_rows(step.read)
    torch.testing.assert_close(tables.inputs.vectors, moved)
    assert differentiate_skip_gram(tables, batch, NEGATIVES).scores.loss() < step.scores.loss()


def test_no_vector_goes_further_than_some_terms_at_once():
    table = Table(torch.zeros(4, 1))
    slope = Slope(
        torch.tensor([1, 2, 1]), torch.tensor([[1.0], [1], [3]]), torch.tensor([10, 2, 30.0])
    )
    for _ in range(2):  # the same again: nothing is left of the first time
        table.vectors.zero_()
        table.move(slope, 0.5)
        assert table.vectors.flatten().tolist() == pytest.approx([0, -4 * STRIDE / 40, -0.5, 0])


@pytest.mark.parametrize("rate", [0.025, 1.0])
@pytest.mark.parametrize("differentiate", [differentiate_skip_gram, differentiate_cbow])
def test_two_words_that_fill_a_batch_do_not_shoot_beyond_the_mark(differentiate, rate: float):
    sentences = Sentences.build([np.tile([1, 2], 300)])
    tables = Tables.start(2, D, 0, torch.device("cpu"))
    losses = []
    for epoch in range(200):
        batches = Epoch(sentences, np.ones(3), Noise(np.ones(2)), 5, [0, epoch])
        step = differentiate(tables, next(batches.draw(0)), NEGATIVES)
        nats, pairs = step.scores.measure()
        losses.append(nats / pairs)
        tables.move(step, rate)
    assert np.mean(losses[-20:]) < losses[0]
    assert max(losses) < 2 * losses[0]


@pytest.mark.parametrize("differentiate", [differentiate_skip_gram, differentiate_cbow])
def test_small_steps_lower_the_loss_and_leave_the_unknown_word_alone(differentiate):
    batch, tables = make_batch(), Tables.start(WORDS, D, 0, torch.device("cpu"))
    batch = Batch(batch.centres, batch.around, batch.near.float(), batch.negatives)
    losses = []
    for _ in range(20):
        step = differentiate(tables, batch, NEGATIVES)
        losses.append(float(step.scores.loss()))
        tables.move(step, 0.01)
    assert losses == sorted(losses, reverse=True)
    assert not tables.inputs.vectors[0].any()
    assert not tables.outputs.vectors[0].any()


def test_the_loss_is_of_as_many_pairs_as_there_are():
    batch, tables = make_batch(), make_tables()
    _, pairs = differentiate_skip_gram(tables, batch, NEGATIVES).scores.measure()
    assert pairs == int(batch.near.sum())
    _, pairs = differentiate_cbow(tables, batch, NEGATIVES).scores.measure()
    assert pairs == int((batch.near.sum(2) > 0).sum())
