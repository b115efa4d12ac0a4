"""A folder of photographs for commands, and what they leave in others."""

from pathlib import Path


def make_photos() -> None:
    """Below the folder where commands run; their names are what is in them."""
    Path("photos").mkdir()
    for name in ("a.jpg", "b.png", "notes.txt"):
        Path("photos", name).write_bytes(name.encode())


def read_all(folder: str) -> dict[str, bytes]:
    return {file.name: file.read_bytes() for file in Path(folder).iterdir() if file.is_file()}
