"""What a trained network is kept as, and how it comes back."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from workers.text.classifier import TextClassifier
from workers.text.fields import Tokeniser
from workers.text.language_model import LanguageModel
from workers.text.lexicon import Lexicon, pack_words, unpack_words
from workers.text.reader import Architecture

FORMAT = 1
WORDS = "words"


@dataclass(frozen=True)
class KnownLanguage:
    """A language model and its words."""

    network: LanguageModel
    lexicon: Lexicon


@dataclass(frozen=True)
class KnownLabels:
    """A classifier, its words and its labels."""

    network: TextClassifier
    lexicon: Lexicon
    labels: tuple[str, ...]


def pack_model(
    network: LanguageModel | TextClassifier, lexicon: Lexicon, labels: tuple[str, ...] = ()
) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(tensors, what they are)."""
    about = {
        "format": FORMAT,
        "kind": "classifier" if isinstance(network, TextClassifier) else "language",
        "architecture": asdict(network.architecture),
        "tokeniser": lexicon.tokeniser.model_dump(),
        "labels": list(labels),
    }
    return {**list_weights(network), WORDS: pack_words(lexicon.words)}, about


def list_weights(network: nn.Module) -> dict[str, Tensor]:
    """Not copied; those that are tied once."""
    return {name: weights.detach() for name, weights in network.named_parameters()}


def load_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> None:
    """Copy what `list_weights` listed into a network of the same shape."""
    names = {id(own): name for name, own in network.named_parameters()}
    every = network.named_parameters(remove_duplicate=False)
    network.load_state_dict({name: weights[names[id(own)]] for name, own in every})


def load_language(
    tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device
) -> KnownLanguage:
    """From what `pack_model` made of a language model. Raises ValueError for anything else."""
    _check_kind(about, "language")
    lexicon = _read_lexicon(tensors, about)
    network = LanguageModel(Architecture(**about["architecture"]), len(lexicon))
    load_weights(network, tensors)
    return KnownLanguage(network.to(device).eval(), lexicon)


def load_classifier(
    tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device
) -> KnownLabels:
    """From what `pack_model` made of a classifier. Raises ValueError for anything else."""
    _check_kind(about, "classifier")
    lexicon, labels = _read_lexicon(tensors, about), tuple(about["labels"])
    network = TextClassifier(Architecture(**about["architecture"]), len(lexicon), len(labels))
    load_weights(network, tensors)
    return KnownLabels(network.to(device).eval(), lexicon, labels)


def _check_kind(about: Mapping[str, Any], kind: str) -> None:
    found = about.get("format"), about.get("kind")
    if found != (FORMAT, kind):
        raise ValueError(f"Its format and kind are {found}, and {(FORMAT, kind)} are read.")


def _read_lexicon(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Lexicon:
    return Lexicon(Tokeniser.model_validate(about["tokeniser"]), unpack_words(tensors[WORDS]))
