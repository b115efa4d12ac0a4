"""How what takes long is stopped."""

from collections.abc import Callable

Stop = Callable[[], None]  # called again and again meanwhile; what it raises ends the work


def ignore() -> None:
    """Nobody stops it."""
