"""Decodes video files from outside with FFmpeg: few formats, one thread, bounded frames."""

import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from fractions import Fraction
from typing import IO

import av
import numpy as np
from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.sidedata.sidedata import SideData
from av.stream import Discard, Disposition
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image

from shared.blobs import BlobInfo
from workers.detect.bounded_memory import bound_memory
from workers.runtime.run import InvalidInput

# The demuxer for each type of file. Left to guess, FFmpeg would also take playlists, which name
# other files.
FORMATS = {"video/mp4": "mov", "video/x-matroska": "matroska", "video/x-msvideo": "avi"}
CODECS = {  # FFmpeg's name of each -> what people call it
    "h264": "H.264",
    "hevc": "H.265",
    "vp8": "VP8",
    "vp9": "VP9",
    "av1": "AV1",
    "mpeg4": "MPEG-4",
    "mjpeg": "Motion JPEG",
}
DECODERS = ",".join([*CODECS, "libdav1d"])  # which is for AV1
MOST_PIXELS = 4096 * 2304  # of a frame: decoders keep 17 of them (H.264, 4:4:4, 10 bits: 1 GB)
INDEX_BYTES = 2**29  # for the list of the packets: an MP4 of 600 bytes may ask for 3 GB
UNKNOWN_FPS = 25.0  # where the file does not say
LONGEST_PAUSE = 3600.0  # seconds between two frames; a longer one is a damaged time stamp
MATRIX = struct.Struct("=2i4x2i")  # of display: the first two columns of its first two rows
ADVICE = "Convert it to MP4 with H.264, which every video editor writes."


@contextmanager
def open_video(
    file: IO[bytes], found: BlobInfo, max_pixels: int, check_alive: Callable[[], None]
) -> Iterator["Video"]:
    """`check_alive` is called for every packet, to stop by an exception.

    Raises InvalidInput for what cannot be read; a frame has at most `max_pixels`.
    """
    max_pixels = min(max_pixels, MOST_PIXELS)
    try:
        with bound_memory(INDEX_BYTES):
            container = av.open(
                file,
                "r",
                format=FORMATS[found.media_type],
                options={"codec_whitelist": DECODERS, "max_pixels": str(2 * MOST_PIXELS)},
                metadata_errors="replace",
                io_open=_refuse,
            )
    except (FFmpegError, PermissionError) as error:
        raise InvalidInput(
            f"The video cannot be read: it is damaged or cut off. {ADVICE}"
        ) from error
    with container:
        yield Video(container, file, found.size, max_pixels, check_alive)


def _refuse(url: str, _flags: int, _options: dict[str, str]) -> IO[bytes]:
    """A file may not open another."""
    raise PermissionError(url)


class Video:
    """An open video file."""

    def __init__(
        self,
        container: InputContainer,
        file: IO[bytes],
        size: int,
        max_pixels: int,
        check_alive: Callable[[], None],
    ) -> None:
        self.container, self.file, self.size = container, file, size
        self.check_alive, self.max_pixels = check_alive, max_pixels
        self.stream = _choose_stream(container)
        _prepare(self.stream, max_pixels)
        self.fps = _read_fps(self.stream)
        self.frames = self._count()
        self.damaged = False  # part of it could not be read

    def decode(self) -> Iterator[tuple[float, VideoFrame]]:
        """All frames with their seconds since the first, which never go back.

        What is damaged is left out, as players do. Raises InvalidInput if nothing is left.
        """
        # AVI has no times of display: FFmpeg's are those of decoding, which B-frames shuffle.
        timed = self.container.format.name != "avi"
        first: float | None = None
        now = 0.0
        for frame in self._decode_all():
            seconds = frame.time if timed else None
            if first is None:
                first = seconds or 0.0
            else:
                own = None if seconds is None else seconds - first
                now = _advance(now, own, 1 / self.fps)
            yield now, frame
        if first is None:
            raise InvalidInput(
                "No frame of the video can be decoded: it is damaged, or its frames have more than "
                f"{self.max_pixels} pixels. {ADVICE}"
            )

    def convert(self, frame: VideoFrame) -> Image.Image:
        """The upright RGB picture, of square pixels."""
        width = round(frame.width * (self.stream.sample_aspect_ratio or 1))
        if not 0 < width * frame.height <= self.max_pixels:  # nobody films like that
            width = frame.width
        pixels = frame.to_ndarray(format="rgb24", width=width, height=frame.height)
        picture = Image.fromarray(np.asarray(pixels))
        matrix = frame.side_data.get("DISPLAYMATRIX")
        return _turn(picture, bytes(matrix)) if isinstance(matrix, SideData) else picture

    def measure_position(self) -> float:
        """The part of the file that was read, in [0, 1]."""
        return min(1.0, self.file.tell() / max(self.size, 1))

    def _count(self) -> int | None:
        """What the file says; it may be wrong."""
        if self.stream.frames > 0:
            return self.stream.frames
        seconds = (self.container.duration or 0) / 10**6
        return max(1, round(seconds * self.fps)) if 0 < seconds < 10**7 else None

    def _decode_all(self) -> Iterator[VideoFrame]:
        for packet in self._demux():
            self.check_alive()
            self.damaged |= packet is not None and packet.is_corrupt
            try:
                frames = self.stream.decode(packet)
            except FFmpegError:  # also its MemoryError, which frames over the limit raise
                frames = []
                self.damaged = True
            for frame in frames:
                if frame.width * frame.height <= self.max_pixels:
                    yield frame
                else:
                    self.damaged = True

    def _demux(self) -> "Iterator[Packet[VideoStream] | None]":
        """All packets; the last one is empty, which makes the decoder give what it still has."""
        packets = self.container.demux(self.stream)
        packet: Packet[VideoStream] | None = None
        try:
            while True:
                with bound_memory(INDEX_BYTES):
                    packet = next(packets, None)
                if packet is None:
                    return
                yield packet
        except (FFmpegError, PermissionError):
            self.damaged = True
            yield None


def _choose_stream(container: InputContainer) -> VideoStream:
    """The first with moving pictures; the other streams are not read."""
    cover = Disposition.attached_pic
    streams = [stream for stream in container.streams.video if not stream.disposition & cover]
    if not streams:
        raise InvalidInput(f"There are no moving pictures in the file. {ADVICE}")
    for other in container.streams:
        if other is not streams[0]:
            other.discard = Discard.all
    return streams[0]


def _prepare(stream: VideoStream, max_pixels: int) -> None:
    context = stream.codec_context
    if context is None or context.codec.canonical_name not in CODECS:
        known = ", ".join(CODECS.values())
        raise InvalidInput(f"The video is coded in an unknown way; known are {known}. {ADVICE}")
    if context.width * context.height > max_pixels:
        raise InvalidInput(
            f"The frames have {context.width} x {context.height} pixels; {max_pixels} in all can "
            "be used: make the video smaller."
        )
    context.thread_count = 1
    # Frames may grow in between. Decoders check with sides that are whole blocks.
    context.options = {"max_pixels": str(2 * max_pixels)}


def _read_fps(stream: VideoStream) -> float:
    rate = stream.average_rate or stream.guessed_rate or Fraction(0)
    return float(rate) if Fraction(1, 1000) <= rate <= 1000 else UNKNOWN_FPS


def _advance(last: float, seconds: float | None, step: float) -> float:
    """The time of a frame after one at `last`; `step` later if its own makes no sense."""
    if seconds is None or not last < seconds < last + LONGEST_PAUSE:
        return last + step
    return seconds


def _turn(picture: Image.Image, matrix: bytes) -> Image.Image:
    """As the matrix of display has it, rounded to quarter turns; it may also mirror."""
    x_to_x, x_to_y, y_to_x, y_to_y = MATRIX.unpack_from(matrix)
    if abs(x_to_y) > abs(x_to_x):
        picture = picture.transpose(Image.Transpose.TRANSPOSE)
        x_to_x, y_to_y = y_to_x, x_to_y
    if x_to_x < 0:
        picture = picture.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if y_to_y < 0:
        picture = picture.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    return picture
