"""How much memory there is, and the refusal of what would take more."""

import os
from pathlib import Path

from workers.runtime.run import TooLarge

USABLE = 0.75  # of the memory; the rest is for the interpreter, the pictures, the system
CONTAINER = Path("/sys/fs/cgroup/memory.max")  # its limit, in control groups of version 2


def refuse_beyond(needed: int, what: str, advice: str) -> None:
    """Raises TooLarge, "`what` would take ...: `advice`", for more bytes than a job may use."""
    allowed = find_usable()
    if needed > allowed:
        raise TooLarge(
            f"{what} would take about {needed / 2**30:.1f} GB of memory, more than the "
            f"{allowed / 2**30:.1f} GB this worker may use: {advice}"
        )


def find_usable() -> int:
    """Bytes that a job may use."""
    return int(USABLE * find_memory())


def find_memory() -> int:
    """Bytes of the machine, or of the container this runs in if those are fewer."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = CONTAINER.read_text().strip() if CONTAINER.exists() else "max"
    return machine if limit == "max" else min(machine, int(limit))
