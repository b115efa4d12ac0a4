"""What segmenting costs on one thread: jobs, the bare networks, and torchvision's FCN-ResNet50."""

from collections.abc import Mapping, Sequence
from io import BytesIO
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from typing import Any

import torch
from PIL import Image
from torch import Tensor, nn
from torchvision.models.segmentation import fcn_resnet50
from torchvision.transforms.functional import normalize

from bench.detect_speed import Way, measure, read
from bench.options import Options
from bench.pictures import make_pictures
from bench.report import Report
from bench.segment_bare import Segmenting, make_random
from workers.runtime.vgg16 import normalise
from workers.segment.classes import CAMVID_NAMES, VOC_NAMES, make_palette
from workers.segment.draw import write_mask
from workers.segment.fcn import FCN
from workers.segment.fields import Encoder
from workers.segment.looking import choose_size
from workers.segment.served import Served
from workers.segment.sizes import take_pixels

BATCHES = (1, 8)
WIDTH, HEIGHT = 480, 360  # of the pictures, and of what all but `selfie` see
CLASSES = len(CAMVID_NAMES.split())  # of the networks of random weights
RANDOM: tuple[Encoder, ...] = ("thin", "vgg16-slim")
PEER, PEER_CLASSES = "fcn_resnet50", VOC_NAMES.split()
MEAN, SPREAD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of torchvision's weights

COLUMNS = (
    *("model", "from", "to", "batch", "cpu ms/picture", "pictures/s"),
    *("of network", "of fcn_resnet50"),
)


def run(options: Options) -> Report:
    batches = BATCHES[:1] if options.quick else BATCHES
    pictures = make_pictures(max(batches), size=(WIDTH, HEIGHT))
    with TemporaryDirectory() as folder:
        ways = {**list_ours(Segmenting(Path(folder)), pictures), **list_peer(pictures)}
        cells = [cell for batch in batches for cell in measure(ways, batch, options.seconds)]
    notes = [
        f"Photographs of {WIDTH} x {HEIGHT}, one thread; processor time, the median of rounds in "
        "which all ways take turns. selfie sees 256 x 256 pixels, all others the whole picture.",
        f"{', '.join(RANDOM)} and {PEER} have random weights of {CLASSES} and {len(PEER_CLASSES)} "
        "classes: that says nothing about what they find.",
    ]
    return Report("segment_speed", COLUMNS, summarise(cells), notes, cells)


def list_ours(segmenting: Segmenting, pictures: Sequence[bytes]) -> dict[tuple[str, str, str], Way]:
    """What looks, where it begins, and where it ends -> how."""
    names = {"fcn-8s-camvid": "fcn-8s-camvid", "selfie": "selfie"}
    for encoder in RANDOM:
        names[encoder] = segmenting.register(make_random(encoder, CLASSES, HEIGHT), encoder)
    ways: dict[tuple[str, str, str], Way] = {}
    for shown, name in names.items():
        served = segmenting.worker.segmenters.open("bench", name)
        ways[shown, "tensors", "scores"] = use_network(served.network, prepare(served, pictures))
        ways[shown, "jpeg", "mask"] = use_worker(segmenting, name, pictures)
    return ways


def prepare(served: Served, pictures: Sequence[bytes]) -> Tensor:
    """(N, 3, h, w) as the network wants them, of what it sees in a job."""
    opened = [Image.open(BytesIO(one)).convert("RGB") for one in pictures]
    seen = [take_pixels(one, choose_size(served, *one.size)) for one in opened]
    shares = torch.stack(seen).float() / 255
    ready = normalise(shares) if isinstance(served.network, FCN) else shares
    return ready.contiguous(memory_format=torch.channels_last)


def use_network(network: nn.Module, tensors: Tensor) -> Way:
    @torch.inference_mode()
    def look(count: int) -> None:
        network(tensors[:count])

    return look


def use_worker(segmenting: Segmenting, model: str, pictures: Sequence[bytes]) -> Way:
    """The method that answers jobs: decoding, the network, the best class, the mask as a PNG."""
    return lambda count: segmenting.segment(pictures[:count], model=model)


def list_peer(pictures: Sequence[bytes]) -> dict[tuple[str, str, str], Way]:
    torch.manual_seed(0)
    network = fcn_resnet50(weights=None, weights_backbone=None, num_classes=len(PEER_CLASSES))
    network = network.eval()
    ready = read_for_peer(pictures)
    return {
        (PEER, "tensors", "scores"): use_network(network, ready),
        (PEER, "jpeg", "mask"): use_peer_on_files(network, pictures),
    }


def read_for_peer(pictures: Sequence[bytes]) -> Tensor:
    """(N, 3, h, w), as torchvision's own examples read files."""
    shares = torch.stack([read(one) for one in pictures])
    ready: Tensor = normalize(shares, MEAN, SPREAD)
    return ready


def use_peer_on_files(network: nn.Module, pictures: Sequence[bytes]) -> Way:
    palette = make_palette(len(PEER_CLASSES))

    @torch.inference_mode()
    def look(count: int) -> None:
        scores = network(read_for_peer(pictures[:count]))["out"]
        for mask in scores.argmax(1).to(torch.uint8).numpy():
            write_mask(mask, palette)

    return look


def summarise(cells: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Medians, and speeds as shares of the model's own bare network and of the peer's."""
    rows = []
    for cell in cells:
        row = {name: cell[name] for name in COLUMNS[:4]}
        cost = median(cell["seconds"]) / cell["batch"]
        rows.append({**row, "cpu ms/picture": 1000 * cost, "pictures/s": 1 / cost})
    speeds = {tuple(row[name] for name in COLUMNS[:4]): row["pictures/s"] for row in rows}
    for row in rows:
        network = speeds.get((row["model"], "tensors", "scores", row["batch"]))
        peer = speeds.get((PEER, row["from"], row["to"], row["batch"]))
        row["of network"] = row["pictures/s"] / network if network else None
        row[f"of {PEER}"] = row["pictures/s"] / peer if peer else None
    return rows
