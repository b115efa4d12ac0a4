"""How good a trained network is, beside what anybody could guess."""

import math
from typing import Literal

import numpy as np
import torch
import torch.nn.functional as F
from sklearn.metrics import f1_score
from torch import Tensor

from workers.runtime.run import InvalidInput
from workers.text.classifier import TextClassifier, weigh_labels
from workers.text.corpora import LabelledCorpus, LabelledTexts, LanguageCorpus
from workers.text.language_model import LanguageModel, measure_loss, measure_unigram
from workers.text.lessons import ClassifierLesson, LanguageLesson, Watch
from workers.text.train import Trained

CARRIED = 100_000  # tokens a state is carried over, at least, where there are more
LEARNED_TOKENS, LEARNED_TEXTS = 100_000, 5000  # of the learning part that is measured, at most
HIGHEST = 700.0  # nats: the exponential of more is no number


def measure(
    lesson: LanguageLesson | ClassifierLesson,
    trained: Trained,
    device: torch.device,
    watch: Watch = lambda: None,
) -> dict[str, float]:
    """Losses in nats, by the weights that are kept; what is held out says so in its name.

    `watch` is called every moment, and may raise. The network is on the CPU again afterwards.
    """
    network = trained.network.to(device)
    found = {"best_epoch": float(trained.best)}
    if isinstance(network, LanguageModel) and isinstance(lesson, LanguageLesson):
        found |= measure_language(network, lesson.corpus, watch)
    if isinstance(network, TextClassifier) and isinstance(lesson, ClassifierLesson):
        found |= measure_classifier(network, lesson.corpus, watch)
    network.cpu()
    return found


def check_learned(kind: Literal["language", "classifier"], metrics: dict[str, float]) -> None:
    """Raises InvalidInput if it is no better to ask the network than how frequent each is."""
    if metrics.get("held_out_loss", metrics["loss"]) < metrics["frequency_loss"]:
        return
    raise InvalidInput(
        f"The network did not learn more than how frequent each "
        f"{'token' if kind == 'language' else 'label'} is. Send a larger corpus, more `epochs`, "
        "or another `learning_rate`; nothing was kept."
    )


def measure_language(
    network: LanguageModel, corpus: LanguageCorpus, watch: Watch = lambda: None
) -> dict[str, float]:
    """Of the first LEARNED_TOKENS tokens to learn from, and of all that are held out.

    Each is read from its first token to its last, and the state carried over all of it, or over
    a part of CARRIED tokens.
    """
    learned, held_out = corpus.learning[:LEARNED_TOKENS], corpus.held_out
    loss = measure_loss(network, learned, watch=watch)
    found = {"loss": loss, "perplexity": to_perplexity(loss)}
    if len(held_out):
        carried = measure_loss(network, held_out, max(1, len(held_out) // CARRIED), watch)
        found["held_out_loss"] = carried
        found["held_out_perplexity"] = to_perplexity(carried)
        found["held_out_unknown"] = float(np.mean(held_out == 0))
    part = held_out if len(held_out) else learned
    found["frequency_loss"] = measure_unigram(corpus.learning, part, len(corpus.lexicon))
    return found


def measure_classifier(
    network: TextClassifier, corpus: LabelledCorpus, watch: Watch = lambda: None
) -> dict[str, float]:
    """Of LEARNED_TEXTS texts to learn from at most, evenly spread, and of all held out."""
    every = math.ceil(len(corpus.learning.texts) / LEARNED_TEXTS)
    learned = LabelledTexts(corpus.learning.texts[::every], corpus.learning.labels[::every])
    counts = torch.bincount(corpus.learning.labels, minlength=len(corpus.label_names)).double()
    found = _score(network, learned, counts, watch)
    part = learned
    if corpus.held_out.texts:
        part = corpus.held_out
        scores = _score(network, part, counts, watch)
        found |= {f"held_out_{name}": score for name, score in scores.items()}
    guess = (counts / counts.sum()).log()
    return {**found, "frequency_loss": -guess[part.labels].mean().item()}


def _score(
    network: TextClassifier, part: LabelledTexts, counts: Tensor, watch: Watch
) -> dict[str, float]:
    """`counts`: (labels,) texts to learn from."""
    weights = weigh_labels(network, part.texts, watch)
    chosen = weights.argmax(1)
    return {
        "loss": F.nll_loss(weights, part.labels).item(),
        "accuracy": (chosen == part.labels).double().mean().item(),
        "macro_f1": float(f1_score(part.labels, chosen, average="macro", zero_division=0.0)),
        "majority": (part.labels == counts.argmax()).double().mean().item(),
    }


def to_perplexity(loss: float) -> float:
    """Of nats a token."""
    return math.exp(min(loss, HIGHEST))
