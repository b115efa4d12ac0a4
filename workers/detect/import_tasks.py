"""Answers the jobs that bring in detectors that were trained elsewhere."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory

import torch

from workers.detect.darknet import count_floats, load_darknet, tensors_in_file_order
from workers.detect.darknet_cfg import parse_cfg
from workers.detect.detector_file import Detector, load_detector, pack_detector
from workers.detect.loaded import DetectWorker
from workers.detect.model import YoloV3Tiny
from workers.detect.model_contract import ImportRequest, ImportResult
from workers.detect.served import KIND
from workers.detect.suppression import Suppression
from workers.runtime.answers import answer_each
from workers.runtime.network_file import check_finite, check_header, tell_faults
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.spool import spool

MOST_BYTES = 2_000_000_000  # of a file: yolo-v1 has 1.1 GB of weights
CFG, MOST_OF_CFG = "cfg", 100_000  # its name beside the weights; bytes
# Numbers that a class adds to YOLOv3-tiny: on both grids, a filter and a bias for three anchors.
NUMBERS_OF_CLASS = 3 * (512 + 1) + 3 * (256 + 1)


def bring_in(
    worker: DetectWorker, batch: Sequence[Run[ImportRequest]]
) -> list[ImportResult | JobError]:
    return answer_each(batch, lambda run: _bring_in(worker, run))


def _bring_in(worker: DetectWorker, run: Run[ImportRequest]) -> ImportResult:
    request = run.request
    read = {"atelier": read_atelier, "darknet": read_darknet}[request.kind]
    with TemporaryDirectory() as folder:
        path = Path(folder) / "file"
        with path.open("wb") as file:
            spool(worker.blobs, run, request.file, file, MOST_BYTES)
        if request.cfg is not None:
            with (Path(folder) / CFG).open("wb") as file:
                spool(worker.blobs, run, request.cfg, file, MOST_OF_CFG)
        run.progress(0.3, "reading the network")
        with tell_faults(path, f"detector of the kind {request.kind}"):
            detector = read(path, request)
    run.progress(0.6, "trying it out")
    try_out(detector)
    facts = {"came_as": request.kind, **detector.list_facts()}
    tensors, about = pack_detector(detector)
    worker.models.add(run, KIND, request.name, tensors, about, detector.metrics, facts)
    return ImportResult(
        classes=list(detector.names),
        side=detector.side,
        parameters=sum(weights.numel() for weights in detector.network.parameters()),
    )


def read_atelier(path: Path, request: ImportRequest) -> Detector:
    """Raises ValueError, RecursionError and InvalidInput."""
    if not request.bordered or (request.classes, request.anchors, request.cfg) != (None,) * 3:
        raise InvalidInput(
            "classes, anchors, cfg and bordered are of darknet: a file of Atelier has its own."
        )
    check_header(path)
    detector = load_detector(path)
    if request.score_threshold is None:
        return detector
    own = replace(detector.suppression, score_threshold=request.score_threshold)
    return replace(detector, suppression=own)


def read_darknet(path: Path, request: ImportRequest) -> Detector:
    """Raises ValueError and InvalidInput."""
    if request.classes is None:
        raise InvalidInput("Weights of Darknet do not name their classes: give classes.")
    names = tuple(request.classes)
    if len(set(names)) < len(names):
        raise InvalidInput("A class is named twice in classes.")
    network = build_network(path.with_name(CFG), request, len(names)).eval()
    check_numbers(count_floats(path), network)
    load_darknet(network, path)
    network.fuse()
    threshold = 0.25 if request.score_threshold is None else request.score_threshold
    return Detector(network, names, request.bordered, Suppression(threshold))


def build_network(cfg: Path, request: ImportRequest, classes: int) -> YoloV3Tiny:
    """As the file or the request tells it. Raises ValueError and InvalidInput."""
    if request.cfg is not None:
        if request.anchors is not None:
            raise InvalidInput("The cfg tells the anchors: leave anchors out.")
        told = parse_cfg(cfg.read_bytes().decode("utf-8", "replace"))
        if told.classes != classes:
            raise ValueError(f"its .cfg is of {told.classes} classes, not {classes}.")
        return YoloV3Tiny(classes, told.anchors, told.side)
    if request.anchors is not None:
        return YoloV3Tiny(classes, tuple((width, height) for width, height in request.anchors))
    return YoloV3Tiny(classes)


def check_numbers(found: int, network: YoloV3Tiny) -> None:
    """Raises ValueError, which tells of how many classes the weights are."""
    wanted = sum(tensor.numel() for tensor in tensors_in_file_order(network))
    if found == wanted:
        return
    more, rest = divmod(found - wanted, NUMBERS_OF_CLASS)
    if not rest and network.classes + more > 0:
        raise ValueError(f"it has {network.classes + more} classes, not {network.classes}.")
    raise ValueError(f"it has {found} numbers; YOLOv3-tiny of these classes has {wanted}.")


@torch.inference_mode()
def try_out(detector: Detector) -> None:
    """Look at a grey picture. Raises InvalidInput if a weight or what is found is not finite."""
    check_finite(detector.network)
    boxes, scores = detector.network.predict(torch.full((1, 3, detector.side, detector.side), 0.5))
    if not (boxes.isfinite().all() and scores.isfinite().all()):
        raise InvalidInput("What this network finds in a grey picture are not finite numbers.")
