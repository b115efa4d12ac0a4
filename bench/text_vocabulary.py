"""What a vocabulary of a million words answers in: ranks, versions, encodings."""

import tempfile
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from typing import Any

from bench.options import Options
from bench.report import Report
from bench.text_ingest import open_desk
from bench.text_zipf import spell
from tests.servers import run_postgres
from tests.workers.text.desk import Desk
from workers.text.counting import CountedDocument, count_documents
from workers.text.counts import pack
from workers.text.encoding_contract import DecodeRequest, EncodeRequest
from workers.text.encoding_tasks import decode, encode
from workers.text.fields import Tokeniser
from workers.text.ranking import Place
from workers.text.version_contract import DiffRequest, ExportRequest, FreezeRequest
from workers.text.vocabulary import lock_vocabularies, open_vocabulary
from workers.text.vocabulary_contract import RankRequest
from workers.text.vocabulary_tasks import diff, export, freeze, rank

WORDS, QUICK_WORDS = 1_000_000, 30_000
NAME = "bench"
TOKENS = 10_000  # of the text that is encoded
COLUMNS = ("what", "SQLite ms", "PostgreSQL ms", "SQLite worst", "PostgreSQL worst")
Row = dict[str, Any]


def run(options: Options) -> Report:
    words = QUICK_WORDS if options.quick else WORDS
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        postgres = stack.enter_context(run_postgres())
        desks = {
            "SQLite": stack.enter_context(open_desk(folder / "sqlite", "")),
            "PostgreSQL": stack.enter_context(open_desk(folder / "postgres", postgres)),
        }
        cells = [
            {"database": kind, **cell}
            for kind, desk in desks.items()
            for cell in _measure(desk, words, max(options.repeats, 3))
        ]
    notes = [
        f"{words:,} distinct words, half of which occur once; no queue, but files and commits",
        "the deep page starts after 90 % of the words; 1 % of the encoded tokens are unknown",
    ]
    return Report("text_vocabulary", COLUMNS, _summarise(cells), notes, cells)


def _measure(desk: Desk, words: int, repeats: int) -> list[Row]:
    counts = make_counts(words)
    cells = [_time("count all words, one job", lambda: _fill(desk, counts))]
    deep = _find_deep(counts)
    some = [spell(number) for number in range(0, words, max(words // 1000, 1))][:1000]
    text = " ".join([spell(number * words // TOKENS) for number in range(TOKENS)][:-100])
    text += " unseen" * 100
    quick: dict[str, Callable[[], Any]] = {
        "first page of 100": lambda: desk.do(rank, RankRequest(vocabulary=NAME)),
        "deep page of 100": lambda: desk.do(rank, RankRequest(vocabulary=NAME, after=deep)),
        "ranks of 1 frequent word": lambda: _rank(desk, some[:1]),
        "ranks of 1,000 words of all ranks": lambda: _rank(desk, some),
    }
    frozen: dict[str, Callable[[], Any]] = {
        "encode 10,000 tokens": lambda: _encode(desk, text),
        "decode 10,000 indices": lambda: _decode(desk, words),
    }
    cells += [_time(what, act) for what, act in quick.items() for _ in range(repeats)]
    cells += [_freeze(desk, words // 10) for _ in range(repeats)]
    cells += [_freeze(desk, None) for _ in range(repeats)]
    cells += [_time(what, act) for what, act in frozen.items() for _ in range(repeats)]
    request = DiffRequest(vocabulary=NAME, old=1, new=2 * repeats)
    cells += [_time("diff of a tenth and all", lambda: desk.do(diff, request))]
    cells += [_time("export all as tsv", lambda: _export(desk))]
    return cells


def make_counts(words: int) -> Counter[str]:
    """Word -> count: that of rank r occurs `words / 2r` times, rounded up."""
    return Counter({spell(rank): -(-words // (2 * (rank + 1))) for rank in range(words)})


def _fill(desk: Desk, counts: Counter[str]) -> None:
    document = CountedDocument("all", "0" * 64, counts.total(), len(counts), pack(counts))
    with desk.worker.sessions.begin() as session:
        lock_vocabularies(session, desk.tenant, [NAME])
        vocabulary = open_vocabulary(session, desk.tenant, NAME, Tokeniser())
        count_documents(session, vocabulary, [document], counts, replace=False)


def _find_deep(counts: Counter[str]) -> str:
    """The cursor of the word after which a tenth is left: ranks are the order of `counts`."""
    place = len(counts) * 9 // 10
    return str(Place(counts[spell(place - 1)], place, place))


def _rank(desk: Desk, words: list[str]) -> None:
    desk.do(rank, RankRequest(vocabulary=NAME, words=words))


def _encode(desk: Desk, text: str) -> None:
    [unknown] = desk.do(encode, EncodeRequest(vocabulary=NAME, texts=[text])).unknown
    if unknown != 100:
        raise RuntimeError(f"{unknown} tokens are unknown, not 100")


def _decode(desk: Desk, words: int) -> None:
    indices = [1 + number * words // TOKENS for number in range(TOKENS)]
    desk.do(decode, DecodeRequest(vocabulary=NAME, sequences=[indices]))


def _freeze(desk: Desk, size: int | None) -> Row:
    what = "freeze all" if size is None else f"freeze the first {size:,}"
    return _time(what, lambda: desk.do(freeze, FreezeRequest(vocabulary=NAME, size=size)))


def _export(desk: Desk) -> None:
    desk.do(export, ExportRequest(vocabulary=NAME, format="tsv"))


def _time(what: str, act: Callable[[], Any]) -> Row:
    started = time.perf_counter()
    act()
    return {"what": what, "ms": 1000 * (time.perf_counter() - started)}


def _summarise(cells: list[Row]) -> list[Row]:
    rows = []
    for what in dict.fromkeys(cell["what"] for cell in cells):
        row: Row = {"what": what}
        for kind in ("SQLite", "PostgreSQL"):
            taken = [c["ms"] for c in cells if (c["what"], c["database"]) == (what, kind)]
            row |= {f"{kind} ms": median(taken), f"{kind} worst": max(taken)}
        rows.append(row)
    return rows
