"""Answers the jobs that find the objects in every frame of a video."""

import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from PIL import Image

from workers.detect.draw import annotate
from workers.detect.finding import Search, name_boxes, plan_search, predict, put_on_square
from workers.detect.footage import Footage, Frame, open_footage
from workers.detect.frame_lines import FrameLines
from workers.detect.loaded import DetectWorker
from workers.detect.served import Served
from workers.detect.stream_contract import FrameView, StreamRequest, StreamResult
from workers.detect.video_out import VideoWriter
from workers.runtime.answers import answer_each
from workers.runtime.images import encode_jpeg
from workers.runtime.reporting import Reporter
from workers.runtime.run import JobError, Run

BATCH = 8  # frames that share a pass of the detector
BATCH_PIXELS = 2**24  # of their pictures together: large ones get smaller batches
PREVIEW = (640, 640)  # pixels, at most
CHUNK = 2**20  # bytes
MOST_STORED = 2**33  # bytes of a file; the writers are full before


def stream(
    worker: DetectWorker, batch: Sequence[Run[StreamRequest]]
) -> list[StreamResult | JobError]:
    """A worker that is lost begins again: its lines are told twice, under the same numbers."""
    return answer_each(batch, lambda run: _stream(worker, run))


def _stream(worker: DetectWorker, run: Run[StreamRequest]) -> StreamResult:
    served = worker.detectors.open(run.tenant, run.request.model)
    search = plan_search(served, run.request)
    with TemporaryDirectory() as folder, open_footage(worker, run) as footage:
        watching = Watching(run, served, search, footage, Path(folder))
        watching.watch()
        return watching.answer(worker)


class Watching:
    """One job: frames come in, boxes go to the lines and into the video."""

    def __init__(
        self,
        run: Run[StreamRequest],
        served: Served,
        search: Search,
        footage: Footage,
        folder: Path,
    ) -> None:
        self.run, self.served, self.search, self.footage = run, served, search, footage
        self.lines_path, self.video_path = folder / "frames.ndjson", folder / "annotated.mp4"
        self.reporter = Reporter(run)
        self.started = time.monotonic()
        self.size = (0, 0)  # of the first frame
        self.looked = 0  # frames
        self.objects: Counter[str] = Counter()
        self.reason: Literal["max_frames", "size"] | None = None  # why it ended before its end

    def watch(self) -> None:
        """Look at all frames, or as many as may be. Raises InvalidInput, TooLarge, Cancelled."""
        asked = self.run.request
        frames = self.footage.read(asked.every, asked.max_frames)
        with ExitStack() as open_files:
            lines = open_files.enter_context(FrameLines(self.lines_path, self.run))
            video = None
            if asked.annotate:
                writer = VideoWriter(self.video_path, self.footage.fps / asked.every)
                video = open_files.enter_context(writer)
            for batch in split(frames):
                self._look(batch, lines, video)
                if lines.full or (video and video.full):
                    self.reason = "size"
                    break
                del batch  # before the next frames are decoded
            lines.flush()
        if self.footage.cut:
            self.reason = "max_frames"

    def answer(self, worker: DetectWorker) -> StreamResult:
        """Store the files."""
        annotated = self._store(worker, self.video_path) if self.run.request.annotate else None
        return StreamResult(
            model=self.served.name,
            frames=self.looked,
            fps=round(self.footage.fps, 3),
            width=self.size[0],
            height=self.size[1],
            objects=dict(self.objects.most_common()),
            results=self._store(worker, self.lines_path),
            annotated=annotated,
            cut=self.reason is not None,
            reason=self.reason,
            damaged=self.footage.damaged,
        )

    def _look(self, batch: list[Frame], lines: FrameLines, video: VideoWriter | None) -> None:
        fitted = [put_on_square(self.served, frame.picture) for frame in batch]
        predictions = predict(self.served, [square for square, _ in fitted])
        last: Image.Image | None = None
        for frame, (_, fit), (boxes, scores) in zip(batch, fitted, predictions, strict=True):
            found = name_boxes(self.served, self.search, fit, boxes, scores)
            view = FrameView(
                line=self.looked,
                model=self.served.name,
                frame=frame.number,
                seconds=round(frame.seconds, 3),
                width=frame.picture.width,
                height=frame.picture.height,
                boxes=found,
            )
            lines.add(view)
            self._count(view)
            if video is not None:
                last = annotate(frame.picture, found)
                video.add(last, frame.seconds)
        lines.tell()
        self._report(batch[-1].number + 1, last)

    def _count(self, view: FrameView) -> None:
        if self.looked == 0:
            self.size = (view.width, view.height)
        self.looked += 1
        self.objects.update(box.label for box in view.boxes)

    def _report(self, done: int, shown: Image.Image | None) -> None:
        """`done`: frames of the source. Raises Cancelled."""
        total, asked = self.footage.frames, self.run.request
        fraction = self.footage.measure_position()
        step = f"frame {done}"
        if total is not None:
            total = max(done, min(total, asked.every * asked.max_frames))
            fraction = done / total
            step += f" of {total}"
        rate = self.looked / max(time.monotonic() - self.started, 1e-3)
        draw = None if shown is None else partial(draw_preview, shown)
        self.reporter.report(fraction, f"{step}, {rate:.3g} frames/s", draw)

    def _store(self, worker: DetectWorker, path: Path) -> str:
        """The blob id of a file, which is kept as long as the job may be."""
        keep = worker.settings.result_ttl + worker.settings.max_deadline
        with path.open("rb") as file:
            chunks = iter(partial(file.read, CHUNK), b"")
            return worker.blobs.add(self.run.tenant, chunks, keep, MOST_STORED).id


def split(frames: Iterator[Frame]) -> Iterator[list[Frame]]:
    """Batches of at most BATCH frames, and no more than one beyond BATCH_PIXELS."""
    batch: list[Frame] = []
    for frame in frames:
        batch.append(frame)
        pixels = sum(frame.picture.width * frame.picture.height for frame in batch)
        if len(batch) == BATCH or pixels >= BATCH_PIXELS:
            yield batch
            batch = []
    if batch:
        yield batch


def draw_preview(picture: Image.Image) -> bytes:
    small = picture.copy()
    small.thumbnail(PREVIEW)
    return encode_jpeg(small)
