"""What a VGG network sees in a picture: the maps of its layers, by their names."""

from collections.abc import Collection, Iterator, Sequence
from itertools import chain
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor
from torch.nn import functional as F

from shared.weights import WeightsError, locate
from workers.runtime import vgg16
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.vgg16_weights import FILE, load_vgg16
from workers.style.convolution import Convolution, FrozenLayer, watch_gradient
from workers.style.fields import Network, Pooling, Precision
from workers.style.gram_cache import GramCache
from workers.style.layers import list_layers
from workers.style.levels import VGG16_LEVELS, draw_leaves, level
from workers.style.pictures import DEVIATION, MEAN
from workers.style.stops import Stop, ignore

VGG19 = "vgg19.pth"  # its name in the catalogue of pretrained files


class Features:
    """A frozen network: gradients flow to the pixels alone."""

    def __init__(
        self,
        network: Network,
        pooling: Pooling,
        convolutions: Sequence[Convolution],
        mean: Sequence[float] = MEAN,
        deviation: Sequence[float] = DEVIATION,
        device: torch.device | None = None,
    ) -> None:
        """`convolutions`: all of the network, of any numbers of channels, in their order.

        `mean` and `deviation`: of the pixels it was trained with, red, green, blue in [0, 1].
        """
        self.network, self.pooling, self.device = network, pooling, device or torch.device("cpu")
        names = [name for name in list_layers(network) if name.startswith("conv")]
        self.layers = {
            name: FrozenLayer(weight.detach().to(self.device), bias.detach().to(self.device))
            for name, (weight, bias) in zip(names, convolutions, strict=True)
        }
        self.mean = torch.tensor(mean, device=self.device).view(3, 1, 1)
        self.deviation = torch.tensor(deviation, device=self.device).view(3, 1, 1)
        self.styles = GramCache()  # what it saw in styles, for the next job that has the same

    def look(
        self,
        pixels: Tensor,
        wanted: Collection[str],
        precision: Precision = "float32",
        watch: Stop = ignore,
    ) -> dict[str, Tensor]:
        """Maps (N, C, h, w) by layer, of RGB pixels (N, 3, H, W) in [0, 1].

        They have the precision asked for, and are channels_last. Nothing runs after the deepest
        layer wanted. `watch` is called between layers, and on a CPU within large ones of float32,
        forward and backward; what it raises ends the pass. In bfloat16 one layer of a large
        picture may take a CPU seconds.
        """
        return dict(self.walk(pixels, wanted, precision, watch))

    def walk(
        self,
        pixels: Tensor,
        wanted: Collection[str],
        precision: Precision = "float32",
        watch: Stop = ignore,
    ) -> Iterator[tuple[str, Tensor]]:
        """What `look` gives, each as soon as it is there.

        Who makes of maps what he wants of them before he asks for the next needs less memory:
        without gradients maps are not kept, and of gradients that of the deepest comes first.
        """
        maps = ((pixels - self.mean) / self.deviation).to(memory_format=torch.channels_last)
        maps = maps.to(getattr(torch, precision))
        names = list_layers(self.network)
        for name in names[: 1 + max(names.index(one) for one in wanted)]:
            watch()
            maps = self._run(name, maps, wanted, watch)
            watch_gradient(maps, watch)
            if name in wanted:
                yield name, maps

    def _run(self, name: str, maps: Tensor, wanted: Collection[str], watch: Stop) -> Tensor:
        kind, place = name[:4], name[4:]
        if kind == "conv":
            return self.layers[name].convolve(maps, name not in wanted, watch)
        if kind == "relu":  # which a convolution whose own maps nobody wants has done
            return F.relu(maps) if f"conv{place}" in wanted else maps
        # a side of one pixel cannot be halved
        window = min(2, maps.shape[2]), min(2, maps.shape[3])
        return (F.max_pool2d if self.pooling == "max" else F.avg_pool2d)(maps, window)


def load_features(
    network: Network, pooling: Pooling, folder: Path, device: torch.device
) -> Features:
    """The pretrained network, its layers levelled, ready to look.

    `folder`: of the pulled files. Raises MissingPretrained, whose text names the command that
    fetches what is missing.
    """
    try:
        if network == "vgg16":
            built = vgg16.VGG16()
            load_vgg16(built, locate(FILE, folder))
            levelled = level(read_convolutions(built.state_dict()), chain(*VGG16_LEVELS[pooling]))
            return Features(network, pooling, levelled, vgg16.MEAN, [1 / 255] * 3, device)
        state = torch.load(locate(VGG19, folder), map_location="cpu", weights_only=True)
        found = read_convolutions(state)
        means = measure_means(Features(network, pooling, found), [draw_leaves(0), draw_leaves(1)])
        return Features(network, pooling, level(found, means), device=device)
    except (WeightsError, ValueError) as error:
        raise MissingPretrained(str(error)) from error


@torch.inference_mode()
def measure_means(features: Features, pictures: Sequence[Tensor]) -> list[float]:
    """Of each ReLU in order: the mean of all it gives for RGB pictures (1, 3, H, W) in [0, 1]."""
    names = [name for name in list_layers(features.network) if name.startswith("relu")]
    seen = [features.look(picture, names) for picture in pictures]
    return [fmean(maps[name].mean().item() for maps in seen) for name in names]


def read_convolutions(state: dict[str, Tensor]) -> list[Convolution]:
    """Of the state of a VGG, in the order in which they run, without the classifier."""
    weights = [name for name in state if name.endswith(".weight") and "classifier" not in name]
    return [(state[name], state[name.removesuffix("weight") + "bias"]) for name in weights]
