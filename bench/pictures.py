"""Two hundred small photographs, the same on every machine, and which network looks at them."""

import random
import secrets
from io import BytesIO

from PIL import Image

from shared.settings import read_settings
from shared.weights import locate

PHOTOS = ("astronaut.png", "chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png")
COUNT = 200
SIZE = (320, 240)
MODEL = "yolov3-tiny"  # not the default: figures of all times are of the same network


def make_pictures(count: int = COUNT, seed: int = 0, size: tuple[int, int] = SIZE) -> list[bytes]:
    """JPEG files: crops of the packaged photographs, scaled to `size`, which is 4 : 3 too."""
    photos = [open_photo(name) for name in PHOTOS]
    generator = random.Random(seed)
    return [_crop(generator.choice(photos), generator, size) for _ in range(count)]


def open_photo(name: str) -> Image.Image:
    """A packaged one, RGB."""
    return Image.open(locate(name, read_settings().weights)).convert("RGB")


def _crop(photo: Image.Image, generator: random.Random, size: tuple[int, int]) -> bytes:
    height = generator.randint(200, min(photo.height, photo.width * 3 // 4))
    width = height * 4 // 3
    left = generator.randint(0, photo.width - width)
    top = generator.randint(0, photo.height - height)
    file = BytesIO()
    photo.crop((left, top, left + width, top + height)).resize(size).save(file, "JPEG", quality=85)
    return file.getvalue()


def renew(picture: bytes) -> bytes:
    """The same picture as a file nobody has seen; decoders stop before the added bytes."""
    return picture + secrets.token_bytes(16)
