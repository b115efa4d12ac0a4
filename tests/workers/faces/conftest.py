"""The real networks and photographs of people, fetched once to where the product keeps them."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image

from shared.downloads import Downloads
from shared.settings import read_settings
from shared.weights import load_catalog, locate, pull
from workers.faces.find import Finder
from workers.runtime.images import decode

NEEDED = ["mtcnn-pnet.pt", "mtcnn-rnet.pt", "mtcnn-onet.pt", "dlib-face-resnet.dat"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As in production: more threads than cores wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the real files, photographs too."""
    folder = read_settings().weights
    folder.mkdir(parents=True, exist_ok=True)
    photos = [file.name for file in load_catalog().files if file.kind == "photo"]
    with Downloads(folder) as downloads:
        for name in [*NEEDED, *photos]:
            pull(name, folder, downloads=downloads)
    return folder


@pytest.fixture(scope="session")
def finder(weights: Path) -> Finder:
    return Finder(weights, torch.device("cpu"))


@pytest.fixture(scope="session")
def photo(weights: Path) -> Callable[[str], Image.Image]:
    """A photograph by its file name, upright RGB."""
    return lambda name: decode(locate(name, weights).read_bytes())
