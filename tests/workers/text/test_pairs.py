"""Batches for word embeddings: what is near, what is drawn, what is thinned."""

import numpy as np
import pytest

from workers.text.pairs import GROUP, NEGATIVES, Batch, Epoch, Noise, Sentences, weigh_words


def draw_all(sentences: Sentences, window: int, seed: int = 0) -> list[Batch]:
    words = int(sentences.tokens.max())
    noise, kept = Noise(np.ones(words)), np.ones(words + 1)
    return list(Epoch(sentences, kept, noise, window, [seed, 0]).draw(0))


def list_pairs(batches: list[Batch]) -> list[tuple[int, int]]:
    """(centre, word near it)."""
    found = []
    for batch in batches:
        for group, row, column in batch.near.nonzero().tolist():
            found.append((int(batch.centres[group, row]), int(batch.around[group, column])))
    return found


def make_sentences(*lengths: int) -> Sentences:
    """Every token a word of its own, from 1 on."""
    ends = np.cumsum(lengths)
    return Sentences.build([np.arange(e - n, e) + 1 for e, n in zip(ends, lengths, strict=True)])


@pytest.mark.parametrize("lengths", [(2,), (1, 3, 1), (GROUP + 9, 1, 2 * GROUP), (GROUP,) * 40])
def test_a_window_of_one_gives_each_pair_of_neighbours_in_a_sentence_once(lengths):
    sentences = make_sentences(*lengths)
    places = range(len(sentences.tokens) - 1)
    right = [(n + 1, n + 2) for n in places if sentences.numbers[n] == sentences.numbers[n + 1]]
    wanted = right + [(second, first) for first, second in right]
    assert sorted(list_pairs(draw_all(sentences, 1))) == sorted(wanted)


def test_nearer_words_belong_to_a_word_more_often():
    pairs = list_pairs(draw_all(make_sentences(20_000), 4))
    distances = np.bincount([abs(first - second) for first, second in pairs])
    assert distances[0] == 0
    # A window of 1 to 4 reaches the distances 1 to 4 by 4/4, 3/4, 2/4, 1/4, on two sides.
    assert distances[1:] / 40_000 == pytest.approx([1, 0.75, 0.5, 0.25], abs=0.02)


def test_unknown_words_are_taken_out_before_neighbours_are_looked_for():
    sentences = Sentences.build([np.array([1, 0, 2]), np.array([0, 0]), np.array([3, 0])])
    assert sentences.tokens.tolist() == [1, 2, 3]
    assert sorted(list_pairs(draw_all(sentences, 1))) == [(1, 2), (2, 1)]


def test_batches_depend_on_the_seed_and_their_number_alone():
    sentences = make_sentences(*[7] * 500)
    noise, kept = Noise(np.arange(1, 3501)), np.full(3501, 0.7)
    first, same = (Epoch(sentences, kept, noise, 3, [4, 1]) for _ in range(2))
    later = list(first.draw(2))
    for batch, again in zip(later, list(same.draw(0))[2:], strict=True):
        for part, other in zip(vars(batch).values(), vars(again).values(), strict=True):
            assert part.equal(other)
    other = next(Epoch(sentences, kept, noise, 3, [4, 2]).draw(2))
    assert not other.negatives.equal(later[0].negatives)


def test_negatives_are_drawn_by_the_power_of_three_quarters():
    counts = np.array([16.0, 1.0, 0.0, 81.0])
    drawn = Noise(counts).draw((100_000,), np.random.default_rng(0))
    share = np.bincount(drawn, minlength=5) / len(drawn)
    assert share == pytest.approx([0, 8 / 36, 1 / 36, 0, 27 / 36], abs=0.01)


def test_a_batch_shares_negatives_within_groups():
    batch = draw_all(make_sentences(GROUP * 3), 5)[0]
    assert batch.centres.shape == (3, GROUP)
    assert batch.around.shape == (3, GROUP + 10)
    assert batch.near.shape == (3, GROUP, GROUP + 10)
    assert batch.negatives.shape == (3, NEGATIVES)


def test_frequent_words_are_thinned_as_word2vec_does():
    # word2vec.c: (sqrt(f / t) + 1) * t / f.
    kept = weigh_words(np.array([0, 900, 99, 1]), 0.01)
    share = np.array([0.9, 0.099])
    assert kept[1:3] == pytest.approx((np.sqrt(share / 0.01) + 1) * 0.01 / share)
    assert kept[3] == 1
    assert weigh_words(np.array([0, 5, 5]), 0).tolist() == [1, 1, 1]


def test_an_epoch_of_which_nothing_is_left_has_no_batch():
    sentences = make_sentences(50)
    epoch = Epoch(sentences, np.zeros(51), Noise(np.ones(50)), 5, [0, 0])
    assert (len(epoch), list(epoch.draw(0))) == (0, [])
