"""Small data sets as files in a folder and as a zip."""

import zipfile
from io import BytesIO
from pathlib import Path

Contents = dict[str, bytes | str]  # by path


def fill(folder: Path, files: Contents) -> Path:
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    return folder


def make_zip(files: Contents) -> BytesIO:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file
