"""What a job costs beyond the model: ours, tutorial Flask and Celery, LitServe and BentoML."""

from collections.abc import Iterator
from typing import Any

from bench.bare import BATCH, BareModel, Speed
from bench.measure import Cell, drift, middle, run_load
from bench.options import Options
from bench.pictures import make_pictures
from bench.report import Report, tell
from bench.servers import SERVERS, Pictures, Server, run_server

CLIENTS = (1, 8, 32)
MAX_DRIFT = 0.1  # of the bare model's speed, before and after a cell
MIN_OF_BARE = 0.85  # of the bare model's throughput, at 32 clients
MAX_OVERHEAD = 4.0  # milliseconds of processor time per job

COLUMNS = (
    *("server", "job", "clients", "jobs/s", "of bare", "p50 ms", "p99 ms"),
    *("cpu ms/job", "overhead ms/job", "client ms/job", "drift", "errors"),
)


def run(options: Options) -> Report:
    pictures = make_pictures()
    cells: list[dict[str, Any]] = []
    with BareModel(pictures) as bare:
        for repeat in range(options.repeats):  # servers take turns, so that a slow hour hits all
            for name in options.only or tuple(SERVERS):
                with run_server(name, Pictures(pictures)) as server:
                    for cell in measure_server(name, server, bare, options):
                        cells.append({"repeat": repeat, **cell})
    rows = summarize(cells)
    return Report("overhead", COLUMNS, rows, judge(rows), cells)


def measure_server(
    name: str, server: Server, bare: BareModel, options: Options
) -> Iterator[dict[str, Any]]:
    calibration = 1.0 if options.quick else 3.0  # seconds
    for job, ask in server.asks.items():
        for clients in CLIENTS:
            batch = 1 if clients == 1 else BATCH
            before = bare.measure(batch, calibration)
            cell = run_load(
                ask, server.address, server.programs, clients, options.seconds, options.warm_up
            )
            after = bare.measure(batch, calibration)
            row = describe(job, cell, before, after)
            print(f"{name} {job} x{clients}: {row['jobs/s']:.1f} jobs/s", flush=True)
            yield {"server": name, **row}


def describe(job: str, cell: Cell, before: Speed, after: Speed) -> dict[str, Any]:
    """One cell; a `say` job has no model, so all that it costs is overhead."""
    has_model = job == "detect"
    speed = (before.jobs_per_second + after.jobs_per_second) / 2
    model = (before.cpu_per_job + after.cpu_per_job) / 2 if has_model else 0.0
    spent = cell.cpu_per_job
    return {
        "job": job,
        "clients": cell.clients,
        "jobs/s": cell.jobs_per_second,
        "of bare": cell.jobs_per_second / speed if has_model else None,
        "p50 ms": cell.milliseconds(50),
        "p99 ms": cell.milliseconds(99),
        "cpu ms/job": sum(spent.values()),
        "overhead ms/job": sum(spent.values()) - model,
        "client ms/job": 1000 * cell.client_cpu / len(cell.latencies),
        "bare jobs/s": speed,
        "drift": drift(before.jobs_per_second, after.jobs_per_second),
        "errors": len(cell.errors),
        "first error": cell.errors[0] if cell.errors else None,
        "cpu ms/job by program": spent,
    }


def summarize(cells: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The median of the repeats of each cell, in the order in which they were first measured."""
    groups: dict[tuple[str, str, int], list[dict[str, Any]]] = {}
    for cell in cells:
        groups.setdefault((cell["server"], cell["job"], cell["clients"]), []).append(cell)
    rows = []
    for (server, job, clients), group in groups.items():
        numbers = middle([{name: cell[name] for name in COLUMNS[3:]} for cell in group])
        programs = middle([cell["cpu ms/job by program"] for cell in group])
        row = {"server": server, "job": job, "clients": clients, **numbers}
        row["errors"] = sum(cell["errors"] for cell in group)
        row["drift"] = max(cell["drift"] for cell in group)
        rows.append({**row, "cpu ms/job by program": programs})
    return rows


def judge(rows: list[dict[str, Any]]) -> list[str]:
    """The targets beside what was found, and what makes the figures doubtful."""
    found = {(row["server"], row["job"], row["clients"]): row for row in rows}
    notes = []
    busiest = found.get(("atelier", "detect", 32))
    if busiest:
        share = busiest["of bare"]
        notes.append(
            f"{tell(share >= MIN_OF_BARE)}: detection with 32 clients at {share:.2f} of the "
            f"bare model; wanted {MIN_OF_BARE}"
        )
    for (server, job, clients), row in found.items():
        if server == "atelier":
            notes.append(_judge_overhead(row, found.get(("naive", job, clients))))
    shaky = [row for row in rows if row["drift"] > MAX_DRIFT]
    if shaky:
        notes.append(
            f"{len(shaky)} of {len(rows)} cells saw the bare model drift by more than "
            f"{MAX_DRIFT:.0%}, {max(row['drift'] for row in shaky):.0%} at most: the machine was "
            "busy, so trust ratios and processor time more than rates"
        )
    return notes


def _judge_overhead(row: dict[str, Any], naive: dict[str, Any] | None) -> str:
    ours = row["overhead ms/job"]
    kept = ours <= MAX_OVERHEAD
    text = f"{row['job']} x{row['clients']} costs {ours:.1f} ms; wanted {MAX_OVERHEAD:g}"
    if naive:
        theirs = naive["overhead ms/job"]
        kept = kept and ours < theirs
        text += f", and less than the naive {theirs:.1f}"
    return f"{tell(kept)}: {text}"
