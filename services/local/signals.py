"""Turns the signals that ask a process to end into an orderly exit."""

import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

Handler = Callable[[int, FrameType | None], object]

ENDING = (signal.SIGTERM, signal.SIGHUP)


@contextmanager
def exit_on_signals() -> Iterator[None]:
    """Raise SystemExit when asked to end, so that `finally` blocks run; main thread only."""

    def leave(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    with _handling(dict.fromkeys(ENDING, leave)):
        yield


@contextmanager
def defer_signals() -> Iterator[None]:
    """Let the block end first, then deliver what came meanwhile, Ctrl-C included."""
    came: list[int] = []

    def note(number: int, _: FrameType | None) -> None:
        came.append(number)

    with _handling(dict.fromkeys((*ENDING, signal.SIGINT), note)):
        yield
    if came:
        signal.raise_signal(came[0])


@contextmanager
def _handling(handlers: dict[signal.Signals, Handler]) -> Iterator[None]:
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread gets signals
        return
    before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
