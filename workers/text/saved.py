"""What a trained network is kept as, and how it comes back."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from workers.text.classifier import TextClassifier
from workers.text.fields import Tokeniser
from workers.text.language_model import LanguageModel
from workers.text.lexicon import Lexicon
from workers.text.reader import Architecture

FORMAT = 1
WORDS = "words"  # JSON in UTF-8, as bytes: they may be more than a file's header can hold


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
    words = json.dumps(lexicon.words, ensure_ascii=False).encode()
    weights = {name: tensor.clone() for name, tensor in network.state_dict().items()}
    about = {
        "format": FORMAT,
        "kind": "classifier" if isinstance(network, TextClassifier) else "language",
        "architecture": asdict(network.architecture),
        "tokeniser": lexicon.tokeniser.model_dump(),
        "labels": list(labels),
    }
    return {**weights, WORDS: torch.frombuffer(bytearray(words), dtype=torch.uint8)}, about


def load_language(
    tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device
) -> KnownLanguage:
    """From what `pack_model` made of a language model."""
    lexicon = _read_lexicon(tensors, about)
    network = LanguageModel(Architecture(**about["architecture"]), len(lexicon))
    network.load_state_dict(_drop_words(tensors))
    return KnownLanguage(network.to(device).eval(), lexicon)


def load_classifier(
    tensors: Mapping[str, Tensor], about: Mapping[str, Any], device: torch.device
) -> KnownLabels:
    """From what `pack_model` made of a classifier."""
    lexicon, labels = _read_lexicon(tensors, about), tuple(about["labels"])
    network = TextClassifier(Architecture(**about["architecture"]), len(lexicon), len(labels))
    network.load_state_dict(_drop_words(tensors))
    return KnownLabels(network.to(device).eval(), lexicon, labels)


def _read_lexicon(tensors: Mapping[str, Tensor], about: Mapping[str, Any]) -> Lexicon:
    words = json.loads(tensors[WORDS].numpy().tobytes())
    return Lexicon(Tokeniser.model_validate(about["tokeniser"]), tuple(words))


def _drop_words(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor for name, tensor in tensors.items() if name != WORDS}
