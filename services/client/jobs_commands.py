"""`atelier jobs`: list, show, wait for, cancel and follow jobs."""

import time
from datetime import datetime
from itertools import islice
from typing import TYPE_CHECKING, Annotated

import typer

from services.client.console import SOME_FAILED, connect, tell, write_json, write_table

if TYPE_CHECKING:
    from services.client.job import Job

app = typer.Typer(help="List, follow and cancel jobs.", no_args_is_help=True)

JobId = Annotated[str, typer.Argument(metavar="ID")]
JobIds = Annotated[list[str], typer.Argument(metavar="ID...")]
Json = Annotated[bool, typer.Option("--json", help="One JSON object per line.")]


@app.command("list")
def list_jobs(
    state: Annotated[str | None, typer.Option(help="Only jobs in this state.")] = None,
    task: Annotated[str | None, typer.Option(help="Only jobs of this task.")] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = 20,
    as_json: Json = False,
) -> None:
    """Show your jobs."""
    with connect() as client:
        jobs = islice(client.jobs(state=state, task=task, page=min(limit, 100)), limit)
        if as_json:
            for job in jobs:
                write_json(job.raw)
        else:
            columns = ("job", "task", "state", "submitted", "took")
            write_table(columns, (_row(job) for job in jobs))


@app.command()
def show(job_id: JobId, as_json: Json = False) -> None:
    """Show one job."""
    with connect() as client:
        _show(client.job(job_id), as_json)


@app.command()
def wait(
    job_ids: JobIds,
    timeout: Annotated[float | None, typer.Option(help="Seconds, for all of them.")] = None,
    as_json: Json = False,
) -> None:
    """Wait until jobs have ended; fails if one of them did not succeed."""
    started = time.monotonic()
    failed = False
    with connect() as client:
        for job_id in job_ids:
            left = None if timeout is None else max(0.0, started + timeout - time.monotonic())
            job = client.wait(job_id, left)
            _show(job, as_json)
            failed |= not job.succeeded
    if failed:
        raise typer.Exit(SOME_FAILED)


@app.command()
def cancel(job_ids: JobIds, as_json: Json = False) -> None:
    """Ask for jobs to be stopped."""
    with connect() as client:
        for job_id in job_ids:
            job = client.cancel(job_id)
            if as_json:
                write_json(job.raw)
            else:
                ending = "" if job.finished else " (asked to stop)"
                typer.echo(f"{job.id}\t{job.state}{ending}")


@app.command()
def events(
    job_id: JobId,
    after: Annotated[str | None, typer.Option(help="Only events after this event id.")] = None,
    as_json: Json = False,
) -> None:
    """Follow a job until it ends."""
    with connect() as client:
        for event in client.events(job_id, after):
            if as_json:
                write_json({"id": event.id, "event": event.name, "data": event.data})
            else:
                typer.echo(f"{event.name}\t{_describe(event.data)}".rstrip())


def _show(job: "Job", as_json: bool) -> None:
    if as_json:
        write_json(job.raw)
        return
    # Results can be long lists; they are for programs, so a person gets them only as JSON.
    for name, value in job.raw.items():
        if value is not None and name != "result":
            typer.echo(f"{name}\t{_describe(value) if isinstance(value, dict) else value}")
    if job.result is not None:
        tell("The result is there: add --json to see it.")


def _describe(values: dict[str, object]) -> str:
    return " ".join(
        f"{name}={value}"
        for name, value in values.items()
        if value not in (None, "") and not isinstance(value, dict | list)
    )


def _row(job: "Job") -> tuple[str, ...]:
    took = "" if job.seconds is None else f"{job.seconds:.2f} s"
    return job.id, job.task, job.state, _local_time(job.created_at), took


def _local_time(at: datetime | None) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M:%S") if at else ""
