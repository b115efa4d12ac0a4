"""Closed-loop load, and what it cost: latencies, throughput, processor time of process trees."""

import math
import threading
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median

import httpx2
import psutil

Ask = Callable[[httpx2.Client], None]  # has one job done, and raises if it was not
ERROR_PAUSE = 0.05  # seconds; a server that refuses at once is not to be flooded
TIMEOUT = 60.0  # seconds for one request


@dataclass
class Cell:
    """One server under the load of some clients for a while."""

    clients: int
    seconds: float
    latencies: list[float]  # seconds, of the jobs that ended within the cell
    cpu: dict[str, float]  # program -> seconds of processor time within the cell
    client_cpu: float  # seconds, of this process
    errors: list[str] = field(default_factory=list)

    @property
    def jobs_per_second(self) -> float:
        return len(self.latencies) / self.seconds

    def milliseconds(self, rank: float) -> float:
        return 1000 * percentile(self.latencies, rank)

    @property
    def cpu_per_job(self) -> dict[str, float]:
        """Program -> milliseconds."""
        return {name: 1000 * used / len(self.latencies) for name, used in self.cpu.items()}


class _Clients:
    """Threads that each ask, wait for the answer, and ask again."""

    def __init__(self, ask: Ask, address: str, count: int) -> None:
        self.ask, self.address = ask, address
        self.ended: list[tuple[float, float]] = []  # (when, latency) in seconds
        self.errors: list[tuple[float, str]] = []
        self.stopping = threading.Event()
        self.threads = [threading.Thread(target=self._loop) for _ in range(count)]
        for thread in self.threads:
            thread.start()

    def _loop(self) -> None:
        with httpx2.Client(base_url=self.address, timeout=TIMEOUT, trust_env=False) as http:
            while not self.stopping.is_set():
                started = time.perf_counter()
                try:
                    self.ask(http)
                except Exception as error:  # noqa: BLE001  (whatever it is, the report shows it)
                    self.errors.append((time.perf_counter(), repr(error)))
                    self.stopping.wait(ERROR_PAUSE)
                else:
                    now = time.perf_counter()
                    self.ended.append((now, now - started))

    def stop(self) -> None:
        self.stopping.set()
        for thread in self.threads:
            thread.join()


def run_load(
    ask: Ask,
    address: str,
    programs: Mapping[str, int],
    clients: int,
    seconds: float,
    warm_up: float,
) -> Cell:
    """Keep `clients` busy; `programs` maps names to process ids. Raises if no job was done."""
    load = _Clients(ask, address, clients)
    try:
        time.sleep(warm_up)
        begun, cpu, own = time.perf_counter(), read_programs(programs), time.process_time()
        time.sleep(seconds)
        ended, used, own_used = time.perf_counter(), read_programs(programs), time.process_time()
    finally:
        load.stop()
    latencies = [latency for at, latency in load.ended if begun <= at < ended]
    errors = [error for at, error in load.errors if begun <= at < ended]
    if not latencies:
        raise RuntimeError(f"No job was done in {seconds:g} s. {errors[:1] or load.errors[:1]}")
    spent = {name: used[name] - cpu[name] for name in programs}
    return Cell(clients, ended - begun, latencies, spent, own_used - own, errors)


def read_programs(programs: Mapping[str, int]) -> dict[str, float]:
    return {name: read_cpu([pid]) for name, pid in programs.items()}


def read_cpu(roots: Iterable[int]) -> float:
    """Seconds that these processes, their descendants and their ended children have used."""
    total = 0.0
    for process in _find_tree(roots):
        try:
            times = process.cpu_times()
        except psutil.NoSuchProcess:  # it ended just now; its parent has its time
            continue
        total += times.user + times.system + times.children_user + times.children_system
    return total


def read_memory(roots: Iterable[int]) -> int:
    """Bytes of resident memory of these processes and their descendants."""
    return sum(process.memory_info().rss for process in _find_tree(roots))


def _find_tree(roots: Iterable[int]) -> set[psutil.Process]:
    found: set[psutil.Process] = set()
    for root in roots:
        process = psutil.Process(root)
        found.update([process, *process.children(recursive=True)])
    return found


def percentile(values: Sequence[float], rank: float) -> float:
    """The smallest value that `rank` percent of the values do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(rank / 100 * len(ordered)) - 1)]


def middle(rows: Sequence[Mapping[str, float | None]]) -> dict[str, float | None]:
    """The median of each column; None where a row has none."""
    middles: dict[str, float | None] = {}
    for column in rows[0]:
        values = [value for row in rows if (value := row[column]) is not None]
        middles[column] = median(values) if len(values) == len(rows) else None
    return middles


def drift(before: float, after: float) -> float:
    """How far two measurements of the same thing are apart, as a fraction of the first."""
    return abs(after - before) / before
