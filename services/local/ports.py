"""Chooses free ports, and keeps to them from one start to the next."""

import errno
import random
import socket

from services.local.errors import StackError

# Below the ranges from which Linux (32768) and macOS (49152) take the local ports of outgoing
# connections: a remembered port is then rarely gone at the next start.
CANDIDATES = range(20_000, 32_000)


def choose_port(host: str, remembered: int | None, taken: frozenset[int] = frozenset()) -> int:
    """The remembered port while it is free, else another; never one of `taken`."""
    if remembered and remembered not in taken and _can_bind(host, remembered):
        return remembered
    for port in random.sample(CANDIDATES, 200):
        if port not in taken and _can_bind(host, port):
            return port
    raise StackError(f"No free port was found on {host}. Is {host} an address of this machine?")


def claim_port(host: str, port: int) -> int:
    """The port somebody asked for; raises StackError if it cannot be had."""
    try:
        _bind(host, port)
    except OSError as problem:
        reason = {
            errno.EADDRINUSE: "another program has it",
            errno.EACCES: "ports below 1024 need more rights",
            errno.EADDRNOTAVAIL: f"{host} is not an address of this machine",
        }.get(problem.errno or 0, str(problem))
        raise StackError(
            f"Port {port} on {host} cannot be used: {reason}. "
            "Set ATELIER_PORT to a free port, or leave it unset to have one chosen."
        ) from problem
    return port


def _can_bind(host: str, port: int) -> bool:
    try:
        _bind(host, port)
    except OSError:
        return False
    return True


def _bind(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        # As servers do: a connection that is still closing does not make a port taken.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        probe.bind((host, port))
