"""The Python client: upload files, submit jobs, follow them, fetch results."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from hashlib import sha256
from math import ceil
from pathlib import Path
from types import TracebackType
from typing import Any, BinaryIO
from uuid import uuid4

from services.client.address import find_server
from services.client.events import follow
from services.client.job import Job, JobEvent
from services.client.problems import ClientError, Stopped, raise_problem
from services.client.transport import READ, Body, Transport, known

Source = str | Path | bytes
FIRST_POLL, LONGEST_POLL = 0.05, 1.0  # seconds between looks at a job
WAIT_SLACK = 10.0  # seconds the server may take beyond `Prefer: wait`


class Client:
    """One Atelier server; safe to share between threads.

    Without arguments it finds the server of ATELIER_URL and ATELIER_KEY, or the local stack.
    Every call repeats itself for `timeout` seconds while the server is away or busy, and raises
    Problem, Unreachable or NotConfigured in the end.
    """

    def __init__(self, address: str = "", key: str = "", timeout: float = 60.0) -> None:
        self.address, key = find_server(address, key)
        self._transport = Transport(self.address, key, timeout)

    def __enter__(self) -> "Client":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self._transport.close()

    def stop(self) -> None:
        """Wake every call that waits or retries in another thread: it raises Stopped."""
        self._transport.stopped.set()

    # Files

    def upload(self, source: Source) -> dict[str, Any]:
        """Send a file, streamed, or bytes; returns its id, size and media_type."""

        def body(files: ExitStack) -> dict[str, Any]:
            return {"content": _open(source, files)}

        return self._ask("POST", "/v1/blobs", body)

    def download(self, blob_id: str, path: str | Path) -> Path:
        """Write a blob to `path`, which is replaced only once the content is complete."""
        return self._transport.retry(lambda: self._download_once(blob_id, Path(path)))

    def _download_once(self, blob_id: str, path: Path) -> Path:
        digest = sha256()
        with self._transport.http.stream("GET", f"/v1/blobs/{blob_id}") as response:
            if not response.is_success:
                response.read()
                raise_problem(response)
            part = path.with_name(f".{path.name}.{uuid4().hex}")
            try:
                with part.open("xb") as file:
                    for chunk in response.iter_bytes():
                        digest.update(chunk)
                        file.write(chunk)
                if digest.hexdigest() != blob_id:
                    raise ClientError(f"Blob {blob_id} arrived damaged.")
                part.replace(path)
            finally:
                part.unlink(missing_ok=True)
        return path

    # Jobs

    def submit(
        self,
        task: str,
        request: Mapping[str, Any],
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
        priority: str | None = None,
        deadline: float | None = None,
        ttl: float | None = None,
    ) -> Job:
        """Submit one job; with `wait`, give it so many seconds to finish before answering.

        `deadline` (seconds from now to the end) and `ttl` (seconds a result is kept) are the
        server's defaults unless given. Repeats after network errors never make a second job.
        """
        content = dict(request)
        params = {"priority": priority, "deadline": deadline, "ttl": ttl}
        return self._submit(task, lambda _: {"json": content}, params, wait, idempotency_key)

    def submit_files(
        self,
        task: str,
        files: Mapping[str, Source | Sequence[Source]],
        fields: Mapping[str, Any] | None = None,
        *,
        wait: float | None = None,
        idempotency_key: str | None = None,
        priority: str | None = None,
        deadline: float | None = None,
        ttl: float | None = None,
    ) -> Job:
        """Submit a job and its files in one request; `files` maps blob fields to content."""

        def body(stack: ExitStack) -> dict[str, Any]:
            parts = [
                (name, (_name(source), _open(source, stack)))
                for name, given in files.items()
                for source in _as_list(given)
            ]
            return {"files": parts, "data": _as_form(fields or {})}

        params = {"priority": priority, "deadline": deadline, "ttl": ttl}
        return self._submit(task, body, params, wait, idempotency_key)

    def _submit(
        self,
        task: str,
        body: Body,
        params: Mapping[str, Any],
        wait: float | None,
        idempotency_key: str | None,
    ) -> Job:
        headers = {"Idempotency-Key": idempotency_key or uuid4().hex}
        if wait:
            headers["Prefer"] = f"wait={ceil(wait)}"  # whole seconds (RFC 7240)
        answer = self._ask(
            "POST",
            "/v1/" + task.replace(".", "/"),
            body,
            params=params,
            headers=headers,
            read=max(READ, (wait or 0) + WAIT_SLACK),
        )
        return Job.read(answer)

    def job(self, job_id: str) -> Job:
        return Job.read(self._ask("GET", f"/v1/jobs/{job_id}"))

    def jobs(
        self, *, state: str | None = None, task: str | None = None, page: int | None = None
    ) -> Iterator[Job]:
        """Your jobs as the server orders them, fetched `page` at a time."""
        cursor = None
        while True:
            params = {"state": state, "task": task, "limit": page, "cursor": cursor}
            answer = self._ask("GET", "/v1/jobs", params=params)
            yield from (Job.read(item) for item in answer["items"])
            cursor = answer.get("next")
            if not cursor:
                return

    def cancel(self, job_id: str) -> Job:
        return Job.read(self._ask("POST", f"/v1/jobs/{job_id}/cancel"))

    def events(self, job_id: str, last_event_id: str | None = None) -> Iterator[JobEvent]:
        """What happens to a job until it ends; resumes by itself when the connection drops."""
        return follow(self._transport, job_id, last_event_id)

    def wait(self, job_id: str, timeout: float | None = None) -> Job:
        """The job once it has ended; raises TimeoutError after `timeout` seconds."""
        ends = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_POLL
        while not (job := self.job(job_id)).finished:
            left = LONGEST_POLL if ends is None else ends - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"Job {job_id} is still {job.state}.")
            if self._transport.stopped.wait(min(pause, left)):
                raise Stopped("The client was stopped.")
            pause = min(LONGEST_POLL, pause * 1.4)
        return job

    # The server

    def check(self, limit: float = 2.0) -> None:
        """Raise Unreachable unless the server answers within about `limit` seconds."""
        self._transport.send("GET", "/healthz", limit=limit)

    def tasks(self) -> list[dict[str, Any]]:
        """What the server can do: name, path, summary, JSON schemas, an example."""
        items: list[dict[str, Any]] = self._ask("GET", "/v1/tasks")["items"]
        return items

    def _ask(
        self, method: str, path: str, body: Body | None = None, **options: Any
    ) -> dict[str, Any]:
        """The JSON object a request is answered with; options are those of Transport.send."""
        response = self._transport.send(method, path, body, **options)
        try:
            answer = response.json()
        except ValueError:
            answer = None
        if not isinstance(answer, dict):
            raise ClientError(f"{response.url} did not answer like Atelier; is the address right?")
        return answer


def _open(source: Source, files: ExitStack) -> bytes | BinaryIO:
    return source if isinstance(source, bytes) else files.enter_context(open(source, "rb"))


def _name(source: Source) -> str:
    return "upload" if isinstance(source, bytes) else Path(source).name


def _as_form(fields: Mapping[str, Any]) -> dict[str, Any]:
    """Form fields are text; lists and objects travel as JSON."""
    return {
        name: json.dumps(value) if isinstance(value, dict | list | tuple) else value
        for name, value in known(fields).items()
    }


def _as_list(given: Source | Sequence[Source]) -> list[Source]:
    return [given] if isinstance(given, str | bytes | Path) else list(given)
