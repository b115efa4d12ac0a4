"""Answers the jobs that bring in one-pass networks that were trained elsewhere."""

from collections.abc import Sequence

import torch

from workers.runtime.answers import answer_each
from workers.runtime.network_file import check_finite, load_sent
from workers.runtime.run import InvalidInput, JobError, Run
from workers.style.loaded import StyleWorker
from workers.style.model_contract import ImportRequest, ImportResult
from workers.style.one_pass import OnePass
from workers.style.painter_file import load_painter, pack_painter
from workers.style.served import KIND

MOST_BYTES = 100_000_000  # of a file: the widest and deepest has 80 MB of weights
TRIED = (64, 96)  # pixels: height and width of a grey picture


def bring_in(
    worker: StyleWorker, batch: Sequence[Run[ImportRequest]]
) -> list[ImportResult | JobError]:
    return answer_each(batch, lambda run: _bring_in(worker, run))


def _bring_in(worker: StyleWorker, run: Run[ImportRequest]) -> ImportResult:
    painter = load_sent(worker.blobs, run, MOST_BYTES, "one-pass network of Atelier", load_painter)
    run.progress(0.6, "trying it out")
    try_out(painter.network)
    packed, facts = pack_painter(painter), painter.list_facts()
    worker.models.add(run, KIND, run.request.name, *packed, painter.metrics, facts)
    return ImportResult(
        **facts, parameters=sum(one.numel() for one in painter.network.parameters())
    )


@torch.inference_mode()
def try_out(network: OnePass) -> None:
    """Paint a grey picture. Raises InvalidInput if a weight or a pixel is not finite."""
    check_finite(network)
    if not network(torch.full((1, 3, *TRIED), 0.5)).isfinite().all():
        raise InvalidInput("What this network makes of a grey picture are not finite numbers.")
