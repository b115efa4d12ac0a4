"""`atelier faces calibrate | export | import | move | audit`: keep collections in order."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import (
    SOME_FAILED,
    USAGE,
    connect,
    format_json,
    leave,
    tell,
    write_json,
    write_table,
)
from services.client.faces_options import Backend, BackendName, Collection, Fpir, Json
from services.client.facts import format_time, show_facts
from services.client.saved_files import check_writable, save_file
from services.client.watch import run_task

app = typer.Typer()

PAGE = 1000  # lines of the log asked for at a time

File = Annotated[Path, typer.Argument(metavar="FILE")]


@app.command()
def calibrate(
    collection: Collection,
    fpir: Fpir = None,
    probes: Annotated[
        int, typer.Option(min=100, max=100_000, help="Faces to search with at most.")
    ] = 10_000,
    as_json: Json = False,
) -> None:
    """Measure the collection's threshold on its own faces; --fpir becomes its rate."""
    request = {"collection": collection, "target_fpir": fpir, "probes": probes}
    with connect() as client:
        result = run_task(client, "faces.calibrate", request)
    show_facts("faces.calibrate", result, as_json)
    if not result["enough"]:
        tell(
            "Few false matches stand behind this figure: enrol more people, or ask for a "
            "larger --fpir."
        )


@app.command("export")
def export_collection(
    collection: Collection,
    file: File,
    plain: Annotated[
        bool, typer.Option("--plain", help="Not encrypted: anybody can read the faces in it.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Write a collection into one file, which only this tenant can import."""
    check_writable(file)
    with connect() as client:
        request = {"collection": collection, "encrypted": not plain}
        result = run_task(client, "faces.export", request)
        save_file(client, result["file"], file)
    if as_json:
        write_json({**result, "saved": str(file)})
    tell(f"Wrote {result['faces']} faces to {file}. No receipt of a deletion covers this copy.")


@app.command("import")
def import_collection(
    collection: Collection, file: File, backend: Backend = BackendName.local, as_json: Json = False
) -> None:
    """Fill a new collection from an exported file."""
    if not file.is_file():
        raise leave(f"There is no file {file}.", USAGE)
    with connect() as client:
        blob_id = client.upload(file)["id"]
        request = {"collection": collection, "file": blob_id, "backend": backend}
        show_facts("faces.import", run_task(client, "faces.import", request), as_json)


@app.command()
def move(
    collection: Collection,
    into: Annotated[str, typer.Option(metavar="NEWNAME", help="The collection to make.")],
    backend: Annotated[BackendName, typer.Option(help="What will search it.")],
    as_json: Json = False,
) -> None:
    """Copy a collection into a new one on another backend, by export and import.

    The old one is left as it is: search the new one, then delete the old one.
    """
    with connect() as client:
        exported = run_task(client, "faces.export", {"collection": collection})
        request = {"collection": into, "file": exported["file"], "backend": backend}
        show_facts("faces.import", run_task(client, "faces.import", request), as_json)
    tell(
        f"{into} holds {collection} as of change {exported['seq']}. Calibrate it if the other one "
        f"was; once it serves, `atelier faces delete {collection} --all`."
    )


@app.command()
def audit(
    after: Annotated[int, typer.Option(min=0, help="Only lines after this position.")] = 0,
    as_json: Json = False,
) -> None:
    """Read the log of what was done with faces, and check that nobody changed it.

    Ends with 1 if somebody did.
    """
    broken_at: int | None = None
    with connect() as client:
        pages = _read_log(client, after)
        if as_json:
            for page in pages:
                broken_at = broken_at or page["broken_at"]
                for line in page["lines"]:
                    write_json(line)
        else:
            read = list(pages)
            broken_at = next((page["broken_at"] for page in read if page["broken_at"]), None)
            columns = ("position", "time", "key", "action", "collection", "detail")
            write_table(columns, [_make_row(line) for page in read for line in page["lines"]])
    if broken_at is not None:
        raise leave(
            f"THE LOG WAS CHANGED: its chain of signatures breaks at line {broken_at}. Nothing "
            "from there on can be relied on; compare it with a backup.",
            SOME_FAILED,
        )
    tell("The log is intact from its first line to its last.")


def _read_log(client: Client, after: int) -> Iterator[dict[str, Any]]:
    cursor: int | None = after
    while cursor is not None:
        page = run_task(client, "faces.audit", {"after": cursor, "limit": PAGE})
        yield page
        cursor = page["next"]


def _make_row(line: dict[str, Any]) -> tuple[str, ...]:
    key = "" if line["key_id"] is None else str(line["key_id"])
    detail = format_json(line["detail"])
    at = format_time(line["at"])
    return str(line["position"]), at, key, line["action"], line["collection"] or "", detail
