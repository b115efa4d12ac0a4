"""What a process of the detect worker keeps in memory."""

import numpy as np

from shared.blobs import Blobs
from shared.db import open_db
from shared.settings import Settings
from workers.detect.finding import predict
from workers.detect.served import Detectors
from workers.runtime.devices import choose_device
from workers.runtime.trained import TrainedModels

WORKER = "detect"  # its name in the registry of models


class DetectWorker:
    """One object in each process; the detectors that come with Atelier stay loaded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.sessions = open_db(settings.database, pool_size=2)
        self.blobs = Blobs(settings.blobs, self.sessions)
        self.models = TrainedModels(WORKER, self.sessions, self.blobs)
        self.detectors = Detectors(settings, self.models, self.device)

    def warm_up(self) -> None:
        for served in self.detectors.published.values():
            predict(served, [np.zeros((served.side, served.side, 3), np.uint8)])
