"""Reads documents, a corpus or labelled texts out of requests, text files and zips."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import PurePosixPath
from typing import Any

from pydantic import TypeAdapter, ValidationError

from shared.text_tables import LONGEST_WORD
from workers.runtime.run import InvalidInput, TooLarge
from workers.text.decoding import (
    Allowance,
    Chunks,
    TextPart,
    cut_pieces,
    open_parts,
    split_lines,
)
from workers.text.fields import MAX_WORDS, DocumentId, Tokeniser
from workers.text.tokenise import cut
from workers.text.vocabulary_contract import IngestRequest

MAX_BYTES = 256 * 2**20  # of all text of a job, unpacked
MAX_DOCUMENTS = 100_000  # of a job
MAX_LABELLED = 1_000_000  # texts of a training

_IDS: TypeAdapter[str] = TypeAdapter(DocumentId)


@dataclass(frozen=True)
class Document:
    """A document and how often each word occurs in it."""

    name: str
    sha256: str  # of its text in UTF-8
    counts: Counter[str]  # in the order of first appearance
    tokens: int  # all that are counted
    too_long: int  # words of more than LONGEST_WORD characters, which are not


def open_documents(
    request: IngestRequest,
    tokeniser: Tokeniser,
    open_file: Callable[[str], Chunks],
    report: Callable[[int], None] = lambda _: None,
) -> Iterator[Document]:
    """The documents of a request, one after the other, each name once.

    `open_file` streams the file of an id; `report` gets the bytes of text read so far, unpacked.
    No file is in memory as a whole. Raises InvalidInput, naming the document; TooLarge.
    """
    allowance = Allowance(MAX_BYTES, report)
    seen: dict[str, str] = {}  # name -> sha256
    for document in _read_all(request, tokeniser, open_file, allowance):
        if document.name not in seen:
            seen[document.name] = document.sha256
            _check_number(len(seen), MAX_DOCUMENTS)
            yield document
        elif seen[document.name] != document.sha256:
            raise InvalidInput(
                f"Two documents of this job are called {document.name!r}, and differ. "
                "Give them other ids."
            )


def _check_number(number: int, limit: int) -> None:
    if number > limit:
        raise TooLarge(f"A job takes {limit} texts, and there are more. Send them in several jobs.")


def _read_all(
    request: IngestRequest,
    tokeniser: Tokeniser,
    open_file: Callable[[str], Chunks],
    allowance: Allowance,
) -> Iterator[Document]:
    for number, text in enumerate(request.texts):
        allowance.take(len(text.encode()))
        name = request.ids[number] if request.ids else hashlib.sha256(text.encode()).hexdigest()
        called = "" if request.ids else f"Text {number}, counted from 0,"
        yield _need_tokens(_count(name, [text], tokeniser), called)
    for number, blob_id in enumerate(request.files):
        given = request.file_ids[number] if request.file_ids else None
        with open_parts(open_file(blob_id), request.encoding, allowance) as parts:
            for part in parts:
                yield from _read_part(part, blob_id, given, request.format, tokeniser)


def _read_part(
    part: TextPart, blob_id: str, given: str | None, form: str, tokeniser: Tokeniser
) -> Iterator[Document]:
    """`given` is the name that the client chose for the file."""
    name = _check_name("/".join(filter(None, [given, part.path])) or blob_id)
    texts = part.decode(name)
    if part.path is not None and part.path.lower().endswith(".jsonl"):
        form = "jsonl"
    if form == "text":
        yield _need_tokens(_count(name, texts, tokeniser))
    elif form == "lines":
        yield from _read_lines(name, texts, tokeniser)
    else:
        yield from _read_jsonl(name, given, texts, tokeniser)


def _read_lines(name: str, texts: Iterable[str], tokeniser: Tokeniser) -> Iterator[Document]:
    """Lines without a token are left out, unless none has one."""
    empty = True
    for line_name, line in split_lines(name, texts):
        document = _count(line_name, [line], tokeniser)
        if document.tokens + document.too_long:
            _check_name(line_name)
            yield document
            empty = False
    if empty:
        raise InvalidInput(f"No line of {name!r} has a token. Leave the file out.")


def _read_jsonl(
    name: str, given: str | None, texts: Iterable[str], tokeniser: Tokeniser
) -> Iterator[Document]:
    for line_name, item in _parse_lines(name, texts):
        called = line_name
        if item.get("id") is not None:
            called = ":".join(filter(None, [given, _take_name(line_name, item, "id")]))
        text = _take_text(line_name, item, "text")
        yield _need_tokens(_count(_check_name(called), [text], tokeniser))


def _parse_lines(name: str, texts: Iterable[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """(`name:number`, the object) of each line that is not blank."""
    for line_name, line in _split(name, texts):
        try:
            item = json.loads(line)
        except (ValueError, RecursionError) as error:
            raise InvalidInput(f"{line_name!r} is no JSON: {error}.") from error
        if not isinstance(item, dict):
            raise InvalidInput(f'{line_name!r} is no JSON object such as {{"text": "..."}}.')
        yield line_name, item


def _split(name: str, texts: Iterable[str]) -> Iterator[tuple[str, str]]:
    """(`name:number`, line) of each line that is not blank."""
    return ((line_name, line) for line_name, line in split_lines(name, texts) if line.strip())


def _take_name(line_name: str, item: dict[str, Any], key: str) -> str:
    """A text, or a whole number as one."""
    name = item.get(key)
    if isinstance(name, int) and not isinstance(name, bool):
        return str(name)
    return _take_text(line_name, item, key)


def _take_text(line_name: str, item: dict[str, Any], key: str) -> str:
    text = item.get(key)
    if not isinstance(text, str):
        raise InvalidInput(f'{line_name!r} has no "{key}" that is a text.')
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput(
            f'{line_name!r}: "{key}" has half of a surrogate pair at character {error.start}. '
            "Send both halves."
        ) from error
    return text


def _count(name: str, texts: Iterable[str], tokeniser: Tokeniser) -> Document:
    digest, counts = hashlib.sha256(), Counter[str]()
    for piece in cut_pieces(name, texts, "\n" if tokeniser.letters_only else "\n "):
        digest.update(piece.encode())
        counts.update(cut(tokeniser, piece))
        if len(counts) > MAX_WORDS:
            raise TooLarge(
                f"{name!r} has more than {MAX_WORDS} distinct words. Send it in several jobs, "
                "or check that it is text."
            )
    long = [word for word in counts if len(word) > LONGEST_WORD]
    too_long = sum(counts.pop(word) for word in long)
    return Document(name, digest.hexdigest(), counts, counts.total(), too_long)


def _need_tokens(document: Document, called: str = "") -> Document:
    """Raises InvalidInput for a document that has none, as `called` or by its name."""
    if not document.tokens + document.too_long:
        raise InvalidInput(f"{called or repr(document.name)} has no token. Leave it out.")
    return document


def _check_name(name: str) -> str:
    if not _is_name(name):
        raise InvalidInput(
            f"{name[:300]!r} cannot name a document: it takes 1 to 200 characters, none of them "
            "a control character. Send ids or shorter paths."
        )
    return name


def _is_name(text: str) -> bool:
    try:
        _IDS.validate_python(text)
    except ValidationError:
        return False
    return True


def read_corpus(content: bytes, encoding: str) -> str:
    """The text of a file, or the files of a zip in the order of their paths, a newline between.

    Raises InvalidInput, also if there is nothing but blanks; TooLarge.
    """
    with open_parts([content], encoding, Allowance(MAX_BYTES)) as parts:
        text = "\n".join("".join(part.decode(part.path or "The file")) for part in parts)
    if not text.strip():
        raise InvalidInput("The corpus has no text. Send a file with some.")
    return text


def read_labelled(content: bytes, encoding: str) -> list[tuple[str, str]]:
    """(label, text) of each line: label, tab, text; or JSON objects with "label" and "text".

    In a zip, each line of a file is a text, its label the file's name without the ending.
    Raises InvalidInput, naming the line; TooLarge.
    """
    pairs: list[tuple[str, str]] = []
    with open_parts([content], encoding, Allowance(MAX_BYTES)) as parts:
        for line_name, label, text in chain.from_iterable(map(_label, parts)):
            pairs.append(_check_pair(line_name, label.strip(), text.strip()))
            _check_number(len(pairs), MAX_LABELLED)
    if not pairs:
        raise InvalidInput("There is no labelled text. Send lines of a label, a tab and a text.")
    return pairs


def _label(part: TextPart) -> Iterator[tuple[str, str, str]]:
    """(`name:number`, label, text) of each line that is not blank."""
    if part.path is not None:
        label = PurePosixPath(part.path).stem
        for line_name, line in _split(part.path, part.decode(part.path)):
            yield line_name, label, line
        return
    texts = part.decode("The file")
    first = next(texts, "")
    whole = chain([first], texts)
    if first.lstrip().startswith("{"):
        for line_name, item in _parse_lines("line", whole):
            label, text = _take_name(line_name, item, "label"), _take_text(line_name, item, "text")
            yield line_name, label, text
        return
    for line_name, line in _split("line", whole):
        label, tab, text = line.partition("\t")
        if not tab:
            raise InvalidInput(f"{line_name!r} has no tab between a label and a text.")
        yield line_name, label, text


def _check_pair(line_name: str, label: str, text: str) -> tuple[str, str]:
    if not label or not text:
        raise InvalidInput(f"{line_name!r} has an empty label or text.")
    if not _is_name(label):
        raise InvalidInput(
            f"{line_name!r} begins with what is no label: it takes 1 to 200 characters, none of "
            "them a control character. Is it a label, a tab and a text?"
        )
    return label, text
