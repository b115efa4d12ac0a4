"""A file that a process without an HTTP port touches to show a health check that it works."""

from pathlib import Path


def show_alive(home: Path, name: str) -> None:
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{name}.alive").touch()
