"""Takes one PostgreSQL database away, connections and all, and gives it back."""

import psycopg
from sqlalchemy.engine import make_url


class Switch:
    def __init__(self, server_url: str, database_url: str) -> None:
        self.server_url = server_url
        self.database = make_url(database_url).database

    def turn_off(self) -> None:
        self._allow("false")
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s",
                [self.database],
            )

    def turn_on(self) -> None:
        self._allow("true")

    def _allow(self, allowed: str) -> None:
        with psycopg.connect(self.server_url, autocommit=True) as connection:
            connection.execute(f"ALTER DATABASE {self.database} WITH ALLOW_CONNECTIONS {allowed}")
