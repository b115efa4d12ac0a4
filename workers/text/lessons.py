"""What is learned and how: batches, what they cost, and the look at the part held out."""

import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers.text.classifier import (
    LONGEST,
    TOKENS_AT_ONCE,
    TextClassifier,
    draw_texts,
    pad,
    weigh_labels,
)
from workers.text.corpora import (
    LabelledCorpus,
    LanguageCorpus,
    WordChoice,
    read_labelled_texts,
    read_text,
)
from workers.text.language_model import (
    LanguageModel,
    count_streams,
    cut_streams,
    cut_windows,
    measure_loss,
)
from workers.text.reader import WIDEST_ROW, Architecture
from workers.text.recurrent import State
from workers.text.sources import read_corpus, read_labelled

Network = LanguageModel | TextClassifier
Batch = tuple[Tensor, Tensor]  # tokens (T, B), and the tokens that follow; or lengths
Watch = Callable[[], None]  # called every moment of a long look; may raise to stop it


@dataclass(frozen=True)
class TrainOptions:
    """What fixes the result, together with the corpus."""

    architecture: Architecture = field(default_factory=Architecture)
    batches: Literal["sequential", "random"] = "sequential"  # of a language model
    steps: int = 64  # tokens the gradient goes back, of a language model
    batch_size: int = 32
    epochs: int = 20
    optimiser: Literal["adam", "sgd"] = "adam"
    learning_rate: float = 2e-3
    decay: float = 0.5  # of the rate, at each epoch without a better held-out loss
    weight_decay: float = 0.0
    clip: float = 1.0  # the longest a gradient may be
    patience: int = 3  # epochs without a better held-out loss, then it stops
    seed: int = 0


class Lesson(Protocol):
    """What a training asks of a corpus."""

    options: TrainOptions

    def make_network(self) -> Network: ...

    def draw(self, epoch: int) -> Iterator[Any]:
        """The batches of an epoch: always the same ones."""

    def cost(
        self, network: nn.Module, batch: Any, state: State | None
    ) -> tuple[Tensor, int, State | None]:
        """(mean loss, of how many, the state that fits the next batch)."""

    def check(self, network: nn.Module, watch: Watch) -> float | None:
        """The held-out loss; None if nothing is held out."""

    def identify(self) -> str:
        """A hash of the corpus."""


@dataclass
class LanguageLesson:
    """Each token is learned from those before it."""

    corpus: LanguageCorpus
    options: TrainOptions

    def make_network(self) -> LanguageModel:
        return LanguageModel(self.options.architecture, len(self.corpus.lexicon))

    def draw(self, epoch: int) -> Iterator[Batch]:
        options = self.options
        chance = np.random.default_rng((options.seed, epoch))
        steps, rows = self._fit_batch()
        tokens = self.corpus.learning[int(chance.integers(steps)) :]
        if options.batches == "random":
            return cut_windows(tokens, rows, steps, chance)
        return cut_streams(tokens, rows, steps)

    def cost(
        self, network: nn.Module, batch: Batch, state: State | None
    ) -> tuple[Tensor, int, State | None]:
        device = next(network.parameters()).device
        tokens, targets = (part.to(device) for part in batch)
        logits, last = network(tokens, state)
        loss = F.cross_entropy(logits.flatten(0, 1), targets.flatten())
        carried = detach(last) if self.options.batches == "sequential" else None
        return loss, targets.numel(), carried

    def check(self, network: nn.Module, watch: Watch) -> float | None:
        held_out = self.corpus.held_out
        if not len(held_out):
            return None
        assert isinstance(network, LanguageModel)
        return measure_loss(network, held_out, count_streams(len(held_out)), watch)

    def identify(self) -> str:
        corpus = self.corpus
        return _hash(corpus.lexicon.words, corpus.learning, corpus.held_out)

    def count_weights(self) -> int:
        return count_weights(self.make_network)

    def count_numbers(self) -> int:
        steps, rows = self._fit_batch()
        words = len(self.corpus.lexicon)
        # A logit, its logarithm of a softmax, and its gradient are in memory at once.
        return steps * rows * (count_width(self.options.architecture, words) + 3 * words)

    def _fit_batch(self) -> tuple[int, int]:
        """(steps, rows): as asked, or fewer for a small corpus."""
        size = len(self.corpus.learning)
        steps = min(self.options.steps, size // 2)
        return steps, max(1, min(self.options.batch_size, (size - steps) // steps))


@dataclass
class ClassifierLesson:
    """The label of a text is learned from its tokens."""

    corpus: LabelledCorpus
    options: TrainOptions

    def make_network(self) -> TextClassifier:
        corpus = self.corpus
        return TextClassifier(
            self.options.architecture, len(corpus.lexicon), len(corpus.label_names)
        )

    def draw(self, epoch: int) -> Iterator[np.ndarray]:
        chance = np.random.default_rng((self.options.seed, epoch))
        lengths = np.array([len(text) for text in self.corpus.learning.texts])
        return draw_texts(lengths, self.options.batch_size, chance)

    def cost(
        self, network: nn.Module, batch: np.ndarray, state: State | None
    ) -> tuple[Tensor, int, State | None]:
        device = next(network.parameters()).device
        learning = self.corpus.learning
        tokens, lengths = pad([learning.texts[row] for row in batch])
        logits = network(tokens.to(device), lengths.to(device))
        loss = F.cross_entropy(logits, learning.labels[batch].to(device))
        return loss, len(batch), state  # there is none

    def check(self, network: nn.Module, watch: Watch) -> float | None:
        held_out = self.corpus.held_out
        if not held_out.texts:
            return None
        assert isinstance(network, TextClassifier)
        weights = weigh_labels(network, held_out.texts, watch)
        return F.nll_loss(weights, held_out.labels).item()

    def identify(self) -> str:
        corpus = self.corpus
        parts = (part for some in (corpus.learning, corpus.held_out) for part in some.texts)
        labels = (some.labels.numpy() for some in (corpus.learning, corpus.held_out))
        return _hash((*corpus.lexicon.words, *corpus.label_names), *parts, *labels)

    def count_weights(self) -> int:
        return count_weights(self.make_network)

    def count_numbers(self) -> int:
        texts = self.corpus.learning.texts
        longest = min(LONGEST, max(len(text) for text in texts))
        tokens = longest * min(self.options.batch_size, len(texts))
        return max(tokens, TOKENS_AT_ONCE) * count_width(
            self.options.architecture, len(self.corpus.lexicon)
        )


def open_lesson(
    kind: Literal["language", "classifier"],
    content: bytes,
    encoding: str,
    choice: WordChoice,
    held_out: float,
    options: TrainOptions,
) -> LanguageLesson | ClassifierLesson:
    """From a file: a text, or labelled texts. Raises InvalidInput, TooLarge."""
    if kind == "language":
        text = read_corpus(content, encoding)
        return LanguageLesson(read_text(text, choice, held_out), options)
    pairs = read_labelled(content, encoding)
    return ClassifierLesson(read_labelled_texts(pairs, choice, held_out, options.seed), options)


def detach(state: State) -> State:
    """The same numbers; the gradient goes no further back."""
    if isinstance(state, tuple):
        return state[0].detach(), state[1].detach()
    return state.detach()


def count_weights(make: Callable[[], nn.Module]) -> int:
    """How many numbers are learned; none of them is made."""
    with torch.device("meta"):
        return sum(weights.numel() for weights in make().parameters())


def count_width(shape: Architecture, words: int) -> int:
    """About how many numbers the layers keep for each token until its gradient is known."""
    dense = min(words, WIDEST_ROW) if shape.embedding is None else shape.embedding
    return dense + 8 * shape.hidden * shape.layers * (2 if shape.bidirectional else 1)


def _hash(words: tuple[str, ...], *parts: np.ndarray) -> str:
    found = hashlib.sha256(repr(words).encode())
    for part in parts:
        found.update(len(part).to_bytes(8, "big"))
        found.update(part.tobytes())
    return found.hexdigest()
