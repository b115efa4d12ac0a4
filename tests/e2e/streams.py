"""Server-sent events as a client without any library of ours reads them."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import httpx2

ENDS = ("succeeded", "failed", "cancelled")


@dataclass(frozen=True)
class Sent:
    """An event as it came over the wire."""

    id: str
    kind: str
    data: str


class Parser:
    """Collects lines until a blank one ends the event."""

    def __init__(self) -> None:
        self._fields: dict[str, str] = {}

    def feed(self, line: str) -> Sent | None:
        if line:
            name, _, value = line.partition(":")
            self._fields[name] = value.removeprefix(" ")
            return None
        fields, self._fields = self._fields, {}
        if "data" not in fields:
            return None  # a comment
        return Sent(fields.get("id", ""), fields.get("event", "message"), fields["data"])


def read_events(client: httpx2.Client, job_id: str, last_id: str = "") -> Iterator[Sent]:
    """Events until the connection ends; raises httpx2.TransportError if it breaks."""
    headers = {"Last-Event-ID": last_id} if last_id else {}
    parser = Parser()
    with client.stream("GET", f"/v1/jobs/{job_id}/events", headers=headers) as response:
        assert response.status_code == 200, response.read()
        for line in response.iter_lines():
            if event := parser.feed(line):
                yield event


async def follow_to_end(client: httpx2.AsyncClient, job_id: str) -> AsyncIterator[Sent]:
    parser = Parser()
    async with client.stream("GET", f"/v1/jobs/{job_id}/events") as response:
        assert response.status_code == 200, await response.aread()
        async for line in response.aiter_lines():
            if event := parser.feed(line):
                yield event
