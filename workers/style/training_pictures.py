"""Draws how a training goes: the style, some pictures, and as the network paints them."""

from collections.abc import Iterator

import numpy as np
from PIL import Image

from workers.runtime.sheets import arrange, put_below
from workers.style.contents import Contents
from workers.style.one_pass import OnePass
from workers.style.pictures import fit, to_image, to_tensor
from workers.style.served import Served
from workers.style.stops import Stop, ignore

MOST = 3  # pictures
SIDE = 320  # pixels of their longer side
FLAT = 2.0  # of 255: what a colour spreads over a picture that hardly shows anything


class Samples:
    """A few pictures, spread over those that are learned from, as small ones."""

    def __init__(self, style: Image.Image, data: Contents) -> None:
        """Raises InvalidInput if a file changed since it was looked at."""
        places = np.linspace(0, len(data) - 1, min(MOST, len(data))).round().astype(int)
        self.style = shrink(style)
        self.pictures = [shrink(data.pictures[place].open()) for place in places]

    def draw(self, network: OnePass, watch: Stop = ignore) -> Image.Image:
        """The style; below it each picture, and beside it as it is painted.

        `watch` is called before each of them, and may raise.
        """
        cells = list[Image.Image]()
        for picture, painted in zip(self.pictures, self.paint(network, watch), strict=True):
            cells += [picture, painted]
        return put_below([self.style, arrange(cells, columns=2)])

    def paint(self, network: OnePass, watch: Stop = ignore) -> Iterator[Image.Image]:
        served = Served("", network)
        for picture in self.pictures:
            watch()
            yield to_image(served.paint(to_tensor(picture)))

    def are_lost(self, network: OnePass) -> bool:
        """Whether it paints all of them in one colour, though they have several."""
        pairs = zip(self.pictures, self.paint(network), strict=True)
        seen = [(spread(picture), spread(painted)) for picture, painted in pairs]
        return max(seen)[0] >= FLAT and all(painted < FLAT for _, painted in seen)


def shrink(picture: Image.Image) -> Image.Image:
    return picture.resize(fit(*picture.size, SIDE))


def spread(picture: Image.Image) -> float:
    """The standard deviation of the colour channel that varies most, of 255."""
    deviations: np.ndarray = np.asarray(picture, np.float32).std(axis=(0, 1))
    return float(deviations.max())
