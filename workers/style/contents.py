"""Finds the pictures that a one-pass network learns to paint, and leaves other files out."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import IO

from PIL import Image

from workers.runtime.data_paths import is_picture
from workers.runtime.images import decode
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.spooled_data import Watch
from workers.runtime.zips import check_first, is_hidden, open_zip
from workers.style.stops import Stop

MAX_FILES = 100_000  # of a zip
MAX_BYTES = 8 * 2**30  # of all files of a zip, unpacked
MAX_FILE = 2**28  # bytes of one file: 40 million pixels that could not be packed
MAX_PIXELS = 8_000_000_000  # of all pictures together: minutes of decoding

Read = Callable[[], bytes]
Files = Mapping[PurePosixPath, Read]  # by their path in the data set


@dataclass(frozen=True)
class Content:
    path: str  # in the data set
    width: int  # of the upright picture
    height: int
    digest: str  # of its file
    read: Read = field(repr=False, compare=False)  # a zip's must still be open

    def open(self) -> Image.Image:
        """The upright RGB picture. Raises InvalidInput if its file changed since."""
        return decode(self.read())


@dataclass(frozen=True)
class Contents:
    pictures: tuple[Content, ...]  # sorted by path; one at least
    left_out: int = 0  # files that are no pictures, or not usable

    def __len__(self) -> int:
        return len(self.pictures)

    def fingerprint(self) -> str:
        """The same for the same files in the same order, whatever they are called."""
        return hashlib.sha256(" ".join(one.digest for one in self.pictures).encode()).hexdigest()


def watch_nothing(done: int, count: int) -> None:
    """Nobody waits for the pictures."""


def read_folder(folder: Path, watch: Watch = watch_nothing) -> Contents:
    """The pictures below a folder, all decoded once; `watch` is called before each.

    Raises InvalidInput if there is none, TooLarge beyond MAX_PIXELS.
    """
    if not folder.is_dir():
        raise InvalidInput(f"{folder} is not a folder.")
    paths = {PurePosixPath(one.relative_to(folder)): one for one in folder.rglob("*")}
    return gather(
        {
            path: one.read_bytes
            for path, one in paths.items()
            if one.is_file() and not is_hidden(path)
        },
        watch,
    )


@contextmanager
def read_zip(file: IO[bytes], watch: Watch, check: Stop) -> Iterator[Contents]:
    """As `read_folder`, from outside; nothing is unpacked to disk.

    The pictures can be opened within the `with` alone. `check` is called before each file is read,
    then too, and may raise. Raises also InvalidInput for a path that leaves the zip, TooLarge
    beyond MAX_FILES or MAX_BYTES; a file beyond MAX_FILE is left out.
    """
    with open_zip(file, MAX_FILES, MAX_BYTES) as members:
        files = {
            member.path: check_first(check, partial(member.read, MAX_FILE)) for member in members
        }
        if len(files) < len(members):
            raise InvalidInput("Two files in the zip have the same path.")
        yield gather(files, watch)


def gather(files: Files, watch: Watch) -> Contents:
    """Look at every file. Raises InvalidInput if no picture is among them, and TooLarge."""
    found, pixels = list[Content](), 0
    for done, path in enumerate(sorted(files)):
        watch(done, len(files))
        try:
            picture = look(path, files[path])
        except (InvalidInput, TooLarge):
            continue
        found.append(picture)
        pixels += picture.width * picture.height
        if pixels > MAX_PIXELS:
            raise TooLarge(f"The pictures have more than {MAX_PIXELS} pixels together.")
    if not found:
        raise InvalidInput(
            f"None of the {len(files)} files is a picture that can be used: put JPEG, PNG or WEBP "
            "pictures into the data, in any folders."
        )
    return Contents(tuple(found), len(files) - len(found))


def look(path: PurePosixPath, read: Read) -> Content:
    """Raises InvalidInput for what is no picture, or a damaged one; TooLarge."""
    if not is_picture(path):
        raise InvalidInput(f"{path} is no picture.")
    content = read()
    picture = decode(content)
    digest = hashlib.sha256(content).hexdigest()
    return Content(str(path), picture.width, picture.height, digest, read)
