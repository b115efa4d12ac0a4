"""`atelier text ingest`: count the words of files, many files a job and a few jobs at once."""

import re
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import (
    SOME_FAILED,
    USAGE,
    connect,
    leave,
    tell,
    write_json,
)
from services.client.facts import show_facts
from services.client.job import Job
from services.client.problems import Problem
from services.client.text_options import (
    Encoding,
    Json,
    KeepCase,
    LettersOnly,
    Unit,
    Vocabulary,
    describe_tokeniser,
)
from services.client.text_pieces import (
    NothingFound,
    Piece,
    find_files,
    group,
    measure,
    read_pieces,
)
from services.client.watch import Watch, run_task

app = typer.Typer()

AT_ONCE = 3  # jobs under way
ACCEPTED = ("text/plain", "application/zip")
HOPELESS = ("other_tokeniser",)  # the other jobs will fare no better
NAME = re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]{1,200}")  # what a document may be called
COUNTED = ("documents", "known", "replaced", "tokens", "too_long")


class Format(StrEnum):
    text = "text"
    lines = "lines"
    jsonl = "jsonl"


class Refused(Exception):
    """A piece that cannot be sent; the text says why."""


@dataclass(frozen=True)
class Sent:
    """A piece that is on the server."""

    piece: Piece
    blob_id: str


@app.command()
def ingest(
    vocabulary: Vocabulary,
    paths: Annotated[
        list[str],
        typer.Argument(metavar="PATH...", help="Files, zips, folders, quoted globs; - for stdin."),
    ],
    format: Annotated[
        Format | None,
        typer.Option(help="What a document is: a file, a line, or a JSON object with text."),
    ] = None,
    encoding: Encoding = "utf-8",
    unit: Unit = None,
    keep_case: KeepCase = False,
    letters_only: LettersOnly = False,
    replace: Annotated[
        bool, typer.Option("--replace", help="Count documents anew whose content changed.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Count the words of documents into a vocabulary, which is made if there is none.

    A document is known by its path as given: run it again and nothing is counted twice.
    """
    try:
        files = find_files(paths)
    except NothingFound as error:
        raise leave(str(error), USAGE) from error
    request = {
        "vocabulary": vocabulary,
        "encoding": encoding,
        "tokeniser": describe_tokeniser(unit, keep_case, letters_only),
        "replace": replace,
    }
    with connect() as client:
        try:
            with Watch(client, "ingest", measure(files)) as watch:
                ingestion = Ingestion(watch, request)
                ingestion.run(group(read_pieces(files, format)))
        except OSError as error:
            raise leave(f"{error.filename} cannot be read: {error.strerror}.", USAGE) from error
        _report(client, ingestion, vocabulary, as_json)


class Ingestion:
    """The jobs of one command, what they counted, and what failed."""

    def __init__(self, watch: Watch, request: dict[str, Any]) -> None:
        self.watch = watch
        self.request = request
        self.counted: Counter[str] = Counter(dict.fromkeys(COUNTED, 0))
        self.failures: list[tuple[str, str]] = []
        self._under_way: deque[tuple[list[Sent], float, Job]] = deque()  # with bytes of the bar

    def run(self, loads: Iterable[list[Piece]]) -> None:
        """While some loads are counted, the next one is sent."""
        for load in loads:
            if len(self._under_way) >= AT_ONCE:
                self._finish()
            sent = [item for piece in load for item in self._send(piece)]
            self._submit(sent, sum(item.piece.size for item in sent))
        while self._under_way:
            self._finish()

    def _send(self, piece: Piece) -> Iterator[Sent]:
        """The piece once it is on the server; nothing if it cannot be used."""
        try:
            yield Sent(piece, _upload(self.watch.client, piece))
        except Refused as refused:
            self.failures.append((piece.name, str(refused)))

    def _submit(self, load: list[Sent], size: float) -> None:
        if not load:
            return
        content = {
            **self.request,
            "files": [item.blob_id for item in load],
            "file_ids": [item.piece.name for item in load],
            "format": load[0].piece.format,
        }
        self._under_way.append((load, size, self.watch.submit("text.ingest", content)))

    def _finish(self) -> None:
        """A job fails as a whole: its halves are tried until what is at fault stands alone."""
        load, size, job = self._under_way.popleft()
        ended = self.watch.follow(job, size)
        if ended.succeeded:
            self.counted.update({name: (ended.result or {})[name] for name in COUNTED})
        elif (ended.error or {}).get("code") in HOPELESS:
            raise leave(ended.reason, SOME_FAILED)
        elif len(load) == 1:
            self.failures.append((load[0].piece.name, ended.reason))
        else:
            half = len(load) // 2
            self._submit(load[:half], 0.0)  # the bar has these bytes already
            self._submit(load[half:], 0.0)


def _upload(client: Client, piece: Piece) -> str:
    """The blob id. Raises Refused; a key that is not accepted ends the command."""
    if not NAME.fullmatch(piece.name):
        raise Refused("its name is longer than 200 characters, or has some that do not print.")
    if piece.size == 0:
        raise Refused("it is empty.")
    try:
        blob = client.upload(piece.content)
    except OSError as error:
        raise Refused(f"it cannot be read: {error.strerror}.") from error
    except Problem as problem:
        if problem.unauthorised:
            raise
        raise Refused(str(problem)) from problem
    if blob["media_type"] not in ACCEPTED:
        raise Refused("it is neither text nor a zip.")
    return str(blob["id"])


def _report(client: Client, ingestion: Ingestion, vocabulary: str, as_json: bool) -> None:
    """What was counted, what the vocabulary holds now, and what failed."""
    views = run_task(client, "text.vocab.list", {})["vocabularies"]
    facts: dict[str, Any] = {"vocabulary": vocabulary, **ingestion.counted}
    for view in views:
        if view["vocabulary"] == vocabulary:
            facts |= {"total_documents": view["documents"], "total_tokens": view["tokens"]}
            facts["words"] = view["words"]
    if as_json:
        failed = [{"name": name, "reason": reason} for name, reason in ingestion.failures]
        write_json({**facts, "failed": failed})
    else:
        show_facts("text.ingest", facts, as_json)
    for name, reason in sorted(ingestion.failures):
        tell(f"{name}: {reason}")
    if ingestion.failures:
        raise leave(f"{len(ingestion.failures)} could not be counted.", SOME_FAILED)
