"""What a process of the text worker keeps in memory."""

from shared.blobs import Blobs
from shared.db import open_db
from shared.settings import Settings
from workers.runtime.devices import choose_device
from workers.runtime.trained import TrainedModels

WORKER = "text"  # its name in the registry of models


class TextWorker:
    """One object in each process."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.sessions = open_db(settings.database, pool_size=2)
        self.blobs = Blobs(settings.blobs, self.sessions)
        self.models = TrainedModels(WORKER, self.sessions, self.blobs)
