"""Answers the jobs that train one-pass networks."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from PIL import Image

from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import CHECKPOINT, learn_on, open_checkpoints
from workers.runtime.images import decode, encode_jpeg
from workers.runtime.reporting import REPORT_EVERY, Reporter
from workers.runtime.run import InvalidInput, JobError, Run
from workers.runtime.spooled_data import spool_data
from workers.runtime.training import run_through
from workers.style.contents import Contents, read_zip
from workers.style.features import Features
from workers.style.layers import check_layers
from workers.style.loaded import StyleWorker
from workers.style.loss_curve import draw_losses
from workers.style.one_pass import OnePass, OnePassConfig
from workers.style.one_pass_training import Training
from workers.style.painter_file import Painter, pack_painter
from workers.style.served import KIND
from workers.style.train_options import (
    Diverged,
    Progress,
    TrainOptions,
    name_metrics,
    view_history,
)
from workers.style.training_contract import TrainRequest, TrainResult
from workers.style.training_memory import check_memory
from workers.style.training_pictures import Samples


def train(worker: StyleWorker, batch: Sequence[Run[TrainRequest]]) -> list[TrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: StyleWorker, run: Run[TrainRequest]) -> TrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    options = read_options(run.request)
    style = decode(run.read(run.request.style), worker.settings.max_pixels)
    features = worker.features("vgg16", "max")
    with open_data(worker, run) as data:
        check_memory(options, data, worker.device)
        folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)

        def learn() -> TrainResult:
            return _learn(worker, run, options, style, data, features, folder)

        return learn_on(run, folder, learn)


@contextmanager
def open_data(worker: StyleWorker, run: Run[TrainRequest]) -> Iterator[Contents]:
    """The pictures of the job's zip, which can be opened within the `with` alone.

    Every picture is looked at first, as progress of 0. Raises as `read_zip`; and Cancelled, which
    is looked for whenever a file is read, also later.
    """
    with (
        spool_data(worker.blobs, run, run.request.data) as (file, watch),
        read_zip(file, watch, run.raise_if_cancelled) as data,
    ):
        yield data


def read_options(request: TrainRequest) -> TrainOptions:
    """Raises InvalidInput for layers that VGG16 has not, and for no weight of the style."""
    layers = tuple(dict.fromkeys(request.style_layers))
    try:
        check_layers("vgg16", (request.content_layer, *layers))
    except ValueError as error:
        raise InvalidInput(str(error)) from error
    if not request.style_weight:
        raise InvalidInput("Without a `style_weight` there is no style to learn: raise it above 0.")
    return TrainOptions(
        OnePassConfig(request.width, request.blocks),
        window=request.window,
        style_size=request.style_size,
        steps=request.steps,
        batch=request.batch_size,
        content_layer=request.content_layer,
        style_layers=layers,
        content_weight=request.content_weight,
        style_weight=request.style_weight,
        tv_weight=request.tv_weight,
        learning_rate=request.learning_rate,
        seed=request.seed,
    )


def _learn(
    worker: StyleWorker,
    run: Run[TrainRequest],
    options: TrainOptions,
    style: Image.Image,
    data: Contents,
    features: Features,
    folder: Path,
) -> TrainResult:
    reporter = Reporter(run)
    place, stop = folder / CHECKPOINT, run.raise_if_cancelled
    training = Training(
        options, style, data, features, place, worker.device, reporter.prepare, stop
    )
    samples = Samples(style, data)

    def draw() -> bytes:
        return encode_jpeg(samples.draw(training.network, stop))

    def report(progress: Progress) -> None:
        reporter.report(progress.fraction, describe(progress), draw if progress.step else None)

    try:
        trained = run_through(training, report, REPORT_EVERY, worker.settings.checkpoint_every)
    except Diverged as error:
        raise InvalidInput(f"{error} Nothing was kept.") from error
    check_painter(trained.network, samples)
    painter = Painter(trained.network, name_metrics(trained.history))
    facts = painter.list_facts()
    name, packed = run.request.name, pack_painter(painter)
    worker.models.add(run, KIND, name, *packed, painter.metrics, facts)
    return TrainResult(
        start=trained.history[0].view(),
        losses=trained.history[-1].view(),
        steps=options.steps,
        pictures=len(data),
        left_out=data.left_out,
        parameters=sum(one.numel() for one in trained.network.parameters()),
        curve=run.save(draw_losses(view_history(trained.history))),
        samples=run.save(encode_jpeg(samples.draw(trained.network, stop))),
    )


def describe(progress: Progress) -> str:
    told = f"step {progress.step} of {progress.steps}"
    if progress.losses is None:
        return told
    shown = progress.losses
    return f"{told}: content {shown.content:.3g}, style {shown.style:.3g}, tv {shown.tv:.3g}"


def check_painter(network: OnePass, samples: Samples) -> None:
    """Raises InvalidInput for a network that is of no use."""
    if not all(one.isfinite().all() for one in network.state_dict().values()):
        raise InvalidInput(
            "The weights are no numbers any more, so nothing was kept. Lower `learning_rate`."
        )
    if samples.are_lost(network):
        raise InvalidInput(
            "It paints every picture in one colour, so nothing was kept. Lower `learning_rate`, "
            "`style_weight` or `tv_weight`, or raise `content_weight`."
        )
