"""How much memory painting in one pass takes, told before anything of it is made."""

from workers.runtime.memory import refuse_beyond
from workers.style.one_pass import OnePassConfig

# Maps as large as the picture that are there at once, what a layer reads and makes and copies of
# it: 2.7 were measured of 2048 x 2048 pixels, as much of a network twice as wide.
MAPS = 4
MOST_TOGETHER = 2**20  # pixels of pictures that are painted in one pass
FLOAT = 4  # bytes


def measure_pass(config: OnePassConfig, width: int, height: int) -> int:
    """Bytes that a pass takes for one picture of this size."""
    return MAPS * FLOAT * config.width * width * height


def check_memory(config: OnePassConfig, width: int, height: int) -> None:
    """Raises TooLarge for a picture that is more than this machine can paint."""
    what = f"Painting {width} x {height} pixels"
    refuse_beyond(measure_pass(config, width, height), what, "choose a smaller `size`.")


def count_together(width: int, height: int) -> int:
    """How many pictures of this size may be painted in one pass."""
    return max(1, MOST_TOGETHER // (width * height))
