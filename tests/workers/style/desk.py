"""Does the jobs of a tenant of the style worker, and makes small pictures for them."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, ImageDraw

from tests.workers import desk
from workers.style.loaded import StyleWorker
from workers.style.transfer_contract import TransferRequest


class Desk(desk.Desk[StyleWorker]):
    """Its files are in the blob store of the worker."""

    @property
    def progress(self) -> list[float]:
        return [step["fraction"] for step in self.steps]

    @property
    def previews(self) -> list[str]:
        """The blob ids, in their order."""
        return [step["preview"] for step in self.steps if step["preview"]]

    def add_picture(self, image: Image.Image, kind: str = "PNG") -> str:
        """A picture as a file of the tenant; its blob id."""
        return self.add(save(image, kind))

    def open_picture(self, blob_id: str) -> Image.Image:
        return Image.open(BytesIO(self.read(blob_id)))

    def ask(self, **fields: Any) -> TransferRequest:
        """To paint a scene in stripes, with four steps at 32 x 24 pixels and two at 64 x 48."""
        usual = {
            "content": self.add_picture(draw_scene()),
            "styles": [self.add_picture(draw_stripes())],
            "steps": 6,
        }
        return TransferRequest.model_validate({**usual, **fields})


def save(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    file = BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def draw_scene(width: int = 64, height: int = 48) -> Image.Image:
    """A content: a red disc and a green hill below a blue sky."""
    image = Image.new("RGB", (width, height), (110, 160, 220))
    draw = ImageDraw.Draw(image)
    draw.ellipse((width // 8, height // 8, width // 2, height // 2), fill=(200, 60, 40))
    draw.polygon([(0, height), (width * 2 // 3, height // 3), (width, height)], fill=(60, 120, 50))
    return image


def draw_stripes(width: int = 64, height: int = 64, period: int = 8) -> Image.Image:
    """A style: yellow and black, slanting."""
    rows, columns = np.indices((height, width))
    light = (rows + columns) % period < period // 2
    return Image.fromarray(np.where(light[..., None], (230, 200, 40), (20, 20, 60)).astype("uint8"))


def draw_noise(width: int = 64, height: int = 64, seed: int = 0) -> Image.Image:
    """A style: dots of any colours."""
    dots = np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)
    return Image.fromarray(dots)
