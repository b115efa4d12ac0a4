"""The frames of an uploaded video, or of a zip of pictures, one after the other."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from tempfile import TemporaryFile
from typing import IO, Protocol

from PIL import Image

from shared.blobs import BlobInfo
from workers.detect.loaded import DetectWorker
from workers.detect.stream_contract import StreamRequest
from workers.detect.video import FORMATS, Video, open_video
from workers.runtime.images import decode
from workers.runtime.run import InvalidInput, Run
from workers.runtime.spool import spool
from workers.runtime.zips import Member, open_zip

MOST_PICTURES = 50_000  # in a zip: zipfile keeps 1 KB of each in memory
MOST_PICTURE_BYTES = 2**26  # of one picture in a zip
SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")  # of pictures in a zip; the rest is left alone
MOST_UNPACKED = 2**36  # bytes of a zip: its pictures are unpacked one at a time


@dataclass(frozen=True)
class Frame:
    """One that is looked at."""

    number: int  # its place among all frames, from 0 on
    seconds: float  # from the first frame on
    picture: Image.Image  # upright RGB


class Footage(Protocol):
    """What frames come from."""

    @property
    def fps(self) -> float:
        """Frames per second, on average."""

    @property
    def frames(self) -> int | None:
        """How many it says there are; None: it does not say."""

    @property
    def damaged(self) -> bool:
        """Some of what was read so far could not be decoded."""

    @property
    def cut(self) -> bool:
        """More frames were to be read."""

    def read(self, every: int, most: int) -> Iterator[Frame]:
        """Every so many of its frames, the first of all first, and then `cut` is known.

        Raises InvalidInput if there is none.
        """

    def measure_position(self) -> float:
        """The part of it that was read, in [0, 1]."""


@contextmanager
def open_footage(worker: DetectWorker, run: Run[StreamRequest]) -> Iterator[Footage]:
    """Raises InvalidInput, TooLarge; Cancelled also while frames are read."""
    found = worker.blobs.find(run.tenant, [run.request.video]).get(run.request.video)
    if found is None:
        raise InvalidInput(f"The file {run.request.video} is gone. Upload it again.")
    with TemporaryFile() as file:
        spool(worker.blobs, run, found.id, file)
        yield from _open(found, file, run, worker.settings.max_pixels)


def _open(
    found: BlobInfo, file: IO[bytes], run: Run[StreamRequest], max_pixels: int
) -> Iterator[Footage]:
    if found.media_type in FORMATS:
        with open_video(file, found, max_pixels, run.raise_if_cancelled) as video:
            yield VideoFootage(video)
    else:
        with open_zip(file, MOST_PICTURES, MOST_UNPACKED) as members:
            yield PictureFootage(members, run.request.fps, max_pixels, run.raise_if_cancelled)


class VideoFootage:
    """The frames of a video that are looked at become pictures; the others are only decoded."""

    def __init__(self, video: Video) -> None:
        self.video = video
        self.fps, self.frames = video.fps, video.frames
        self.cut = False

    @property
    def damaged(self) -> bool:
        return self.video.damaged

    def read(self, every: int, most: int) -> Iterator[Frame]:
        for number, (seconds, frame) in enumerate(self.video.decode()):
            if number == every * most:
                self.cut = True
                return
            if number % every == 0:
                yield Frame(number, seconds, self.video.convert(frame))

    def measure_position(self) -> float:
        return self.video.measure_position()


class PictureFootage:
    """The pictures of a zip, in the order in which people count: frame2 before frame10."""

    def __init__(
        self,
        members: list[Member],
        fps: float,
        max_pixels: int,
        check_alive: Callable[[], None],
    ) -> None:
        pictures = [member for member in members if member.path.suffix.lower() in SUFFIXES]
        if not pictures:
            raise InvalidInput(f"The zip has no pictures in it: add files {', '.join(SUFFIXES)}.")
        self.members = sorted(pictures, key=lambda member: natural_order(str(member.path)))
        self.fps, self.max_pixels, self.check_alive = fps, max_pixels, check_alive
        self.frames = len(pictures)
        self.cut = self.damaged = False
        self.done = 0

    def read(self, every: int, most: int) -> Iterator[Frame]:
        """What is no picture is left out; the others keep their numbers."""
        left, refusal = most, None
        for number in range(0, self.frames, every):
            if not left:
                self.cut = True
                return
            self.check_alive()
            self.done = number + 1
            try:
                frame = Frame(number, number / self.fps, self._decode(self.members[number]))
            except InvalidInput as error:
                self.damaged, refusal = True, refusal or error
                continue
            left -= 1
            yield frame
        if left == most:
            raise InvalidInput(f"No picture of the zip can be used. {refusal}")

    def measure_position(self) -> float:
        return self.done / self.frames

    def _decode(self, member: Member) -> Image.Image:
        if member.info.file_size > MOST_PICTURE_BYTES:
            raise InvalidInput(
                f"{member.path} is longer than {MOST_PICTURE_BYTES} bytes: make it smaller."
            )
        try:
            return decode(member.read(), self.max_pixels)
        except InvalidInput as error:
            raise InvalidInput(f"{member.path}: {error}") from error


def natural_order(path: str) -> tuple[list[str | tuple[int, str]], str]:
    """A key that sorts numbers inside text by their value.

    Digits are compared by how many they are and then one by one: int() refuses thousands of them.
    """
    parts = re.split(r"([0-9]+)", path)  # text and digits take turns
    digits = [part.lstrip("0") for part in parts[1::2]]
    key: list[str | tuple[int, str]] = [*parts]
    key[1::2] = [(len(number), number) for number in digits]
    return key, path  # 01 and 1 have an order too
