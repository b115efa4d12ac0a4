"""What a process of the style worker keeps in memory."""

from collections import OrderedDict
from contextlib import suppress

from PIL import Image

from shared.blobs import Blobs
from shared.contract import LONG, Task
from shared.db import open_db
from shared.settings import Settings
from workers.runtime.devices import choose_device
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.trained import TrainedModels
from workers.style.features import Features, load_features
from workers.style.fields import DEFAULT_MODEL, Network, Pooling
from workers.style.painting import Painting, Subject, paint
from workers.style.pictures import to_tensor
from workers.style.precision import choose_precision
from workers.style.recipe import make_plan
from workers.style.served import Painters
from workers.style.stops import ignore
from workers.style.transfer_contract import TRANSFER, TransferRequest

WORKER = "style"  # its name in the registry of models
NETWORKS = 2  # that stay loaded: one takes up to 400 MB with all forms of its filters
GREY = Image.new("RGB", (256, 256), "grey")


class StyleWorker:
    """One object in each process; the networks that jobs asked for last stay loaded."""

    def __init__(self, settings: Settings) -> None:
        self.settings = settings
        self.device = choose_device(settings.device)
        self.sessions = open_db(settings.database, pool_size=2)
        self.blobs = Blobs(settings.blobs, self.sessions)
        self.models = TrainedModels(WORKER, self.sessions, self.blobs)
        self.painters = Painters(self.models, self.device)
        self._features: OrderedDict[tuple[Network, Pooling], Features] = OrderedDict()

    def features(self, network: Network, pooling: Pooling) -> Features:
        """Loaded if they are not among those asked for last. Raises MissingPretrained."""
        key = network, pooling
        if key not in self._features:
            self._features[key] = load_features(*key, self.settings.weights, self.device)
        self._features.move_to_end(key)
        while len(self._features) > NETWORKS:
            self._features.popitem(last=False)
        return self._features[key]

    def count_together(self, task: Task) -> int:
        """How many jobs a process claims at once."""
        if task is TRANSFER and self.device.type == "cpu":
            return 1  # which is no faster with several pictures at once
        return task.max_batch

    def warm_up(self) -> None:
        """What the first job of this process would wait for."""
        with suppress(MissingPretrained):  # that job is told
            if self.settings.queue.endswith(LONG):
                self._paint_grey()
            else:
                self.painters.published[DEFAULT_MODEL].paint(to_tensor(GREY))

    def _paint_grey(self) -> None:
        """One step: torch loads much for its first optimiser, and filters take other forms."""
        request = TransferRequest.model_validate(TRANSFER.example | {"size": max(GREY.size)})
        subject = Subject(GREY, styles=(GREY,), shares=(1.0,))
        precision = choose_precision("auto", self.device)
        painting = Painting(subject, make_plan(request, *GREY.size), precision, self.device)
        paint([painting], self.features("vgg16", "max"), ignore)
