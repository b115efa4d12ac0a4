"""A recurrent classifier of texts."""

from collections.abc import Callable, Iterator, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pad_sequence

from workers.text.reader import Architecture, Reader

LONGEST = 1000  # tokens of a text that are read; the rest of a longer one is not
TOKENS_AT_ONCE = 16_384  # of the texts that are weighed side by side; more than LONGEST


class TextClassifier(nn.Module):
    """Reads a text and weighs the labels by the largest of each output over all its tokens."""

    def __init__(self, architecture: Architecture, words: int, labels: int) -> None:
        """`words`: how many indices there are."""
        super().__init__()
        self.architecture, self.words = architecture, words
        self.reader = Reader(architecture, words)
        self.output = nn.Linear(self.reader.outputs, labels)

    def forward(self, tokens: Tensor, lengths: Tensor) -> Tensor:
        """Padded (T, B), (B,) lengths of at least 1 -> logits (B, labels)."""
        outputs, _ = self.reader(tokens, None, lengths)
        times = torch.arange(len(tokens), device=tokens.device).unsqueeze(1)
        behind = (times >= lengths).unsqueeze(2)
        logits: Tensor = self.output(outputs.masked_fill(behind, -torch.inf).amax(0))
        return logits


def pad(texts: Sequence[np.ndarray]) -> tuple[Tensor, Tensor]:
    """Texts of one token or more -> (T, B) int64, (B,) lengths; cut at LONGEST."""
    rows = [torch.from_numpy(text[:LONGEST]) for text in texts]
    return pad_sequence(rows), torch.tensor([len(row) for row in rows])


def draw_texts(lengths: np.ndarray, size: int, chance: np.random.Generator) -> Iterator[np.ndarray]:
    """The rows of each batch: in random order, but beside texts of about their length."""
    order = chance.permutation(len(lengths))
    pool = size * 50
    batches = []
    for start in range(0, len(order), pool):
        some = order[start : start + pool]
        some = some[np.argsort(lengths[some], kind="stable")]
        batches += [some[first : first + size] for first in range(0, len(some), size)]
    return (batches[place] for place in chance.permutation(len(batches)))


@torch.no_grad()
def weigh_labels(
    model: TextClassifier,
    texts: Sequence[np.ndarray],
    watch: Callable[[], None] = lambda: None,
) -> Tensor:
    """Log-probabilities (texts, labels), on the CPU; each text has a token or more.

    `watch` is called before each batch, and may raise.
    """
    model.eval()
    device = model.output.weight.device
    sizes = np.array([min(len(text), LONGEST) for text in texts])
    order = np.argsort(-sizes, kind="stable")
    found = torch.empty(len(texts), model.output.out_features)
    while len(order):
        watch()
        rows = TOKENS_AT_ONCE // sizes[order[0]]
        some, order = order[:rows], order[rows:]
        tokens, lengths = pad([texts[row] for row in some])
        logits = model(tokens.to(device), lengths.to(device))
        found[torch.from_numpy(some)] = logits.float().log_softmax(1).cpu()
    return found
