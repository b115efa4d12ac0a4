"""`atelier faces enroll`: store faces of people who agreed to it, many photographs a job."""

import hashlib
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
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
    write_table,
)
from services.client.faces_options import Collection, Json
from services.client.job import Job
from services.client.photo_jobs import find_or_leave
from services.client.problems import Problem
from services.client.watch import Watch
from shared.contract import PICTURES

app = typer.Typer()

AT_ONCE = 3  # jobs under way
NO_CONSENT = (
    "Faces are stored only of people who agreed to it. Say what they agreed to with --purpose, "
    "and point at the text itself with --consent-text FILE: you keep the file, only its SHA-256 "
    "is stored. --consent-sha256 gives that digest directly."
)


class Quality(StrEnum):
    none = "none"
    low = "low"
    medium = "medium"
    high = "high"


class Crowd(StrEnum):
    refuse = "refuse"
    largest = "largest"


@dataclass(frozen=True)
class Portrait:
    """A photograph, and who is in it."""

    photo: Path
    subject: str


@dataclass(frozen=True)
class Stored:
    """What became of a portrait."""

    portrait: Portrait
    face: dict[str, Any] | None
    reason: str  # why it was refused; empty if it was stored


@app.command()
def enroll(
    collection: Collection,
    photos: Annotated[
        list[str],
        typer.Argument(
            metavar="FOLDER|PHOTO...",
            help="A folder with a folder for each person; with --subject also photographs.",
        ),
    ],
    subject: Annotated[
        str | None, typer.Option(help="Whose faces these are; without it, the folder's name.")
    ] = None,
    purpose: Annotated[str | None, typer.Option(help="What the people agreed to.")] = None,
    consent_text: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The text they agreed to; it is not sent.")
    ] = None,
    consent_sha256: Annotated[
        str | None, typer.Option(metavar="HEX", help="Or its SHA-256 alone.")
    ] = None,
    expires: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="The day the faces are deleted, 0:00 here."),
    ] = None,
    quality: Annotated[Quality, typer.Option(help="Worse faces are refused.")] = Quality.medium,
    crowd: Annotated[
        Crowd, typer.Option(help="What to do with a photograph of several people.")
    ] = Crowd.refuse,
    batch: Annotated[int, typer.Option(min=1, max=64, help="Photographs a job.")] = 16,
    as_json: Json = False,
) -> None:
    """Store faces of people who agreed to it.

    Photographs that cannot be used are listed with the reason; the others are stored. A search
    that begins afterwards finds them.
    """
    request = {
        "collection": collection,
        "consent": _read_consent(purpose, consent_text, consent_sha256, expires),
        "quality": quality,
        "crowd": crowd,
    }
    portraits = list_portraits(photos, subject)
    groups = [portraits[start : start + batch] for start in range(0, len(portraits), batch)]
    with connect() as client, Watch(client, "enroll", len(portraits)) as watch:
        stored = list(_run_groups(watch, groups, request))
    _report(collection, stored, as_json)


def list_portraits(arguments: list[str], subject: str | None) -> list[Portrait]:
    """All photographs are of the subject; without one, each is of the person its folder names."""
    if subject is not None:
        return [Portrait(photo, subject) for photo in find_or_leave(arguments)]
    folders = [folder for argument in arguments for folder in list_people(Path(argument))]
    return [
        Portrait(photo, folder.name) for folder in folders for photo in find_or_leave([str(folder)])
    ]


def list_people(folder: Path) -> list[Path]:
    """The folders of a folder, one for each person; hidden ones are not people."""
    inside = sorted(folder.iterdir()) if folder.is_dir() else []
    people = [path for path in inside if path.is_dir() and not path.name.startswith(".")]
    if not people:
        raise leave(
            f"{folder} holds no folders: give each person one in it, named as the person, "
            "or say whose faces these are with --subject.",
            USAGE,
        )
    return people


def _read_consent(
    purpose: str | None, text: Path | None, sha256: str | None, expires: datetime | None
) -> dict[str, Any]:
    if not purpose or (text is None) == (sha256 is None):
        raise leave(NO_CONSENT, USAGE)
    if text is not None:
        try:
            sha256 = hashlib.sha256(text.read_bytes()).hexdigest()
        except OSError as error:
            raise leave(f"{text} cannot be read: {error.strerror}.", USAGE) from error
    ends = None if expires is None else expires.astimezone().timestamp()
    return {"purpose": purpose, "text_sha256": sha256, "expires_at": ends}


def _run_groups(
    watch: Watch, groups: list[list[Portrait]], request: dict[str, Any]
) -> Iterator[Stored]:
    """A job for each group; while some are worked on, the next one's photographs are sent."""
    under_way: deque[tuple[list[Portrait], Job]] = deque()
    for group in groups:
        if len(under_way) == AT_ONCE:
            yield from _finish(watch, *under_way.popleft())
        blobs, refused = _upload(watch.client, group)
        yield from refused
        if blobs:
            subjects = [portrait.subject for portrait in blobs]
            content = {**request, "subjects": subjects, "pictures": list(blobs.values())}
            under_way.append((list(blobs), watch.submit("faces.enroll", content)))
    while under_way:
        yield from _finish(watch, *under_way.popleft())


def _upload(client: Client, group: list[Portrait]) -> tuple[dict[Portrait, str], list[Stored]]:
    """(blob id of each portrait, those that could not be sent)."""
    blobs: dict[Portrait, str] = {}
    refused: list[Stored] = []
    for portrait in group:
        try:
            blob = client.upload(portrait.photo)
        except OSError as error:
            refused.append(Stored(portrait, None, f"It cannot be read: {error.strerror}."))
            continue
        except Problem as problem:
            if problem.unauthorised:
                raise
            refused.append(Stored(portrait, None, str(problem)))
            continue
        if blob["media_type"] in PICTURES:
            blobs[portrait] = blob["id"]
        else:
            refused.append(Stored(portrait, None, "It is not a JPEG, PNG or WEBP."))
    return blobs, refused


def _finish(watch: Watch, portraits: list[Portrait], job: Job) -> list[Stored]:
    ended = watch.follow(job, len(portraits))
    if (ended.error or {}).get("code") == "unknown_collection":
        raise leave(ended.reason, SOME_FAILED)  # the other jobs will fare no better
    if not ended.succeeded:
        return [Stored(portrait, None, ended.reason) for portrait in portraits]
    result = ended.result or {}
    faces = {face["item"]: face for face in result["faces"]}
    reasons = {refused["item"]: refused["reason"] for refused in result["refused"]}
    return [
        Stored(portrait, faces.get(item), reasons.get(item, ""))
        for item, portrait in enumerate(portraits)
    ]


def _report(collection: str, stored: list[Stored], as_json: bool) -> None:
    refused = [item for item in stored if item.face is None]
    if as_json:
        for item in stored:
            write_json(_as_json(item))
    elif refused:
        rows = [(str(r.portrait.photo), r.portrait.subject, r.reason) for r in refused]
        write_table(("refused", "subject", "reason"), rows)
    good = [item for item in stored if item.face is not None]
    people = len({item.portrait.subject for item in good})
    tell(f"{collection}: stored {len(good)} faces of {people} people, refused {len(refused)}.")
    if refused:
        raise typer.Exit(SOME_FAILED)


def _as_json(item: Stored) -> dict[str, Any]:
    face = item.face or {}
    return {
        "photo": str(item.portrait.photo),
        "subject": item.portrait.subject,
        "face_id": face.get("face_id"),
        "quality": face.get("quality"),
        "reason": item.reason or None,
    }
