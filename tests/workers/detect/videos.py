"""Makes the videos of tests: drawn frames in any container, and files that mean harm."""

import struct
from collections.abc import Iterable, Sequence
from fractions import Fraction
from io import BytesIO
from zipfile import ZipFile

import av
from PIL import Image

KINDS = {  # name: (container, encoder)
    "mp4-h264": ("mp4", "libx264"),
    "mov-h264": ("mov", "libx264"),
    "mov-mjpeg": ("mov", "mjpeg"),
    "mp4-hevc": ("mp4", "libx265"),
    "mp4-av1": ("mp4", "libsvtav1"),
    "mp4-mpeg4": ("mp4", "mpeg4"),
    "webm-vp8": ("webm", "libvpx"),
    "webm-vp9": ("webm", "libvpx-vp9"),
    "mkv-h264": ("matroska", "libx264"),
    "avi-h264": ("avi", "libx264"),
    "avi-mpeg4": ("avi", "mpeg4"),
    "avi-mjpeg": ("avi", "mjpeg"),
}
QUIET = {"libx265": {"x265-params": "log-level=none"}}


def make_video(
    pictures: Iterable[Image.Image],
    kind: str = "mp4-h264",
    fps: int = 25,
    times: Sequence[float] | None = None,  # seconds of each
    turn: int = 0,  # degrees, counter-clockwise, for the player to turn it
    mirrored: bool = False,  # left and right, after it is turned
    aspect: Fraction | None = None,  # width of a pixel by its height
    options: dict[str, str] | None = None,  # of the encoder
) -> bytes:
    container_name, encoder = KINDS[kind]
    file = BytesIO()
    with av.open(file, "w", format=container_name) as container:
        stream = None
        for place, picture in enumerate(pictures):
            if stream is None:
                chosen = QUIET.get(encoder, {}) | (options or {})
                stream = container.add_stream(encoder, rate=fps, options=chosen)
                stream.width, stream.height = picture.size
                stream.pix_fmt = "yuvj420p" if encoder == "mjpeg" else "yuv420p"
                stream.codec_context.thread_count = 1
                if times:
                    stream.codec_context.time_base = Fraction(1, 1000)
                if aspect:
                    stream.codec_context.sample_aspect_ratio = aspect
                if turn or mirrored:
                    stream.set_display_rotation(turn, hflip=mirrored)
            frame = av.VideoFrame.from_image(picture)
            if times:
                frame.pts, frame.time_base = round(times[place] * 1000), Fraction(1, 1000)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return file.getvalue()


def draw_greys(count: int, size: tuple[int, int] = (64, 64)) -> list[Image.Image]:
    """Frames that are told apart by their grey: 10, 30, 50, ..."""
    return [Image.new("RGB", size, (grey_of(number),) * 3) for number in range(count)]


def grey_of(number: int) -> int:
    return 10 + 20 * (number % 12)


def pan(photo: Image.Image, count: int, size: tuple[int, int]) -> list[Image.Image]:
    """A window of this size that moves over the photograph, from the left to the right."""
    room = photo.width - size[0]
    top = (photo.height - size[1]) // 2
    lefts = [room * number // max(count - 1, 1) for number in range(count)]
    return [photo.crop((left, top, left + size[0], top + size[1])) for left in lefts]


def make_zip(files: dict[str, bytes]) -> bytes:
    file = BytesIO()
    with ZipFile(file, "w") as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def write_png(picture: Image.Image) -> bytes:
    file = BytesIO()
    picture.save(file, "PNG")
    return file.getvalue()


def find_middle_grey(picture: Image.Image) -> int:
    red, green, blue = picture.getpixel((picture.width // 2, picture.height // 2))
    return round((red + green + blue) / 3)


def atom(kind: bytes, *parts: bytes) -> bytes:
    content = b"".join(parts)
    return struct.pack(">I4s", 8 + len(content), kind) + content


def full(kind: bytes, *parts: bytes) -> bytes:
    """An atom with a version and flags, all zero."""
    return atom(kind, bytes(4), *parts)


def make_movie(
    samples: int = 10, reference: bytes = b"", coding: bytes = b"mp4v", fragment: int = 0
) -> bytes:
    """A bare MP4 that says it has so many samples of a byte, in this file or in another.

    `fragment`: samples of a second part, which the file says nothing more of.
    """
    entry = atom(
        coding,
        bytes(6) + struct.pack(">H", 1) + bytes(16) + struct.pack(">HH", 64, 64) + bytes(50),
    )
    tables = atom(
        b"stbl",
        full(b"stsd", struct.pack(">I", 1), entry),
        full(b"stts", struct.pack(">III", 1, samples, 1)),
        full(b"stsc", struct.pack(">IIII", 1, 1, samples, 1)),
        full(b"stsz", struct.pack(">II", 1, samples)),
        full(b"stco", struct.pack(">II", 1, 40)),
    )
    where = atom(b"dinf", full(b"dref", struct.pack(">I", 1), reference)) if reference else b""
    media = atom(
        b"mdia",
        full(b"mdhd", struct.pack(">IIII", 0, 0, 1000, 1000), bytes(4)),
        full(b"hdlr", bytes(4), b"vide", bytes(13)),
        atom(b"minf", where, tables),
    )
    track = atom(b"trak", full(b"tkhd", struct.pack(">III", 0, 0, 1), bytes(68)), media)
    more, later = b"", b""
    if fragment:
        more = atom(b"mvex", full(b"trex", struct.pack(">IIIII", 1, 1, 1, 1, 0)))
        run = full(b"trun", struct.pack(">I", fragment))
        head = full(b"mfhd", struct.pack(">I", 1))
        later = atom(b"moof", head, atom(b"traf", full(b"tfhd", struct.pack(">I", 1)), run))
    movie = atom(b"moov", full(b"mvhd", bytes(96)), track, more)
    return atom(b"ftyp", b"isom", bytes(4), b"isom") + movie + later + atom(b"mdat", bytes(100))


def make_reference(name: str) -> bytes:
    """An entry that says the samples lie in another file: an alias record of the Macintosh."""
    place = name.encode()
    record = (
        bytes(10)
        + bytes([1]) + b"v".ljust(27, b"\0")  # the volume
        + bytes(12)
        + bytes([len(place)]) + place.ljust(63, b"\0")
        + bytes(16)
        + struct.pack(">hh", 1, 1)  # levels of folders between the two files
        + bytes(16)
        + struct.pack(">HH", 2, len(place)) + place + bytes(len(place) % 2)
    )  # fmt: skip
    return full(b"alis", record, struct.pack(">h", -1))
