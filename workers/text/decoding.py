"""Reads the text of files as it comes: decoded, in pieces or lines, within what a job may read."""

import codecs
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from tempfile import SpooledTemporaryFile
from typing import IO, cast

from shared.blobs import IN_MEMORY, sniff
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.zips import Member, open_zip

PIECE = 2**20  # bytes read, or characters cut, at once
MAX_FILES = 100_000  # of one zip
MAX_STRETCH = 2**24  # characters of a line, or of text without a blank

Chunks = Iterable[bytes]


@dataclass
class Allowance:
    """How many bytes of text a job may still read."""

    left: int
    report: Callable[[int], None] = lambda _: None  # gets the bytes read so far
    done: int = field(default=0, init=False)

    def take(self, size: int) -> None:
        """Raises TooLarge."""
        self.done += size
        self.left -= size
        if self.left < 0:
            raise TooLarge(
                f"The texts have more than the {self.left + self.done} bytes of a job, unpacked. "
                "Send them in several jobs."
            )
        self.report(self.done)


@dataclass(frozen=True)
class TextPart:
    """A text file, read once from its start: a file, or one of the files in a zip."""

    path: str | None  # in the zip; none: it is the whole file
    chunks: Iterator[bytes]
    encoding: str
    allowance: Allowance

    def decode(self, name: str) -> Iterator[str]:
        """The text, without a byte order mark; `name` is what errors call it.

        Raises InvalidInput for what is no text in this encoding; TooLarge.
        """
        decoder = codecs.getincrementaldecoder(self.encoding)()
        read, at_start = 0, True
        for chunk in chain(filter(None, self.chunks), [b""]):
            if read == 0 and chunk:
                _check_text(name, chunk, self.encoding)
            read += len(chunk)
            self.allowance.take(len(chunk))
            try:
                text = decoder.decode(chunk, final=not chunk)
            except UnicodeDecodeError as error:
                offset = read - len(error.object) + error.start  # it holds bytes kept back, too
                raise InvalidInput(
                    f"{name!r} is no {self.encoding} at byte {offset}: {error.reason}. "
                    "Set `encoding`, or send UTF-8."
                ) from error
            if text:
                yield text.removeprefix("\ufeff") if at_start else text
                at_start = False


def _check_text(name: str, head: bytes, encoding: str) -> None:
    kind = sniff(head[:512])
    if kind != "text/plain":
        raise InvalidInput(
            f"{name!r} is no {encoding} text ({kind}). Send text files, or a zip of them."
        )


@contextmanager
def open_parts(chunks: Chunks, encoding: str, allowance: Allowance) -> Iterator[Iterator[TextPart]]:
    """The text files in a file: itself, or those of a zip in the order of their paths.

    Each is read before the next. Raises InvalidInput, TooLarge; the parts do so too.
    """
    rest = iter(chunks)
    head = next(rest, b"")
    whole = chain([head] if head else [], rest)
    if sniff(head[:512]) != "application/zip":
        yield iter([TextPart(None, whole, encoding, allowance)])
        return
    with SpooledTemporaryFile(max_size=IN_MEMORY) as spool:
        spool.writelines(whole)
        yield _read_zip(cast(IO[bytes], spool), encoding, allowance)


def _read_zip(file: IO[bytes], encoding: str, allowance: Allowance) -> Iterator[TextPart]:
    with open_zip(file, MAX_FILES, allowance.left) as members:
        if not members:
            raise InvalidInput("The zip has no files. Put text files into it.")
        for member in members:
            yield TextPart(str(member.path), _read_member(member), encoding, allowance)


def _read_member(member: Member) -> Iterator[bytes]:
    with member.open() as content:
        yield from iter(partial(content.read, PIECE), b"")


def cut_pieces(name: str, texts: Iterable[str], ends: str = "\n ") -> Iterator[str]:
    """The same text in pieces of about a megabyte, each but the last ending in one of `ends`.

    Neither a word nor a line is cut, nor what Unicode normalises together. Raises InvalidInput.
    """
    rest = ""
    for text in chain.from_iterable(map(_slice, texts)):
        rest += text
        if len(rest) < PIECE:
            continue
        end = max(map(rest.rfind, ends)) + 1
        if end:
            yield rest[:end]
        rest = rest[end:]
        _check_stretch(name, rest)
    if rest:
        yield rest


def _slice(text: str) -> Iterator[str]:
    return (text[start : start + PIECE] for start in range(0, len(text), PIECE))


def split_lines(name: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(`name:number`, line) of each line, from 1 on, without its end. Raises InvalidInput."""
    rest, number = "", 0
    for text in chain(texts, ["\n"]):
        *lines, rest = (rest + text).split("\n")
        for line in lines:
            number += 1
            yield f"{name}:{number}", line.removesuffix("\r")
        _check_stretch(f"{name}:{number + 1}", rest)


def _check_stretch(name: str, text: str) -> None:
    if len(text) > MAX_STRETCH:
        raise InvalidInput(
            f"{name!r} has {len(text)} characters without the end of a line. Break it into lines "
            f"of less than {MAX_STRETCH}."
        )
