"""Answers the jobs that bring in segmentation networks that were trained elsewhere."""

from collections.abc import Sequence

import torch

from workers.runtime.answers import answer_each
from workers.runtime.network_file import check_finite, load_sent
from workers.runtime.run import InvalidInput, JobError, Run
from workers.segment.loaded import SegmentWorker
from workers.segment.model_contract import ImportRequest, ImportResult
from workers.segment.scores import score_tiles
from workers.segment.segmenter_file import Segmenter, load_segmenter, pack_segmenter
from workers.segment.served import KIND

MOST_BYTES = 700_000_000  # of a file: vgg16 has 540 MB of weights
TRIED = (64, 96)  # pixels: height and width of a grey picture


def bring_in(
    worker: SegmentWorker, batch: Sequence[Run[ImportRequest]]
) -> list[ImportResult | JobError]:
    return answer_each(batch, lambda run: _bring_in(worker, run))


def _bring_in(worker: SegmentWorker, run: Run[ImportRequest]) -> ImportResult:
    segmenter = load_sent(
        worker.blobs, run, MOST_BYTES, "segmentation network of Atelier", load_segmenter
    )
    run.progress(0.6, "trying it out")
    try_out(segmenter)
    packed, facts = pack_segmenter(segmenter), segmenter.list_facts()
    worker.models.add(run, KIND, run.request.name, *packed, segmenter.metrics, facts)
    config = segmenter.network.config
    return ImportResult(
        classes=list(segmenter.names),
        encoder=config.encoder,
        stride=config.stride,
        resolution=segmenter.resolution,
        parameters=sum(one.numel() for one in segmenter.network.parameters()),
    )


def try_out(segmenter: Segmenter) -> None:
    """Look at a grey picture. Raises InvalidInput if a weight or a score is not finite."""
    check_finite(segmenter.network)
    grey = torch.full((1, 3, *TRIED), 128, dtype=torch.uint8)
    if not score_tiles(segmenter.network, grey).isfinite().all():
        raise InvalidInput("What this network says of a grey picture are not finite numbers.")
