"""What a process of the segment worker keeps in memory."""

from PIL import Image

from shared.blobs import Blobs
from shared.db import open_db
from shared.settings import Settings
from workers.runtime.devices import choose_device
from workers.runtime.trained import TrainedModels
from workers.segment.fields import DEFAULT_MODEL
from workers.segment.looking import find_mask
from workers.segment.served import Segmenters

WORKER = "segment"  # its name in the registry of models


class SegmentWorker:
    """One object in each process; networks stay loaded once a job asked for them."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.sessions = open_db(settings.database, pool_size=2)
        self.blobs = Blobs(settings.blobs, self.sessions)
        self.models = TrainedModels(WORKER, self.sessions, self.blobs)
        self.segmenters = Segmenters(settings, self.models, self.device)

    def warm_up(self) -> None:
        served = self.segmenters.published[DEFAULT_MODEL]
        find_mask(served, Image.new("RGB", (64, 48), "grey"))
