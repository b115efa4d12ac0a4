"""Style transfer as textbooks write it (Dive into Deep Learning, 14.12): one loop over one network.

The weights of the network are left to be trained, as there: their gradients are computed too.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count

import torch
from torch import Tensor, nn

from workers.style.layers import DEPTHS


@dataclass(frozen=True)
class Settings:
    """What is compared, and how much each term counts."""

    content_layers: tuple[str, ...]
    style_layers: tuple[str, ...]
    content_weight: float
    style_weight: float
    tv_weight: float


class SynthesizedImage(nn.Module):
    """The picture is the only weight that the optimiser gets."""

    def __init__(self, start: Tensor) -> None:
        super().__init__()
        self.weight = nn.Parameter(start.clone())

    def forward(self) -> Tensor:
        return self.weight


class Rescale(nn.Module):
    """From pixels normalised as torchvision's are to those that the weights were trained with."""

    def __init__(self, factor: Tensor, offset: Tensor) -> None:
        super().__init__()
        self.factor, self.offset = factor, offset

    def forward(self, picture: Tensor) -> Tensor:
        return picture * self.factor + self.offset


def make_network(convolutions: Sequence[tuple[Tensor, Tensor]]) -> nn.Sequential:
    """VGG16 as torchvision builds it, of weights and biases; its layers are named conv1_1, ..."""
    network, given = nn.Sequential(), iter(convolutions)
    for stage, depth in enumerate(DEPTHS["vgg16"], 1):
        for place in range(1, depth + 1):
            weight, bias = next(given)
            layer = nn.Conv2d(weight.shape[1], weight.shape[0], 3, padding=1)
            layer.weight = nn.Parameter(weight.contiguous().clone())
            layer.bias = nn.Parameter(bias.clone())
            network.add_module(f"conv{stage}_{place}", layer)
            network.add_module(f"relu{stage}_{place}", nn.ReLU(inplace=True))
        network.add_module(f"pool{stage}", nn.MaxPool2d(2))
    return network


def cut(network: nn.Sequential, settings: Settings) -> nn.Sequential:
    """Without what follows the deepest layer that is asked for."""
    names = [name for name, _ in network.named_children()]
    last = max(names.index(name) for name in settings.content_layers + settings.style_layers)
    return network[: last + 1]


def extract_features(
    network: nn.Sequential, picture: Tensor, settings: Settings
) -> dict[str, Tensor]:
    found = {}
    for name, layer in network.named_children():
        picture = layer(picture)
        if name in settings.content_layers + settings.style_layers:
            found[name] = picture
    return found


def content_loss(found: Tensor, wanted: Tensor) -> Tensor:
    return torch.square(found - wanted.detach()).mean()


def gram(features: Tensor) -> Tensor:
    channels, count = features.shape[1], features.numel() // features.shape[1]
    flat = features.reshape((channels, count))
    return torch.matmul(flat, flat.T) / (channels * count)


def style_loss(found: Tensor, wanted: Tensor) -> Tensor:
    return torch.square(gram(found) - wanted.detach()).mean()


def tv_loss(picture: Tensor) -> Tensor:
    down = torch.abs(picture[:, :, 1:, :] - picture[:, :, :-1, :]).mean()
    right = torch.abs(picture[:, :, :, 1:] - picture[:, :, :, :-1]).mean()
    return 0.5 * (down + right)


class Textbook:
    """One painting; pictures are normalised, (1, 3, H, W)."""

    def __init__(
        self, network: nn.Sequential, settings: Settings, content: Tensor, style: Tensor
    ) -> None:
        self.network, self.settings = cut(network, settings), settings
        with torch.no_grad():
            of_content = extract_features(self.network, content, settings)
            of_style = extract_features(self.network, style, settings)
        self.contents = {name: of_content[name] for name in settings.content_layers}
        self.grams = {name: gram(of_style[name]) for name in settings.style_layers}
        self.picture = SynthesizedImage(content)

    def compute_losses(self) -> tuple[Tensor, Tensor, Tensor]:
        """Of content, style and total variation, each times its weight."""
        picture = self.picture()
        settings = self.settings
        found = extract_features(self.network, picture, settings)
        content = sum_up({n: content_loss(found[n], it) for n, it in self.contents.items()})
        style = sum_up({n: style_loss(found[n], it) for n, it in self.grams.items()})
        tv = tv_loss(picture)
        return (
            content * settings.content_weight,
            style * settings.style_weight,
            tv * settings.tv_weight,
        )

    def steps(self, rate: Callable[[int], float]) -> Iterator[float]:
        """Takes one step, and tells the sum of the losses that it found, as often as asked.

        `rate`: the learning rate of a step.
        """
        trainer = torch.optim.Adam(self.picture.parameters(), lr=rate(0))
        for step in count():
            trainer.param_groups[0]["lr"] = rate(step)
            trainer.zero_grad()
            loss = torch.stack(self.compute_losses()).sum()
            loss.backward()  # type: ignore[no-untyped-call]
            trainer.step()
            yield float(loss.detach())


def sum_up(terms: Mapping[str, Tensor]) -> Tensor:
    return torch.stack(list(terms.values())).sum()
