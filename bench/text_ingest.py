"""Tokens a second from a stored file to counts that are committed, and beside other libraries."""

import json
import re
import subprocess
import tempfile
import time
import zipfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import httpx2

from bench.faces_rows import PYTHON, ROOT
from bench.options import Options
from bench.peers.text_peers import PEERS
from bench.report import Report, tell
from bench.text_zipf import Language
from services.local.control import Stack
from services.local.stack import running_stack
from shared.db import migrate
from shared.settings import Settings
from tests.servers import run_postgres
from tests.workers.text.desk import Desk
from workers.text.counting_tasks import ingest
from workers.text.loaded import TextWorker
from workers.text.vocabulary_contract import IngestRequest

TOKENS, QUICK_TOKENS = 5_000_000, 300_000  # of the text that all count
GROWTH, QUICK_GROWTH = 100_000_000, 1_000_000  # of a vocabulary that grows
JOBS = 100  # in which it grows
STAGES = (1, 10, 50, 100)  # jobs done when it is looked at
FLAT = 1.25  # times the cost at the start, at most
REAL = ("ptb/ptb.train.txt", "timemachine/timemachine.txt")  # under --data
OURS = ("atelier, SQLite", "atelier, PostgreSQL")
COLUMNS = ("what", "tokens", "words", "seconds", "cpu s", "tokens/s", "of CountVectorizer")
Row = dict[str, Any]


def run(options: Options) -> Report:
    language = Language()
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        text = _write_text(folder / "text.txt", options, language)
        desks = {
            "atelier, SQLite": stack.enter_context(open_desk(folder / "sqlite", "")),
            "atelier, PostgreSQL": stack.enter_context(
                open_desk(folder / "postgres", stack.enter_context(run_postgres()))
            ),
        }
        cells = [
            {"repeat": repeat, **row}
            for repeat in range(options.repeats)
            for row in _measure_all(desks, text, repeat)
        ]
        cells += _measure_http(folder / "http", text, options.repeats)
        rows = _summarise(cells)
        tokens = QUICK_GROWTH if options.quick else GROWTH
        for what, desk in desks.items():
            rows += _grow(what, desk, language, folder / "grown.txt", tokens // JOBS)
    return Report("text_ingest", COLUMNS, rows, _note(rows, options), cells)


@contextmanager
def open_desk(home: Path, database_url: str) -> Iterator[Desk]:
    """A worker in this process: its jobs have files and transactions, but no queue."""
    home.mkdir()
    settings = Settings(home=home, DATABASE_URL=database_url, device="cpu")
    migrate(settings.database)
    worker = TextWorker(settings)
    yield Desk(worker)
    worker.sessions.engine.dispose()


def _write_text(path: Path, options: Options, language: Language) -> Path:
    if options.data is None:
        language.write(path, QUICK_TOKENS if options.quick else TOKENS, seed=0)
    else:
        texts = [(options.data / name).read_text(encoding="utf-8") for name in REAL]
        texts += _read_brown(options.data / "brown" / "brown.zip")
        # No digits and no hyphens, so that all cut the same tokens.
        path.write_text(re.sub(r"[^A-Za-z\n]+", " ", "\n".join(texts)), encoding="utf-8")
    return path


def _read_brown(path: Path) -> Iterator[str]:
    """The documents of the Brown corpus, without the tags after each word."""
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if re.fullmatch(r"brown/c[a-r]\d\d", name):
                yield re.sub(r"/\S+", "", archive.read(name).decode())


def _measure_all(desks: dict[str, Desk], text: Path, repeat: int) -> Iterator[Row]:
    """All contenders in turn, so that a busy minute hits none alone."""
    for what, desk in desks.items():
        yield {"what": what, **_ingest(desk, text, f"repeat-{repeat}")}
    if not PYTHON.exists():
        raise SystemExit(f"{PYTHON} is missing: `make bench NAME=...` makes it.")
    for peer in PEERS:
        command = [PYTHON, "-m", "bench.peers.text_peers", peer, text]
        done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, check=True)
        yield {"what": peer, **json.loads(done.stdout)}


def _ingest(desk: Desk, path: Path, vocabulary: str) -> Row:
    """From the stored file to the committed counts."""
    file = desk.add(path.read_bytes())
    request = IngestRequest(vocabulary=vocabulary, files=[file])
    started, cpu = time.perf_counter(), time.process_time()
    result = desk.do(ingest, request)
    seconds, spent = time.perf_counter() - started, time.process_time() - cpu
    found = {"tokens": result.tokens, "words": result.words}
    return {**found, "seconds": seconds, "cpu s": spent}


def _measure_http(home: Path, text: Path, repeats: int) -> list[Row]:
    """From the upload to the answer, through gateway, queue and worker, on SQLite."""
    changes = {"home": home, "workers": "text", "log_level": "warning"}
    with running_stack(changes) as stack:
        return [_ask(stack, text, f"repeat-{repeat}") for repeat in range(repeats)]


def _ask(stack: Stack, text: Path, vocabulary: str) -> Row:
    headers = {"Authorization": f"Bearer {stack.api_key}"}
    with httpx2.Client(
        base_url=stack.address, headers=headers, timeout=300, trust_env=False
    ) as http:
        content = text.read_bytes() + f"\n{vocabulary}\n".encode()  # no file that is known
        started = time.perf_counter()
        upload = http.post("/v1/blobs", content=content, headers={"Content-Type": "text/plain"})
        body = {"vocabulary": vocabulary, "files": [upload.json()["id"]]}
        job = http.post("/v1/text/ingest", json=body, headers={"Prefer": "wait=60"}).json()
        while job.get("finished_at") is None:
            job = http.get(f"/v1/jobs/{job['id']}", headers={"Prefer": "wait=60"}).json()
        seconds = time.perf_counter() - started
    if job["state"] != "succeeded":
        raise RuntimeError(str(job))
    found = {name: job["result"][name] for name in ("tokens", "words")}
    return {"what": "atelier, over HTTP", **found, "seconds": seconds}


def _summarise(cells: list[Row]) -> list[Row]:
    """Medians; all have counted the same tokens, those with a word for each repeat aside."""
    tokens = cells[0]["tokens"]
    rows: list[Row] = []
    for what in dict.fromkeys(cell["what"] for cell in cells):
        mine = [cell for cell in cells if cell["what"] == what]
        seconds = median(cell["seconds"] for cell in mine)
        spent = median(cell.get("cpu s", 0.0) for cell in mine) or None
        row = {"what": what, "tokens": tokens, "words": mine[0]["words"], "seconds": seconds}
        rows.append({**row, "cpu s": spent, "tokens/s": tokens / seconds})
    [peer] = [row for row in rows if row["what"] == "sklearn CountVectorizer"]
    for row in rows:
        row["of CountVectorizer"] = peer["seconds"] / row["seconds"]
    return rows


def _grow(what: str, desk: Desk, language: Language, path: Path, tokens: int) -> list[Row]:
    """What a token costs as the vocabulary grows; the text is never whole in memory."""
    jobs: list[Row] = []
    for job in range(JOBS):
        language.write(path, tokens, seed=1 + job)
        jobs.append(_ingest(desk, path, "grown"))
    return [_describe(what, jobs[:stage]) for stage in STAGES]


def _describe(what: str, jobs: list[Row]) -> Row:
    """The last jobs of several: their median, for a single one may be unlucky."""
    last = jobs[-5:]
    row = {key: median(job[key] for job in last) for key in ("tokens", "seconds", "cpu s")}
    label = f"{what}, up to {sum(job['tokens'] for job in jobs) / 1e6:g} M"
    rate = row["tokens"] / row["seconds"]
    return {**row, "what": label, "words": jobs[-1]["words"], "tokens/s": rate}


def _note(rows: list[Row], options: Options) -> list[str]:
    rates = {row["what"]: row["of CountVectorizer"] for row in rows if "of CountVectorizer" in row}
    text = "synthetic, Zipf" if options.data is None else "Penn Treebank, Brown, The Time Machine"
    notes = [f"one text ({text}), one thread; ours end with the commit, the others in memory"]
    for what in OURS:
        rate = rates[what]
        notes.append(
            f"{tell(rate >= 1)}: {what} counts {rate:.2f} times as fast as CountVectorizer.fit; "
            "wanted 1"
        )
        first, *_, last = (row["tokens/s"] for row in rows if f"{what}, up to" in row["what"])
        notes.append(
            f"{tell(first / last <= FLAT)}: {what}, a token costs {first / last:.2f} times as "
            f"much at the end as at the start; wanted {FLAT} at most"
        )
    return notes
