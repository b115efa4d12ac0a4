"""How good a trained network is, beside what anybody could guess."""

import math

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score

from workers.text.classifier import TextClassifier, weigh_labels
from workers.text.corpora import LabelledCorpus, LanguageCorpus
from workers.text.language_model import LanguageModel, measure_loss, measure_unigram
from workers.text.lessons import ClassifierLesson, LanguageLesson
from workers.text.train import Trained

CARRIED = 100_000  # tokens a state is carried over, at least, where there are more
HIGHEST = 700.0  # nats: the exponential of more is no number


def measure(
    lesson: LanguageLesson | ClassifierLesson, trained: Trained, device: torch.device
) -> dict[str, float]:
    """Losses in nats; what is measured on the part held out says so.

    The network is on the CPU again afterwards.
    """
    network = trained.network.to(device)
    found = {"loss": trained.losses[trained.best - 1], "best_epoch": float(trained.best)}
    if isinstance(network, LanguageModel) and isinstance(lesson, LanguageLesson):
        found |= measure_language(network, lesson.corpus, found["loss"])
    if isinstance(network, TextClassifier) and isinstance(lesson, ClassifierLesson):
        found |= measure_classifier(network, lesson.corpus)
    network.cpu()
    return found


def has_learned(metrics: dict[str, float]) -> bool:
    """Better than to guess each token, or label, by how frequent it is."""
    return metrics.get("held_out_loss", metrics["loss"]) < metrics["frequency_loss"]


def measure_language(
    network: LanguageModel, corpus: LanguageCorpus, loss: float
) -> dict[str, float]:
    """`loss`: of the learning part. The held-out text is read from its first token to its last,
    and the state carried over all of it, or over a part of CARRIED tokens."""
    held_out, words = corpus.held_out, len(corpus.lexicon)
    found = {"perplexity": to_perplexity(loss)}
    if not len(held_out):
        return {**found, "frequency_loss": measure_unigram(corpus.learning, corpus.learning, words)}
    carried = measure_loss(network, held_out, max(1, len(held_out) // CARRIED))
    return {
        **found,
        "held_out_loss": carried,
        "held_out_perplexity": to_perplexity(carried),
        "held_out_unknown": float(np.mean(held_out == 0)),
        "frequency_loss": measure_unigram(corpus.learning, held_out, words),
    }


def measure_classifier(network: TextClassifier, corpus: LabelledCorpus) -> dict[str, float]:
    """Of the part held out, or else of the learning part."""
    held_out = bool(corpus.held_out.texts)
    part = corpus.held_out if held_out else corpus.learning
    counts = torch.bincount(corpus.learning.labels, minlength=len(corpus.label_names)).double()
    guess = (counts / counts.sum()).log()
    weights = weigh_labels(network, part.texts)
    chosen = weights.argmax(1)
    name = "held_out_" if held_out else ""
    return {
        f"{name}loss": F.nll_loss(weights, part.labels).item(),
        f"{name}accuracy": (chosen == part.labels).double().mean().item(),
        f"{name}macro_f1": float(f1_score(part.labels, chosen, average="macro", zero_division=0.0)),
        f"{name}majority": (part.labels == counts.argmax()).double().mean().item(),
        "frequency_loss": -guess[part.labels].mean().item(),
    }


def to_perplexity(loss: float) -> float:
    """Of nats a token."""
    return math.exp(min(loss, HIGHEST))
