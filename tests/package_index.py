"""A package index on this machine, with a catalogue of files that lie in its packages."""

import base64
import hashlib
import io
import tarfile
import threading
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from shared.registries import Archive
from shared.weights import Catalog, Member, PinnedFile


@dataclass
class PackageIndex:
    """What the server sends, and what it was asked for."""

    url: str = ""
    files: dict[str, bytes] = field(default_factory=dict)  # archive name -> content
    login: tuple[str, str] | None = None
    downloads: list[str] = field(default_factory=list)

    def add(self, name: str, content: bytes) -> Archive:
        self.files[name] = content
        digest = hashlib.sha256(content).hexdigest()
        return Archive(
            registry="pypi",
            package="demo",
            version="1.0",
            file=name,
            sha256=digest,
            bytes=len(content),
        )

    def answer(self, path: str, authorization: str | None) -> tuple[int, bytes]:
        if self.login:
            expected = base64.b64encode(":".join(self.login).encode()).decode()
            if authorization != f"Basic {expected}":
                return 401, b"who are you?"
        if path == "/simple/demo/":
            links = [f'<a href="/files/{name}">{name}</a>' for name in self.files]
            return 200, f"<!doctype html><html><body>{''.join(links)}</body></html>".encode()
        name = path.removeprefix("/files/")
        if name in self.files:
            self.downloads.append(name)
            return 200, self.files[name]
        return 404, b"no such page"


@contextmanager
def run_package_index() -> Iterator[PackageIndex]:
    index = PackageIndex()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, body = index.answer(self.path, self.headers["Authorization"])
            self.send_response(status)
            self.send_header("Content-Type", "text/html")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Keep the test's output clean."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    index.url = f"http://127.0.0.1:{server.server_port}/simple/"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield index
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def make_wheel(members: dict[str, bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as wheel:
        for name, data in members.items():
            wheel.writestr(name, data)
    return content.getvalue()


def make_sdist(members: dict[str, bytes], link: tuple[str, str] | None = None) -> bytes:
    """A .tar.gz; `link` adds a symbolic link (name, target)."""
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as tarball:
        for name, data in members.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(data)
            tarball.addfile(entry, io.BytesIO(data))
        if link:
            entry = tarfile.TarInfo(link[0])
            entry.type, entry.linkname = tarfile.SYMTYPE, link[1]
            tarball.addfile(entry)
    return content.getvalue()


def pin(name: str, content: bytes, *sources: tuple[Archive, str]) -> PinnedFile:
    """A catalogue entry for content that lies at (archive, member)."""
    return PinnedFile(
        name=name,
        kind="photo",
        sha256=hashlib.sha256(content).hexdigest(),
        bytes=len(content),
        licence="CC0",
        summary="a file of the tests",
        sources=tuple(Member(archive=archive.file, member=member) for archive, member in sources),
    )


def make_catalog(archives: list[Archive], files: list[PinnedFile]) -> Catalog:
    return Catalog(archives=tuple(archives), files=tuple(files))
