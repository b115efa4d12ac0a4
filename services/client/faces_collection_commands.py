"""`atelier faces create | update | collections | stats | list | delete | receipt`."""

import time
from collections.abc import Iterator
from itertools import islice
from typing import Annotated, Any

import typer

from services.client.client import Client
from services.client.console import USAGE, connect, leave, tell, write_json, write_table
from services.client.faces_options import Backend, BackendName, Collection, Fpir, Json
from services.client.facts import DAY, format_time, show_facts
from services.client.watch import run_task

app = typer.Typer()

PAGE = 1000  # faces asked for at a time
LOOK_EVERY = 2.0  # seconds between looks at a receipt

ReceiptId = Annotated[str, typer.Argument(metavar="RECEIPT")]


@app.command()
def create(
    collection: Collection,
    fpir: Fpir = None,
    retention: Annotated[
        float | None, typer.Option(metavar="DAYS", help="Delete every face after so many days.")
    ] = None,
    model: Annotated[str | None, typer.Option(help="The encoder; fixed from then on.")] = None,
    dimensions: Annotated[
        int | None,
        typer.Option(min=2, help="Of an encoder that is not here: numbers of its embeddings."),
    ] = None,
    backend: Backend = BackendName.local,
    description: Annotated[str, typer.Option(help="What it is for.")] = "",
    as_json: Json = False,
) -> None:
    """Make an empty collection."""
    if retention is not None and retention <= 0:
        raise leave("--retention is a number of days above 0.", USAGE)
    request = {
        "collection": collection,
        "description": description,
        "model": model,
        "dimensions": dimensions,
        "backend": backend,
        "retention": None if retention is None else retention * DAY,
        "target_fpir": fpir,
    }
    with connect() as client:
        show_facts("faces.create", run_task(client, "faces.create", request), as_json)


@app.command()
def update(
    collection: Collection,
    fpir: Fpir = None,
    retention: Annotated[
        float | None,
        typer.Option(metavar="DAYS", min=0, help="Of faces enrolled from now on; 0: no limit."),
    ] = None,
    description: Annotated[str | None, typer.Option(help="What it is for.")] = None,
    as_json: Json = False,
) -> None:
    """Change what may change of a collection."""
    request = {
        "collection": collection,
        "description": description,
        "retention": None if retention is None else retention * DAY,
        "target_fpir": fpir,
    }
    with connect() as client:
        show_facts("faces.update", run_task(client, "faces.update", request), as_json)


@app.command()
def collections(as_json: Json = False) -> None:
    """List your collections."""
    with connect() as client:
        views = run_task(client, "faces.collections", {})["collections"]
    if as_json:
        for view in views:
            write_json(view)
        return
    columns = ("collection", "people", "faces", "model", "backend", "threshold", "description")
    write_table(columns, map(_make_row, views))


@app.command()
def stats(collection: Collection, as_json: Json = False) -> None:
    """Look at one collection and its index."""
    with connect() as client:
        result = run_task(client, "faces.stats", {"collection": collection})
    show_facts("faces.stats", result, as_json)


@app.command("list")
def list_faces(
    collection: Collection,
    subject: Annotated[str | None, typer.Option(help="Only faces of this person.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 100,
    as_json: Json = False,
) -> None:
    """List the faces of a collection, in the order they were enrolled."""
    with connect() as client:
        faces = list(islice(_read_faces(client, collection, subject), limit + 1))
    shown = faces[:limit]
    if as_json:
        for face in shown:
            write_json(face)
    else:
        columns = ("face", "subject", "quality", "purpose", "enrolled", "expires")
        write_table(columns, map(_make_face_row, shown))
    if len(faces) > limit:
        tell(f"There are more: --limit {limit * 10} shows more.")


@app.command()
def delete(
    collection: Collection,
    subject: Annotated[str | None, typer.Option(help="Every face of this person.")] = None,
    face_ids: Annotated[
        list[int] | None, typer.Option("--face-id", min=1, help="This face; repeatable.")
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="The whole collection.")] = False,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    wait: Annotated[
        bool, typer.Option("--wait", help="Until no copy is left on any disk.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Delete faces, a person or a whole collection, wherever there are copies.

    No search finds them once this ends. It prints a receipt, which tells when the last copy is
    erased as well.
    """
    if (subject is not None) + bool(face_ids) + everything != 1:
        raise leave("Say what to delete: --subject NAME, --face-id ID or --all.", USAGE)
    if everything and not yes:
        typer.confirm(f"Delete everybody in {collection}?", abort=True, err=True)
    target = {"subject": subject, "face_ids": face_ids or None, "whole_collection": everything}
    with connect() as client:
        gone = run_task(client, "faces.delete", {"collection": collection, **target})
        tell(f"Faces deleted: {gone['deleted']}. The receipt tells when every copy is erased:")
        if wait:
            tell(gone["receipt"])  # whoever does not wait to the end still has it
            show_facts("faces.receipt", _wait_for_purge(client, gone["receipt"]), as_json)
        elif as_json:
            write_json(gone)
        else:
            typer.echo(gone["receipt"])


@app.command()
def receipt(receipt_id: ReceiptId, as_json: Json = False) -> None:
    """Show whether everything that was deleted is erased, and what still holds a copy."""
    with connect() as client:
        result = run_task(client, "faces.receipt", {"receipt": receipt_id})
    show_facts("faces.receipt", result, as_json)


def _wait_for_purge(client: Client, receipt_id: str) -> dict[str, Any]:
    told: list[str] = []
    while True:
        found = run_task(client, "faces.receipt", {"receipt": receipt_id})
        if found["state"] == "purged":
            return {"receipt": receipt_id, **found}
        if found["waiting_for"] != told:
            told = found["waiting_for"]
            tell(f"Waiting for {', '.join(told) or 'the database'}.")
        time.sleep(LOOK_EVERY)


def _read_faces(client: Client, collection: str, subject: str | None) -> Iterator[dict[str, Any]]:
    """Every face, fetched a page at a time as they are asked for."""
    cursor: int | None = 0
    while cursor is not None:
        request = {"collection": collection, "subject": subject, "cursor": cursor, "limit": PAGE}
        page = run_task(client, "faces.list", request)
        yield from page["faces"]
        cursor = page["next"]


def _make_row(view: dict[str, Any]) -> tuple[str, ...]:
    measured = "measured" if view["calibrated"] else "estimated"
    return (
        view["collection"],
        str(view["subjects"]),
        str(view["faces"]),
        view["model"],
        view["backend"],
        f"{view['threshold']:.4f} {measured}",
        view["description"],
    )


def _make_face_row(face: dict[str, Any]) -> tuple[str, ...]:
    quality = "" if face["quality"] is None else f"{face['quality']:.2f}"
    ends = "" if face["expires_at"] is None else format_time(face["expires_at"])
    enrolled = format_time(face["enrolled_at"])
    return str(face["face_id"]), face["subject"], quality, face["purpose"], enrolled, ends
