"""The task that finds the objects in every frame of a video."""

from typing import Annotated, Literal

from pydantic import Field

from shared.contract import VIDEOS, Blob, Message, Task
from workers.detect.fields import Looking
from workers.detect.objects_contract import Box

MOST_FRAMES = 200_000


class StreamRequest(Looking):
    """Find the objects in the frames of a video, or in the pictures of a zip."""

    video: Annotated[
        str,
        Blob((*VIDEOS, "application/zip")),
        Field(description="MP4, MOV, WebM, MKV or AVI; or a zip of pictures, in order of path."),
    ]
    every: int = Field(1, ge=1, le=10_000, description="Look at every so many frames.")
    max_frames: int = Field(MOST_FRAMES, ge=1, le=MOST_FRAMES, description="Then it ends.")
    annotate: bool = Field(True, description="Also make a video with the boxes drawn.")
    fps: float = Field(
        10.0, ge=0.1, le=240, description="Of a zip: pictures per second in the video."
    )


class FrameView(Message):
    """What is on one frame: a line of the results."""

    line: int = Field(description="Its place among the frames that are looked at, from 0 on.")
    model: str = Field(description="What looked. A job that began again may take a newer one.")
    frame: int = Field(description="Its place in the video, from 0 on.")
    seconds: float = Field(description="When it is shown, from the start.")
    width: int
    height: int
    boxes: list[Box]


class StreamResult(Message):
    """What is on all frames; each was told by an event `partial` while the job ran."""

    model: str
    frames: int = Field(description="That were looked at.")
    fps: float = Field(description="Of the source.")
    width: int
    height: int
    objects: dict[str, int] = Field(description="Boxes of each label, over all frames.")
    results: str = Field(description="The blob id of NDJSON: a line for each frame.")
    annotated: str | None = Field(None, description="The blob id of an MP4 with the boxes drawn.")
    cut: bool = Field(description="It was ended before its end.")
    reason: Literal["max_frames", "size"] | None = Field(
        None,
        description="What cut it: as many frames as asked for, or the longest file that is kept.",
    )
    damaged: bool = Field(
        False, description="Part of it could not be decoded: frames or pictures are missing."
    )


_EMPTY_ZIP = "data:application/zip;base64,UEsDBAAAAAA="

STREAM = Task(
    "detect.stream",
    StreamRequest,
    StreamResult,
    "Find objects in every frame of a video, told as they are found.",
    example={"video": _EMPTY_ZIP, "every": 5},
    time_limit=24 * 3600.0,
    long=True,
)
TASKS = [STREAM]
