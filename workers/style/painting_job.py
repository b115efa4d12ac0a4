"""One job that paints a picture anew: what it tells, shows and keeps while it goes on."""

import math
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog
from PIL import Image

from workers.runtime.checkpoints import CHECKPOINT, UnusableCheckpoint, drop_checkpoints
from workers.runtime.clock import Clock
from workers.runtime.images import encode_png
from workers.runtime.reporting import Reporter
from workers.runtime.run import Cancelled, JobError, Run
from workers.runtime.training import SAVING
from workers.style.colours import keep_colours
from workers.style.features import Features
from workers.style.fields import Losses
from workers.style.loss_curve import draw_losses
from workers.style.painting import Painting, measure_painting
from workers.style.pictures import encode_painting
from workers.style.transfer_contract import TransferRequest, TransferResult

log = structlog.get_logger()

PREVIEWS = 200  # of a job at most, and the first: 10,000 large ones would take tens of GB


class PaintingJob:
    """A painting and its job, which is settled as soon as it ends."""

    def __init__(
        self,
        run: Run[TransferRequest],
        painting: Painting,
        features: Features,
        content: Image.Image,
        folder: Path,
        save_every: float,
    ) -> None:
        """Goes on from the checkpoint in the folder, if there is one.

        `content`: in its colours; `save_every`: seconds between checkpoints.
        """
        self.run, self.painting, self.features = run, painting, features
        self.content, self.folder = content, folder
        self.reporter, self.saving = Reporter(run), Clock(save_every)
        self.has_shown = self.is_settled = False
        self._resume()

    def _resume(self) -> None:
        path = self.folder / CHECKPOINT
        if not path.exists():
            return
        try:
            self.painting.resume(path)
        except UnusableCheckpoint as error:
            log.warning("checkpoint not used, painting starts again", error=str(error))
            path.unlink()

    def report(self) -> None:
        """After each step: how far it is, with a preview if it is time. Raises Cancelled."""
        if self.saving.is_due():
            self.painting.save(self.folder / CHECKPOINT)
            self.saving.wait(SAVING)
        now = self.painting.describe()
        losses = now.losses
        self.reporter.report(
            now.fraction,
            f"step {now.step} of {now.steps}: content {losses.content:.3g}, "
            f"style {losses.style:.3g}, tv {losses.tv:.3g}",
            self._choose_preview(now.step),
            now=self.run.request.preview_every is not None,
        )

    def _choose_preview(self, step: int) -> Callable[[], bytes] | None:
        """The first step is shown at once; then the steps asked for, or else some seconds apart."""
        asked, first = self.run.request.preview_every, not self.has_shown
        self.has_shown = True
        if asked is None or first:
            return self._draw
        every = max(asked, math.ceil(self.painting.steps / PREVIEWS))
        return self._draw if step % every == 0 else None

    def _draw(self) -> bytes:
        """The JPEG of a preview, which is the result too if the job is cancelled."""
        image = self._restore_colours(self.painting.preview())
        shown = encode_painting(image)
        file = shown if self.run.request.format == "jpeg" else encode_png(image)
        self.run.kept = self._tell(file, image, finished=False)
        return shown

    def finish(self) -> TransferResult:
        """The result, with effects. Raises Cancelled; InvalidInput if the painting failed."""
        image = self._restore_colours(self.painting.render())
        file = encode_painting(image)
        if self.run.request.format == "png":
            file = encode_png(image)
        result = self._tell(file, image, finished=True)
        drop_checkpoints(self.run, self.folder)
        return result

    def _restore_colours(self, painted: Image.Image) -> Image.Image:
        if self.run.request.colours == "style":
            return painted
        return keep_colours(painted, self.content)

    def _tell(self, file: bytes, image: Image.Image, finished: bool) -> TransferResult:
        painting, save = self.painting, self.run.save
        losses = measure_painting(painting, self.features, self.run.raise_if_cancelled)
        return TransferResult(
            picture=save(file),
            width=image.width,
            height=image.height,
            steps=painting.step,
            finished=finished,
            # if this size has had no step yet, the picture is as it is at its start
            start=painting.start_losses or losses,
            losses=losses,
            recipe=painting.plan.describe(painting.precision),
            curve=save(self._draw_curve(losses)) if finished else None,
        )

    def _draw_curve(self, last: Losses) -> bytes:
        losses = [*self.painting.history, last]  # before each step, and after them
        return draw_losses(dict(enumerate(losses)))

    def end(self, answer: TransferResult | JobError | Cancelled) -> None:
        """Settle the job. The checkpoint stays of one that stopped, and may be claimed again."""
        if isinstance(answer, JobError):
            shutil.rmtree(self.folder, ignore_errors=True)
        self.is_settled = True
        self.run.settle(answer)
