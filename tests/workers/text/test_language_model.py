"""Language models: how text is cut into batches, what is carried from one to the next, the loss."""

import math
from itertools import pairwise

import numpy as np
import pytest
import torch

from tests.workers.text.lessons import SMALL, make_language
from workers.text.language_model import (
    LanguageModel,
    count_streams,
    cut_streams,
    cut_windows,
    measure_loss,
    measure_unigram,
)
from workers.text.reader import WIDEST_ROW, Architecture, Reader

TOKENS = np.arange(100)


def make_model(words: int = 7, **values: object) -> LanguageModel:
    torch.manual_seed(0)
    return LanguageModel(Architecture(**{"hidden": 8, **values}), words).eval()


def test_each_stream_goes_on_where_it_ended():
    pieces = list(cut_streams(TOKENS, 3, 10))
    assert [tuple(inputs.shape) for inputs, _ in pieces] == [(10, 3), (10, 3), (10, 3), (3, 3)]
    whole = torch.cat([inputs for inputs, _ in pieces])
    assert whole.T.flatten().tolist() == list(range(99))
    assert all(torch.equal(targets, inputs + 1) for inputs, targets in pieces)


def test_windows_cover_the_text_in_random_order():
    pieces = list(cut_windows(TOKENS, 4, 10, np.random.default_rng(0)))
    windows = torch.cat([inputs for inputs, _ in pieces], 1).T.tolist()
    assert sorted(windows) == [list(range(n, n + 10)) for n in range(0, 90, 10)]
    assert any(after[0] < before[0] for before, after in pairwise(windows))
    assert all(torch.equal(targets, inputs + 1) for inputs, targets in pieces)


@pytest.mark.parametrize(("batches", "carried"), [("sequential", True), ("random", False)])
def test_state_is_carried_between_sequential_batches_alone(batches, carried: bool):
    lesson = make_language(batches=batches)
    network = lesson.make_network()
    batch = next(lesson.draw(0))
    _, _, state = lesson.cost(network, batch, None)
    assert (state is not None) == carried
    if carried:
        assert not any(part.requires_grad for part in state)
        assert not torch.equal(
            lesson.cost(network, batch, state)[0], lesson.cost(network, batch, None)[0]
        )


def test_an_epoch_draws_the_same_batches_again():
    lesson = make_language()
    first, again, other = (next(lesson.draw(epoch))[0] for epoch in (0, 0, 3))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)


def test_the_loss_of_a_text_is_that_of_its_tokens_one_by_one():
    model, tokens = make_model(), np.random.default_rng(0).integers(0, 7, 1300)
    state, total = None, 0.0
    with torch.no_grad():
        for token, following in pairwise(tokens.tolist()):
            logits, state = model(torch.tensor([[token]]), state)
            total -= logits[0, 0].log_softmax(0)[following].item()
    assert measure_loss(model, tokens) == pytest.approx(total / 1299, abs=1e-6)
    streams = count_streams(40_000)
    assert (count_streams(10), streams) == (1, 16)
    assert measure_loss(model, tokens, 4) == pytest.approx(total / 1299, abs=0.05)


def test_a_model_that_knows_nothing_is_as_perplexed_as_there_are_words():
    model = make_model(words=50)
    torch.nn.init.zeros_(model.output.weight)
    torch.nn.init.zeros_(model.output.bias)
    tokens = np.random.default_rng(0).integers(0, 50, 200)
    assert math.exp(measure_loss(model, tokens)) == pytest.approx(50)


def test_the_unigram_loss_is_the_entropy_of_frequencies_plus_one():
    learning, tokens = np.array([1, 1, 1, 2]), np.array([1, 2, 0])
    wanted = -(math.log(4 / 7) + math.log(2 / 7) + math.log(1 / 7)) / 3
    assert measure_unigram(learning, tokens, 3) == pytest.approx(wanted)


def test_the_equations_and_torch_are_the_same_model():
    for values in ({}, {"embedding": 5}, {"cell": "gru", "layers": 2}):
        fast, written = make_model(**values), make_model(**values, written_out=True)
        written.load_state_dict(fast.state_dict())
        tokens = torch.randint(7, (9, 2))
        with torch.no_grad():
            torch.testing.assert_close(fast(tokens), written(tokens), rtol=0, atol=1e-6)


def test_wide_one_hot_rows_are_picked_and_not_written_down():
    wide, dense = (Reader(SMALL, words) for words in (WIDEST_ROW + 1, WIDEST_ROW))
    assert type(wide.layers) is not type(dense.layers)
    outputs, _ = wide(torch.tensor([[0], [WIDEST_ROW]]))
    assert outputs.shape == (2, 1, 24)


def test_a_tied_output_has_the_weights_of_the_embedding():
    model = make_model(embedding=8, tied=True)
    assert model.output.weight is model.reader.embedding.weight
    with pytest.raises(ValueError, match="as large as"):
        make_model(embedding=5, tied=True)
