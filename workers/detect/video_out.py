"""Writes pictures as an MP4 that every browser plays."""

from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
from types import TracebackType

import av
import numpy as np
from av.video.frame import VideoFrame
from av.video.stream import VideoStream
from PIL import Image, ImageOps

MUXER = {"movflags": "+faststart", "fflags": "+bitexact"}  # which names no program that wrote it
TICKS = 90_000  # time stamps per second
LONGEST = 3600 * TICKS  # that a frame is shown: MP4 has 32 bits for it
# Without B-frames: with them, the muxer takes the time of the last packet, which is not the last
# frame's, and a video of uneven times would end early.
QUALITY = {"preset": "veryfast", "crf": "23", "bf": "0"}
MOST_SIDE = 4096  # pixels: with MOST_PIXELS, what level 5.2 of H.264 allows
MOST_PIXELS = 4096 * 2304
MOST_BYTES = 2**32
BT709 = 1  # of matrix, primaries and transfer: the colours of HD video
LIMITED = 1  # luma is 16 to 235, as players expect


class VideoWriter:
    """H.264 in an MP4 whose index comes first; the first picture gives the size.

    Pictures of another shape come to lie between black borders. Nothing of the source is in it but
    the pictures and their times.
    """

    def __init__(self, path: Path, fps: float) -> None:
        """`fps` is what to expect; every frame is shown from its own time on."""
        self.fps = fps
        self.duration = min(round(TICKS / fps), LONGEST)  # of the last frame
        self.written = 0  # bytes
        self.last = -1  # the time stamp of the last frame, in ticks
        self.stream: VideoStream | None = None
        self.closing = ExitStack()
        # By its path: to put the index first, FFmpeg opens the file a second time.
        self.container = self.closing.enter_context(
            av.open(str(path), "w", format="mp4", options=MUXER)
        )

    def __enter__(self) -> "VideoWriter":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if kind is None and self.stream is not None:
            self.container.mux(self.stream.encode(None))
        self.closing.close()

    @property
    def full(self) -> bool:
        return self.written >= MOST_BYTES

    def add(self, picture: Image.Image, seconds: float) -> None:
        """Show the RGB picture from then on, later than the one before; an hour at most."""
        if self.stream is None:
            self.stream = self._start(choose_size(*picture.size))
        size = (self.stream.width, self.stream.height)
        if picture.size != size:
            picture = ImageOps.pad(picture, size, Image.Resampling.BILINEAR, color="black")
        frame = VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
            format="yuv420p", dst_colorspace=BT709, dst_color_range=LIMITED
        )
        passed = round(seconds * TICKS) - self.last
        self.last += min(max(passed, 1), LONGEST)
        frame.pts, frame.time_base = self.last, Fraction(1, TICKS)
        frame.duration = self.duration
        packets = self.stream.encode(frame)
        self.container.mux(packets)
        self.written += sum(packet.size for packet in packets)

    def _start(self, size: tuple[int, int]) -> VideoStream:
        rate = Fraction(min(max(self.fps, 1.0), 240.0)).limit_denominator(1001)
        stream = self.container.add_stream("libx264", rate=rate, options=QUALITY)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.time_base = Fraction(1, TICKS)
        context.thread_count = 1
        context.colorspace = context.color_primaries = context.color_trc = BT709
        context.color_range = LIMITED
        return stream


def choose_size(width: int, height: int) -> tuple[int, int]:
    """The even size of a video for pictures of this size; smaller if they are very large."""
    scale = min(1.0, MOST_SIDE / max(width, height), (MOST_PIXELS / (width * height)) ** 0.5)
    return make_even(width * scale), make_even(height * scale)


def make_even(length: float) -> int:
    return max(2, 2 * int(length / 2))
