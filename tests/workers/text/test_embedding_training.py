"""Word embeddings are learned: structure, the same result each time, and after a stop."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.text.language import KINDS, write_sentences
from workers.text.corpora import WordChoice
from workers.text.embedding_tasks import read_sentences
from workers.text.embedding_training import (
    Curve,
    EmbeddingOptions,
    NothingToLearn,
    Progress,
    Trained,
    train_embedding,
)
from workers.text.fields import Tokeniser
from workers.text.pairs import Sentences
from workers.text.train import Diverged
from workers.text.vectors import WordVectors

LEXICON, CORPUS = read_sentences(write_sentences(), WordChoice(Tokeniser()))
SHORT = EmbeddingOptions(dimensions=16, epochs=2)


class Stop(Exception):
    pass


def learn(options: EmbeddingOptions, folder: Path, **more) -> Trained:
    def ignore(progress: Progress) -> None:
        assert 0 <= progress.fraction <= 1

    return train_embedding(options, CORPUS, len(LEXICON.words), ignore, folder, **more)


@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
def test_words_that_are_seen_in_the_same_company_become_neighbours(method, tmp_path: Path):
    options = EmbeddingOptions(method=method, dimensions=16, epochs=20, subsample=0)
    vectors = WordVectors(LEXICON, learn(options, tmp_path).vectors.numpy())
    kinds = {word: kind for kind, words in KINDS.items() for word in words}
    for word, kind in kinds.items():
        # They never stand beside each other: the company they share makes them neighbours.
        near = [name for name, _ in vectors.nearest([word], [], 100) if name in kinds]
        assert [kinds[name] for name in near[:4]] == [kind] * 4


def test_the_loss_falls_and_is_kept_for_a_curve(tmp_path: Path):
    curve = learn(EmbeddingOptions(dimensions=16, epochs=6, subsample=0), tmp_path).curve
    fractions, losses = curve.list_points()
    assert fractions == sorted(fractions)
    assert 0 < fractions[0] < 0.05 < 0.95 < fractions[-1] < 1
    # In the beginning all scores are 0: the true word and five others cost log 2 nats each.
    assert losses[0] == pytest.approx(6 * np.log(2), rel=0.01)
    assert curve.last() < 0.6 * losses[0]


def test_the_same_seed_gives_the_same_vectors(tmp_path: Path):
    first, same = (learn(SHORT, tmp_path / name).vectors for name in "ab")
    assert first.equal(same)
    other = EmbeddingOptions(dimensions=16, epochs=2, seed=1)
    assert not learn(other, tmp_path / "c").vectors.equal(first)


@pytest.mark.parametrize("method", ["skip-gram", "cbow"])
def test_a_training_that_was_stopped_ends_as_if_it_was_not(method, tmp_path: Path, monkeypatch):
    monkeypatch.setattr("workers.text.embedding_training.REPORT_EVERY", 0.0)
    monkeypatch.setattr("workers.text.embedding_training.SAVING", 0)
    options = EmbeddingOptions(method=method, dimensions=16, epochs=3, subsample=0)
    whole = learn(options, tmp_path / "whole", save_every=1000.0)
    seen: list[float] = []

    def stop_in(progress: Progress) -> None:
        seen.append(progress.fraction)
        if len(seen) in (20, 55):
            raise Stop

    folder = tmp_path / "parts"
    for _ in range(2):
        with pytest.raises(Stop):
            train_embedding(options, CORPUS, len(LEXICON.words), stop_in, folder, save_every=0.0)
    rest = learn(options, folder)
    assert rest.vectors.equal(whole.vectors)
    assert rest.curve.list_points() == whole.curve.list_points()


def test_a_checkpoint_of_other_options_is_not_gone_on_from(tmp_path: Path):
    learn(SHORT, tmp_path, save_every=0.0)
    with pytest.raises(ValueError, match="other options"):
        learn(EmbeddingOptions(dimensions=16, epochs=2, window=4), tmp_path)


def test_words_that_do_not_occur_get_no_vector(tmp_path: Path):
    corpus = Sentences.build([np.array([1, 3, 1, 3, 0])] * 50)
    trained = train_embedding(SHORT, corpus, 4, lambda _: None, tmp_path)
    assert trained.vectors.any(dim=1).tolist() == [False, True, False, True, False]


@pytest.mark.parametrize("sentences", [[], [[0, 0]], [[1], [2], [1], [2]]])
def test_words_without_company_teach_nothing(sentences, tmp_path: Path):
    corpus = Sentences.build([np.array(one, np.int64) for one in sentences])
    with pytest.raises(NothingToLearn):
        train_embedding(SHORT, corpus, 2, lambda _: None, tmp_path)


def test_a_loss_that_is_no_number_is_noticed():
    curve = Curve()
    assert curve.is_due(0.5, 7)
    curve.add(3.0, 2.0)
    assert curve.last() == 1.5
    for loss in (np.nan, np.inf):
        with pytest.raises(Diverged, match="learning_rate"):
            curve.add(loss, 2.0)


def test_a_small_corpus_is_learned_from(tmp_path: Path):
    corpus = Sentences.build([np.array([1, 2])])
    options = EmbeddingOptions(dimensions=4, epochs=1, subsample=0)
    trained = train_embedding(options, corpus, 2, lambda _: None, tmp_path)
    assert trained.curve.last() == pytest.approx(6 * np.log(2))
    assert torch.isfinite(trained.vectors).all()
