"""Plain SQL on either database, through the driver alone and no code of the product."""

import sqlite3
from contextlib import closing
from typing import Any

import psycopg


def run_sql(url: str, statement: str) -> list[tuple[Any, ...]]:
    """Run one statement and commit it; the rows it returns."""
    if url.startswith("sqlite:///"):
        path = url.removeprefix("sqlite:///")
        with closing(sqlite3.connect(path, timeout=30)) as connection, connection:
            return connection.execute(statement).fetchall()
    with psycopg.connect(url) as connection:
        cursor = connection.execute(statement)  # type: ignore[arg-type]
        return cursor.fetchall() if cursor.description else []
