"""`atelier keys`: the API keys in the database of this machine."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Annotated

import typer

from services.client.console import SOME_FAILED, leave, tell, write_json, write_table

if TYPE_CHECKING:
    from sqlalchemy.orm import Session

    from shared.tables import ApiKey

app = typer.Typer(
    help="Make, rotate and revoke API keys, in the database of this machine.",
    no_args_is_help=True,
)

EVERYTHING = "*"  # the scope that allows all there is
DAY = 24 * 3600.0
KeyId = Annotated[int, typer.Argument(metavar="ID")]


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What the key is for.")],
    tenant: Annotated[str, typer.Option(help="Whose jobs and files it opens.")] = "default",
    scopes: Annotated[
        list[str] | None,
        typer.Option(
            "--scope", help="Such as detect:run or jobs:read; repeatable. None given: all."
        ),
    ] = None,
    days: Annotated[float | None, typer.Option(min=0, help="Expires after so many.")] = None,
) -> None:
    """Make a key and print it; it cannot be shown again."""
    from shared.keys import create_key

    with _transaction() as session:
        expires_at = None if days is None else time.time() + days * DAY
        text = create_key(session, tenant, name, scopes or [EVERYTHING], expires_at)
    typer.echo(text)
    tell("Keep it now: only a digest is stored. Clients send it as `Authorization: Bearer KEY`.")


@app.command("list")
def show_keys(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object per line.")] = False,
) -> None:
    """Show every key, without its secret."""
    from shared.keys import list_keys

    with _transaction() as session:
        keys = list_keys(session)
    if as_json:
        for key in keys:
            write_json(_facts(key))
    else:
        columns = ("id", "starts with", "tenant", "name", "scopes", "made", "state")
        write_table(columns, map(_row, keys))


@app.command()
def revoke(key_id: KeyId) -> None:
    """End a key at once."""
    from shared.keys import revoke_key

    with _transaction() as session:
        revoked = revoke_key(session, key_id)
    if not revoked:
        raise leave(
            f"There is no key {key_id} in use. `atelier keys list` shows them.", SOME_FAILED
        )
    typer.echo(f"Key {key_id} is revoked.")


@app.command()
def rotate(
    key_id: KeyId,
    grace: Annotated[float, typer.Option(min=0, help="Hours the old key still works.")] = 24.0,
) -> None:
    """Print a new key with the rights of an old one, which ends after the grace time."""
    from shared.keys import rotate_key

    try:
        with _transaction() as session:
            text = rotate_key(session, key_id, grace * 3600)
    except LookupError as error:
        raise leave(str(error.args[0]), SOME_FAILED) from error
    typer.echo(text)
    tell(f"Key {key_id} works for {grace:g} more hours.")


@contextmanager
def _transaction() -> Iterator["Session"]:
    """A write transaction on this machine's database."""
    from sqlalchemy.exc import SQLAlchemyError

    from shared.db import open_db
    from shared.settings import read_settings

    sessions = open_db(read_settings().database, pool_size=1)
    try:
        with sessions.begin() as session:
            yield session
    except SQLAlchemyError as error:
        text = f"The database cannot be used: {str(error).splitlines()[0]}\n"
        advice = "`atelier up` makes one here; DATABASE_URL names one elsewhere."
        raise leave(text + advice, SOME_FAILED) from error
    finally:
        sessions.engine.dispose()


def _facts(key: "ApiKey") -> dict[str, object]:
    return {
        "id": key.id,
        "prefix": key.prefix,
        "tenant": key.tenant,
        "name": key.name,
        "scopes": key.scopes,
        "created_at": _moment(key.created_at),
        "expires_at": _moment(key.expires_at),
        "revoked_at": _moment(key.revoked_at),
    }


def _row(key: "ApiKey") -> tuple[str, ...]:
    made = _moment(key.created_at) or ""
    start = f"atl_{key.prefix}"
    return str(key.id), start, key.tenant, key.name, " ".join(key.scopes), made, _state(key)


def _state(key: "ApiKey") -> str:
    if key.revoked_at is not None:
        return "revoked"
    if key.expires_at is None:
        return "in use"
    return ("until " if key.expires_at > time.time() else "expired ") + str(_moment(key.expires_at))


def _moment(seconds: float | None) -> str | None:
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds).astimezone().isoformat(timespec="seconds")
