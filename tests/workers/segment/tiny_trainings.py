"""Small jobs of training, on files of coloured rectangles."""

from typing import Any

from tests.workers.file_sets import Contents, make_zip
from tests.workers.segment.coloured import make_pictures
from tests.workers.segment.desk import Desk
from workers.segment.training_contract import TrainRequest

TINY = {"encoder": "thin", "height": 64, "width": 64, "batch_size": 4, "epochs": 3}
TINY |= {"held_out": 0.25, "augment": False, "learning_rate": 4e-3}


def make_files(count: int, part: str = "", seed: int = 0) -> Contents:
    """Pictures and masks in folders, of one part if it is named."""
    files: Contents = {}
    for number, one in enumerate(make_pictures(count, seed).pictures):
        name = f"{part}/{number:03}.png" if part else f"{number:03}.png"
        files |= {f"images/{name}": one.read(), f"masks/{name}": one.read_mask()}
    return files


def ask(desk: Desk, files: Contents, **values: Any) -> TrainRequest:
    data = desk.add(make_zip(files).getvalue())
    return TrainRequest.model_validate({"data": data, **TINY, **values})
