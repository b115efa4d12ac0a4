"""A recurrent language model, which says how likely each next token is."""

from collections.abc import Callable, Iterator

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from workers.text.reader import Architecture, Reader
from workers.text.recurrent import State

CHUNK = 512  # steps read at once where no gradient is wanted
STREAMS = 16  # parts of a text read side by side, where the time counts more than each first token
LEAST_STREAM = 1000  # tokens: with shorter parts the starts without a state would show


class LanguageModel(nn.Module):
    """Reads tokens and weighs the next ones (Mikolov et al. 2010; LSTM: Zaremba et al. 2014)."""

    def __init__(self, architecture: Architecture, words: int) -> None:
        """`words`: how many indices there are. Raises ValueError for ties that do not fit."""
        super().__init__()
        self.architecture, self.words = architecture, words
        self.reader = Reader(architecture, words)
        self.output = nn.Linear(self.reader.outputs, words)
        if architecture.tied:
            if self.reader.embedding is None or architecture.embedding != architecture.hidden:
                raise ValueError("`tied` needs an `embedding` as large as `hidden`.")
            self.output.weight = self.reader.embedding.weight

    def forward(self, tokens: Tensor, state: State | None = None) -> tuple[Tensor, State]:
        """(T, B) -> logits of the tokens that follow, (T, B, words), and the last state."""
        outputs, state = self.reader(tokens, state)
        return self.output(outputs), state


def cut_streams(tokens: np.ndarray, streams: int, steps: int) -> Iterator[tuple[Tensor, Tensor]]:
    """(T, streams) tokens and those that follow them, one piece of each stream after the other.

    The state at the end of a piece fits the beginning of the next. A rest shorter than `streams`
    is left out.
    """
    length = (len(tokens) - 1) // streams
    inputs = torch.from_numpy(tokens[: streams * length].reshape(streams, length).T)
    targets = torch.from_numpy(tokens[1 : streams * length + 1].reshape(streams, length).T)
    for start in range(0, length, steps):
        yield inputs[start : start + steps], targets[start : start + steps]


def cut_windows(
    tokens: np.ndarray, rows: int, steps: int, chance: np.random.Generator
) -> Iterator[tuple[Tensor, Tensor]]:
    """As `cut_streams`, but each batch holds windows from anywhere: no state fits them."""
    starts = chance.permutation(np.arange(0, len(tokens) - steps, steps))
    for first in range(0, len(starts), rows):
        places = starts[first : first + rows] + np.arange(steps)[:, np.newaxis]  # (T, B)
        yield torch.from_numpy(tokens[places]), torch.from_numpy(tokens[places + 1])


@torch.no_grad()
def measure_loss(
    model: LanguageModel,
    tokens: np.ndarray,
    streams: int = 1,
    watch: Callable[[], None] = lambda: None,
) -> float:
    """Nats a token, the state being carried from the first one of each stream to its last.

    `watch` is called before each piece, and may raise.
    """
    device = model.output.weight.device
    total, count, state = 0.0, 0, None
    model.eval()
    for inputs, targets in cut_streams(tokens, streams, max(1, CHUNK // streams)):
        watch()
        logits, state = model(inputs.to(device), state)
        wanted = targets.to(device).flatten()
        total += float(F.cross_entropy(logits.flatten(0, 1), wanted, reduction="sum"))
        count += targets.numel()
    return total / count


def count_streams(tokens: int) -> int:
    """Into how many streams a text is cut for a quick look at its loss."""
    return max(1, min(STREAMS, tokens // LEAST_STREAM))


def measure_unigram(learning: np.ndarray, tokens: np.ndarray, words: int) -> float:
    """Nats a token costs that is guessed by its frequency in the learning part, plus one."""
    counts = np.bincount(learning, minlength=words) + 1.0
    return float(-np.log(counts / counts.sum())[tokens].mean())
