"""Transactions that meet, as those of two processes do."""

import threading
from collections.abc import Callable
from typing import Any

from sqlalchemy.orm import Session

from shared.db import Sessions

Action = Callable[[Session], Any]

HEAD_START = 0.3  # seconds until the second of two transactions waits for the first


def do_at_once(sessions: Sessions, *actions: Action) -> list[Exception]:
    """Each in a thread and a transaction of its own; what they raised."""
    errors: list[Exception] = []
    threads = [threading.Thread(target=act, args=[sessions, a, errors]) for a in actions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    return errors


def do_in_turn(sessions: Sessions, first: Action, second: Action) -> list[Exception]:
    """The second begins while the first has acted but not committed; what the second raised."""
    errors: list[Exception] = []
    thread = threading.Thread(target=act, args=[sessions, second, errors])
    with sessions.begin() as session:
        first(session)
        thread.start()
        thread.join(HEAD_START)
        assert thread.is_alive(), "the second transaction did not wait for the first"
    thread.join(30)
    return errors


def act(sessions: Sessions, action: Action, errors: list[Exception]) -> None:
    try:
        with sessions.begin() as session:
            action(session)
    except Exception as error:  # noqa: BLE001  (the test looks at it)
        errors.append(error)
