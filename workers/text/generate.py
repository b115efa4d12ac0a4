"""Writes text with a language model, token after token."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers.text.fields import Tokeniser
from workers.text.language_model import LanguageModel
from workers.text.lexicon import Lexicon
from workers.text.tokenise import cut, join

MOST_FREQUENT = 1  # the index a model starts from where nothing was given


@dataclass(frozen=True)
class Written:
    indices: list[int]
    loss: float  # nats, mean; by the model itself, whatever temperature and top_k were


@torch.no_grad()
def write_tokens(
    model: LanguageModel,
    prefix: Sequence[int],
    length: int,
    temperature: float,
    top_k: int | None = None,
    seed: int = 0,
    watch: Callable[[int], None] = lambda _written: None,
) -> Written:
    """`length` tokens that follow the prefix, never the unknown one unless it is the only one.

    The state is 0 before the prefix; an empty one is the most frequent token. At a temperature
    of 0 it is always the likeliest token, of the first index if several are. `watch` is told how
    many tokens are written, and may raise.
    """
    model.eval()
    device = model.output.weight.device
    chance = np.random.default_rng(seed)
    tokens = torch.tensor(prefix or [MOST_FREQUENT], device=device).unsqueeze(1)
    outputs, state = model.reader(tokens)
    written: list[int] = []
    loss = 0.0
    for _ in range(length):
        logits = model.output(outputs[-1, 0]).double().cpu()
        index = choose_token(logits, temperature, top_k, chance)
        loss -= logits.log_softmax(0)[index].item()
        written.append(index)
        watch(len(written))
        outputs, state = model.reader(torch.tensor([[index]], device=device), state)
    return Written(written, loss / length)


def choose_token(
    logits: Tensor, temperature: float, top_k: int | None, chance: np.random.Generator
) -> int:
    """An index from (words,) float64 logits: 1 or more where there are two words."""
    known = logits[1:].numpy()
    order = np.argsort(-known, kind="stable")[:top_k]
    if temperature == 0:
        return 1 + int(order[0])
    # Division may go to minus infinity, which is a chance of 0; the likeliest token stays at 0.
    with np.errstate(over="ignore"):
        weights = np.exp((known[order] - known[order[0]]) / temperature)
    return 1 + int(order[chance.choice(len(order), p=weights / weights.sum())])


def encode_prefix(lexicon: Lexicon, prefix: str) -> list[int]:
    tokens = cut(lexicon.tokeniser, prefix)
    if lexicon.tokeniser.unit == "characters" and prefix[-1:].isspace():
        tokens = _keep_blank(tokens)
    return [int(index) for index in lexicon.encode(tokens)]


def _keep_blank(tokens: list[str]) -> list[str]:
    """Cutting a line to letters takes the blank at its end, after which a word is to come."""
    return tokens if not tokens or tokens[-1].isspace() else [*tokens, " "]


def join_texts(tokeniser: Tokeniser, prefix: str, continuation: str) -> str:
    """The prefix as it was given, and what follows."""
    apart = prefix and not prefix[-1].isspace() and tokeniser.unit in ("words", "whitespace")
    return prefix + (" " if apart else "") + continuation


def write_text(
    model: LanguageModel, lexicon: Lexicon, prefix: str, length: int, **how: Any
) -> tuple[str, float]:
    """(what follows the prefix, its loss in nats a token)."""
    written = write_tokens(model, encode_prefix(lexicon, prefix), length, **how)
    return join(lexicon.tokeniser, lexicon.decode(written.indices)), written.loss
