"""What "Dive into Deep Learning" counts in The Time Machine, beside our tokens and ranks.

`--data` is a folder with timemachine/timemachine.txt. The book's sections 9.2 and 9.3 count lines,
words and characters; ours go through a vocabulary in SQL, on SQLite and on PostgreSQL.
"""

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from bench.options import Options
from bench.report import Report, tell
from bench.text_ingest import open_desk
from tests.servers import run_postgres
from tests.workers.text.desk import Desk
from workers.text.counting_tasks import ingest
from workers.text.fields import Tokeniser
from workers.text.vocabulary_contract import IngestRequest, RankRequest
from workers.text.vocabulary_tasks import rank

WORDS = "32775 words, 4579 distinct; the 2261, i 1267, and 1245"
CHARACTERS = "170580 characters, 28 distinct with <unk>"
COLUMNS = ("database", "found", "wanted")


def run(options: Options) -> Report:
    if options.data is None:
        raise SystemExit("Say where timemachine/timemachine.txt is: --data DIR")
    book = (options.data / "timemachine" / "timemachine.txt").read_bytes()
    with tempfile.TemporaryDirectory(prefix="atelier-bench-") as name, ExitStack() as stack:
        folder = Path(name)
        urls = {"SQLite": "", "PostgreSQL": stack.enter_context(run_postgres())}
        rows = [
            {"database": database, **row}
            for database, url in urls.items()
            for row in measure(stack.enter_context(open_desk(folder / database, url)), book)
        ]
    notes = [
        f"{tell(row['found'] == row['wanted'])}: {row['database']}, {row['found']}" for row in rows
    ]
    return Report("text_golden", COLUMNS, rows, notes)


def measure(desk: Desk, book: bytes) -> Iterator[dict[str, Any]]:
    file = desk.add(book)
    result = desk.do(ingest, IngestRequest(vocabulary="words", files=[file]))
    first = desk.do(rank, RankRequest(vocabulary="words", limit=3)).words
    most = ", ".join(f"{word.word} {word.count}" for word in first)
    yield {"found": f"{result.tokens} words, {result.words} distinct; {most}", "wanted": WORDS}
    characters = Tokeniser(unit="characters", letters_only=True)
    request = IngestRequest(vocabulary="characters", files=[file], tokeniser=characters)
    result = desk.do(ingest, request)
    found = f"{result.tokens} characters, {result.words + 1} distinct with <unk>"
    yield {"found": found, "wanted": CHARACTERS}
