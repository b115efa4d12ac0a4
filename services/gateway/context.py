"""What the routes need, built once per application and replaced in tests."""

import threading
from dataclasses import dataclass
from typing import cast

from flask import current_app

from services.gateway.admission import Admission
from services.gateway.hub import Hub
from services.gateway.record import Recorder
from shared.blobs import Blobs
from shared.contract import Task
from shared.db import Sessions
from shared.events import Events
from shared.sealing import Keyring
from shared.settings import Settings


@dataclass(frozen=True)
class Context:
    settings: Settings
    sessions: Sessions
    blobs: Blobs
    events: Events
    hub: Hub
    slots: threading.Semaphore  # requests that may hold a thread while they wait for a job
    admission: Admission
    recorder: Recorder
    keyring: Keyring
    tasks: dict[str, Task]


def context() -> Context:
    return cast(Context, current_app.extensions["atelier"])
