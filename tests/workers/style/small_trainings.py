"""Small trainings of one-pass networks: pictures, options and jobs."""

from pathlib import PurePosixPath
from typing import Any

from PIL import Image

from tests.workers.file_sets import make_zip
from tests.workers.style.desk import Desk, draw_scene, draw_stripes, save
from workers.style.contents import Contents, gather, watch_nothing
from workers.style.one_pass import OnePassConfig
from workers.style.train_options import TrainOptions
from workers.style.training_contract import TrainRequest

SMALL = TrainOptions(
    OnePassConfig(width=4, blocks=1), window=32, style_size=32, steps=6, batch=2, style_weight=1.0
)


def make_contents(*images: Image.Image) -> Contents:
    files = {PurePosixPath(f"{place}.png"): save(image) for place, image in enumerate(images)}
    return gather({path: lambda one=one: one for path, one in files.items()}, watch_nothing)


def make_files() -> dict[str, bytes | str]:
    """Four pictures and a text."""
    scenes = {f"deep/{n}.png": save(draw_scene(60 + 8 * n, 48)) for n in range(4)}
    return {**scenes, "notes.txt": "no picture"}


def ask(desk: Desk, **values: Any) -> TrainRequest:
    """A job of few steps."""
    files = values.pop("files", make_files())
    tiny = {"window": 32, "style_size": 32, "batch_size": 2, "width": 4, "blocks": 1, "steps": 6}
    tiny |= {"data": desk.add(make_zip(files).getvalue()), "style_weight": 1.0}
    return TrainRequest.model_validate(
        {"style": desk.add_picture(draw_stripes()), **tiny, **values}
    )
