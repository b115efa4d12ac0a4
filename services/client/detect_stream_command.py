"""`atelier detect stream`: what is on each frame of a video, as it is found."""

import json
import tempfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import SOME_FAILED, connect, leave, tell, write_json
from services.client.detect_options import (
    ClassAgnostic,
    Classes,
    HowDropped,
    Iou,
    Model,
    Score,
    describe_look,
)
from services.client.folder_zip import send_pictures
from services.client.job import JobEvent
from services.client.requests import check_request
from services.client.saved_files import check_writable, save_file
from services.client.watch import Watch

app = typer.Typer()

TASK = "detect.stream"
CUT = {  # by the reason in a result
    "max_frames": "More frames were not looked at: --max-frames says how many are.",
    "size": "It was ended early, as its results are as long as may be: choose a higher --every or "
    "--score, a lower --max, or no --save.",
}


@app.command()
def stream(
    video: Annotated[
        Path, typer.Argument(metavar="VIDEO|FOLDER|ZIP", help="A video, or pictures in order.")
    ],
    save: Annotated[
        Path | None, typer.Option(metavar="FILE.mp4", help="Put the video with boxes drawn here.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="The totals, too, are a line of JSON: the last one.")
    ] = False,
    model: Model = None,
    score: Score = None,
    iou: Iou = None,
    maximum: Annotated[
        int | None, typer.Option("--max", min=1, help="Objects per frame at most.")
    ] = None,
    classes: Classes = None,
    class_agnostic: ClassAgnostic = False,
    decay: HowDropped = None,
    every: Annotated[
        int, typer.Option(min=1, max=10_000, help="Look at every so many frames.")
    ] = 1,
    max_frames: Annotated[int | None, typer.Option(min=1, help="Then it ends.")] = None,
    fps: Annotated[
        float | None, typer.Option(min=0.1, max=240, help="Of pictures: so many a second.")
    ] = None,
) -> None:
    """Find the objects in every frame of a video; prints a line of JSON for each, as it is found.

    Ctrl-C stops the job on the server as well.
    """
    options = {
        **describe_look(model, score, iou, maximum, classes, class_agnostic, decay),
        "every": every,
        "max_frames": max_frames,
        "fps": fps,
        "annotate": save is not None,
    }
    check_request(TASK, options)
    if save:
        check_writable(save)
    lines = Lines()
    with connect() as client:
        result = _follow(client, {"video": send_pictures(client, video), **options}, lines)
        lines.write_rest(client, result)
        if save:
            save_file(client, result["annotated"], save)
    if as_json:
        write_json({**result, "saved": str(save) if save else None})
        return
    _tell_what_is_missing(result)
    found = ", ".join(f"{count} x {label}" for label, count in result["objects"].items())
    tell(f"{result['frames']} frames, {result['model']}: {found or 'nothing'}.")


def _tell_what_is_missing(result: dict[str, Any]) -> None:
    if result["damaged"]:
        tell("Part of it is damaged: frames are missing.")
    if result["cut"]:
        tell(CUT[result["reason"]])


def _follow(client: Client, request: dict[str, Any], lines: "Lines") -> dict[str, Any]:
    """The result of the job, whose lines are written while it runs."""
    with Watch(client, TASK, live=True) as watch:
        job = watch.follow(watch.submit(TASK, request), on_event=lines.take)
    if not job.succeeded:
        raise leave(job.reason, SOME_FAILED)
    return job.result or {}


class Lines:
    """Writes each line once and in order, though events are lost and a job may start again.

    After a gap, or if another detector goes on, nothing is written until the job has ended; its
    result has every line.
    """

    def __init__(self) -> None:
        self.count = 0  # lines written
        self.model: str | None = None  # that they are of
        self._live = True

    def take(self, event: JobEvent) -> None:
        if event.name == "partial":
            for line in event.data["lines"]:
                if self._live:
                    self._take(line)

    def write_rest(self, client: Client, result: dict[str, Any]) -> None:
        """The lines that no event told; all of them if those before are of another detector."""
        if self.model not in (None, result["model"]):
            tell(f"The lines so far are of {self.model}. Here are all again, of {result['model']}.")
            self.count = 0
        if self.count < result["frames"]:
            with tempfile.TemporaryDirectory() as folder:
                file = client.download(result["results"], Path(folder) / "frames.ndjson")
                for line in islice(_read_lines(file), self.count, None):
                    write_json(line)

    def _take(self, line: dict[str, Any]) -> None:
        missing = line["line"] - self.count
        self.model = self.model or line["model"]
        if line["model"] != self.model:
            self._live = False
            tell(f"The job began again with {line['model']}: its lines follow at the end.")
        elif missing > 0:
            self._live = False
            tell(f"{missing} frames are not shown live; the rest follows at the end.")
        elif missing == 0:
            write_json(line)
            self.count += 1


def _read_lines(file: Path) -> Iterator[dict[str, Any]]:
    with file.open(encoding="utf-8") as lines:
        for line in lines:
            yield json.loads(line)
