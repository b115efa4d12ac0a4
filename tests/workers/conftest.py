"""What the tests of all workers share: the pretrained files, where the product keeps them."""

from pathlib import Path

import pytest
import torch

from shared.downloads import Downloads
from shared.settings import read_settings
from shared.weights import load_catalog, pull


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """As in production: more threads than cores wait for each other."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def weights() -> Path:
    """The folder with the real files, photographs too."""
    folder = read_settings().weights
    folder.mkdir(parents=True, exist_ok=True)
    with Downloads(folder) as downloads:
        for file in load_catalog().files:
            if not file.optional:
                pull(file.name, folder, downloads=downloads)
    return folder
