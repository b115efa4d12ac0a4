"""What can go wrong between a client and Atelier; every text says what happened or what to do."""

import json
from typing import Any

import httpx2


class ClientError(Exception):
    """Any failure the client reports."""


class NotConfigured(ClientError):
    """No address or no API key is known."""


class Unreachable(ClientError):
    """The server gave no usable answer within the time limit."""


class Stopped(ClientError):
    """The client was told to stop while it waited."""


class Problem(ClientError):
    """An error answer of the API (RFC 9457)."""

    def __init__(
        self,
        type: str,
        title: str,
        status: int,
        detail: str,
        retry_after: float | None = None,
        extra: dict[str, Any] | None = None,
    ) -> None:
        super().__init__(f"{title}: {detail}" if detail else title)
        self.type = type
        self.title = title
        self.status = status
        self.detail = detail
        self.retry_after = retry_after  # seconds, from the header Retry-After
        self.extra = extra or {}  # further members of the answer

    @property
    def unauthorised(self) -> bool:
        return self.status in (401, 403)


def raise_problem(response: httpx2.Response) -> None:
    """Raise the Problem an error answer holds; its body must have been read."""
    if response.is_success:
        return
    body = _read_object(response)
    raise Problem(
        type=str(body.pop("type", "about:blank")),
        title=str(body.pop("title", response.reason_phrase or f"HTTP {response.status_code}")),
        status=response.status_code,
        detail=str(body.pop("detail", "")),
        retry_after=_read_seconds(response.headers.get("retry-after")),
        extra={name: value for name, value in body.items() if name != "status"},
    )


def _read_object(response: httpx2.Response) -> dict[str, Any]:
    """The answer as a JSON object; a proxy's HTML page becomes the detail."""
    try:
        body = json.loads(response.content)
    except ValueError:
        return {"detail": " ".join(response.text[:200].split())}
    return body if isinstance(body, dict) else {"detail": str(body)[:200]}


def _read_seconds(value: str | None) -> float | None:
    # Retry-After may also be a date; the client's own back-off then serves as well.
    return float(value) if value is not None and value.isdecimal() else None
