"""Finds the server to talk to: arguments, then the environment, then the stack of this folder."""

from pathlib import Path
from urllib.parse import urlsplit

from services.client.problems import NotConfigured
from shared.settings import read_settings


def find_server(address: str = "", key: str = "") -> tuple[str, str]:
    """(address, API key); raises NotConfigured if either is unknown."""
    settings = read_settings()
    address = address or settings.url or _read_line(settings.home / "address")
    if not address:
        raise NotConfigured(
            f"No server is known: there is no {settings.home / 'address'}. "
            "Run `atelier up` to start one here, or set ATELIER_URL to the address of another."
        )
    address = address if "://" in address else f"http://{address}"
    key = key or settings.key
    if not key and _is_local(address):  # the key of this machine is nothing to tell another
        key = _read_line(settings.home / "api-key")
    if not key:
        raise NotConfigured(
            f"No API key for {address} is known. Set ATELIER_KEY to one; for a server on this "
            f"machine, `atelier up` writes one to {settings.home / 'api-key'}."
        )
    return address, key


def _is_local(address: str) -> bool:
    return urlsplit(address).hostname in ("127.0.0.1", "localhost", "::1")


def _read_line(path: Path) -> str:
    try:
        return path.read_text("utf-8").strip()
    except FileNotFoundError:
        return ""
