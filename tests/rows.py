"""Rows that tests put into the database."""

import time
from typing import Any

from shared.identifiers import new_id
from shared.jobs.machine import State
from shared.tables import Job


def make_job(**values: Any) -> Job:
    """A job that was just submitted, but for `values`."""
    now = time.time()
    submitted: dict[str, Any] = {
        "id": new_id(),
        "tenant": "ann",
        "task": "detect.objects",
        "state": State.QUEUED,
        "priority": 1,
        "request": {},
        "fence": 0,
        "failures": 0,
        "cancel_requested": False,
        "created_at": now,
        "deadline_at": now + 3600,
        "ttl": 600.0,
    }
    return Job(**{**submitted, **values})
