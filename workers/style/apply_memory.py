"""How much memory painting in one pass takes, told before anything of it is made."""

from workers.runtime.run import TooLarge
from workers.runtime.training_memory import USABLE, find_memory
from workers.style.one_pass import OnePassConfig

# Maps as large as the picture that are there at once, what a layer reads and makes and copies of
# it: 5.2 were measured of 2048 x 2048 pixels, and of a network twice as wide.
MAPS = 6
MOST_TOGETHER = 2**20  # pixels of pictures that are painted in one pass
FLOAT = 4  # bytes


def measure_pass(config: OnePassConfig, width: int, height: int) -> int:
    """Bytes that a pass takes for one picture of this size."""
    return MAPS * FLOAT * config.width * width * height


def check_memory(config: OnePassConfig, width: int, height: int) -> None:
    """Raises TooLarge for a picture that is more than this machine can paint."""
    needed, allowed = measure_pass(config, width, height), int(USABLE * find_memory())
    if needed > allowed:
        raise TooLarge(
            f"Painting {width} x {height} pixels takes about {needed / 2**30:.1f} GB of memory, "
            f"more than the {allowed / 2**30:.1f} GB this worker may use: choose a smaller `size`."
        )


def count_together(width: int, height: int) -> int:
    """How many pictures of this size may be painted in one pass."""
    return max(1, MOST_TOGETHER // (width * height))
