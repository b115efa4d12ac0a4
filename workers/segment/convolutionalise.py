"""Turns the fully connected layers of an image classifier, VGG16, into convolutions."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from workers.runtime.vgg16 import VGG16
from workers.segment.fcn import FCN


def convolutionalise(network: FCN, classifier: Mapping[str, Tensor]) -> None:
    """Fill an FCN of VGG16 from the state dict of torchvision's: a window of fc6 is its picture.

    The last layer is taken over if it has the same number of classes, else it stays as it is.
    torchvision's weights named IMAGENET1K_FEATURES were trained on pixels as `normalise` makes
    them, those named IMAGENET1K_V1 were not. Raises ValueError for another network's.
    """
    if not isinstance(network.encoder, VGG16):
        raise ValueError("Only an FCN of VGG16 can be filled with one.")
    names = sorted({name.rsplit(".", 1)[0] for name in classifier}, key=_by_number)
    layers = [*network.encoder.convolutions(), network.fc6[0], network.fc7[0], network.score]
    if len(names) != len(layers):
        raise ValueError(f"VGG16 has {len(layers)} layers with weights, this has {len(names)}.")
    if len(classifier[f"{names[-1]}.weight"]) != network.config.classes:
        names.pop()
    with torch.no_grad():
        for name, layer in zip(names, layers, strict=False):
            _fill(layer, classifier, name)


def _fill(layer: nn.Module, classifier: Mapping[str, Tensor], name: str) -> None:
    for end, own in layer.named_parameters():
        found = classifier.get(f"{name}.{end}")
        if found is None or found.numel() != own.numel():
            raise ValueError(f"{name} of the classifier is no layer of VGG16.")
        own.copy_(found.view_as(own))


def _by_number(name: str) -> tuple[bool, int]:
    """features.28 before classifier.0."""
    part, _, number = name.partition(".")
    return part == "classifier", int(number) if number.isdecimal() else -1
