"""Zips of pictures that nothing can be learned from: damaged, odd, or lies."""

from PIL import Image

from tests.e2e.bad_masks import EMPTY_ZIP, declare
from tests.e2e.clients import pack
from tests.workers.style.desk import draw_scene, save

PICTURE = save(draw_scene())
WHOLE = pack({"a.png": PICTURE, "b/c.png": save(draw_scene(80, 60))})
HUGE = 10**9  # pixels of a side
PHOTOGRAPH = save(draw_scene(400, 300), "JPEG")

# What it is: the zip, and what the refusal says among others.
BAD: dict[str, tuple[bytes, str]] = {
    "an empty zip": (EMPTY_ZIP, "cannot be read"),
    "half a zip": (WHOLE[: len(WHOLE) // 2], "cannot be read"),
    "a path that leaves": (pack({"../../a.png": PICTURE}), "leaves"),
    "no pictures": (pack({"a.txt": "hello", "b.py": "print()"}), "picture"),
    "pictures by name alone": (pack({"a.png": "hello", "b.jpg": PHOTOGRAPH[:200]}), "picture"),
    "a picture of 10^18 pixels": (pack({"a.png": declare(HUGE, HUGE)}), "picture"),
    "an animation of nothing": (pack({"a.gif": save(Image.new("P", (9, 9)), "GIF")}), "picture"),
    "hidden ones": (pack({"__MACOSX/a.png": PICTURE, ".b.png": PICTURE}), "picture"),
}
