"""Brings the database up to date and keeps a key for this machine's user."""

from pathlib import Path

from sqlalchemy.exc import SQLAlchemyError

from services.local.errors import StackError
from services.local.home import read_line, write_private
from shared.db import Sessions, migrate, open_db
from shared.keys import create_key, find_key

TENANT = "default"
KEY_NAME = "local"
EVERYTHING = ["*"]


def prepare_database(url: str, home: Path) -> None:
    """Upgrade the schema, and see that `api-key` in the state folder holds a valid key."""
    try:
        migrate(url)
        sessions = open_db(url, pool_size=1)
        try:
            keep_key(sessions, home / "api-key")
        finally:
            sessions.engine.dispose()
    except SQLAlchemyError as problem:
        cause = " ".join(str(getattr(problem, "orig", None) or problem).split())
        hint = "" if url.startswith("sqlite") else " (DATABASE_URL says which one.)"
        raise StackError(f"The database cannot be used: {cause}{hint}") from problem


def keep_key(sessions: Sessions, path: Path) -> None:
    """Use the key of an earlier start; make another if this database does not know it."""
    known = read_line(path)
    with sessions.begin() as session:
        if known and find_key(session, known):
            return
        text = create_key(session, TENANT, KEY_NAME, EVERYTHING)
    write_private(path, text + "\n")
