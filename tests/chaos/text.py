"""Counts the same documents twice while worker processes die, and compares with one `Counter`.

`python -m tests.chaos.text --documents 10000 --processes 4 --seed 1 --database postgresql` prints
a table of figures and ends with status 1 if a token was lost or counted twice.
"""

import argparse
import random
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any

from tests.chaos.faces import run_job
from tests.chaos.harm import Killer
from tests.chaos.run import provide_database
from tests.e2e.stack import Site, run_site
from tests.plain_sql import run_sql

VOCABULARY = "chaos"
PER_JOB = 20  # documents
THREADS = 8
LEXICON = ["".join(letters) for letters in product("abcdefghij", "klmno", "pqrstu")]
# Few words are frequent and many are rare, as in a language.
WEIGHTS = [1 / rank for rank in range(1, len(LEXICON) + 1)]

Text = tuple[str, str]  # name, content


@dataclass
class Findings:
    """What must be empty or equal."""

    failed: list[str] = field(default_factory=list)  # jobs
    differences: list[str] = field(default_factory=list)  # of SQL from the truth
    deadlocks: int = 0  # in the logs of the workers
    kills: int = 0  # what all this was for

    @property
    def kept(self) -> bool:
        return not (self.failed or self.differences or self.deadlocks)


def make_texts(count: int, seed: int) -> list[Text]:
    """Documents of 20 to 200 tokens, each with a word of its own and some that others share."""
    draws = random.Random(seed)
    return [
        (
            f"document-{number}",
            " ".join(draws.choices(LEXICON, WEIGHTS, k=draws.randint(20, 200)))
            + f" own{spell(number)} shared{spell(number // 50)}",
        )
        for number in range(count)
    ]


def spell(number: int) -> str:
    """A number in letters, for digits are no part of words."""
    return "".join("abcdefghij"[int(digit)] for digit in str(number))


def plan_jobs(texts: Sequence[Text], seed: int) -> list[list[Text]]:
    """Every document twice, each time among others."""
    order = random.Random(seed)
    jobs = []
    for _ in range(2):
        shuffled = order.sample(texts, len(texts))
        jobs += [shuffled[start : start + PER_JOB] for start in range(0, len(shuffled), PER_JOB)]
    order.shuffle(jobs)
    return jobs


def shake(
    home: Path, documents: int, processes: int, seed: int, every: float, database_url: str = ""
) -> tuple[Findings, dict[str, Any]]:
    """Ingest all documents twice over HTTP while a process dies every `every` seconds."""
    findings, texts = Findings(), make_texts(documents, seed)
    jobs = plan_jobs(texts, seed)
    overrides = {"database_url": database_url, "max_failures": 20}  # so often killed, all must end
    with run_site(home, processes, "text", **overrides) as site:
        killer = Killer(site, seed, every)
        started = time.monotonic()
        with killer.at_work(), ThreadPoolExecutor(THREADS) as pool:
            for refusal in pool.map(lambda job: ingest(site, job), jobs):
                findings.failed += [refusal] if refusal else []
        took = time.monotonic() - started
        findings.kills = killer.kills.total()
        findings.differences = compare_sql(site.database, texts)
        logs = [site.read_log(main) for main in site.mains]
        findings.deadlocks = sum(log.lower().count("deadlock") for log in logs)
        tokens, words, counted = run_sql(site.database, TOTALS)[0]
    return findings, {
        "jobs of up to 20 documents": len(jobs),
        "documents, each sent twice": counted,
        "tokens / distinct words": f"{tokens} / {words}",
        "seconds": round(took, 1),
        "killed mains / children": f"{killer.kills['main']} / {killer.kills['child']}",
        "outcomes written late": sum(log.count("outcome not recorded yet") for log in logs),
        "jobs that failed": len(findings.failed),
        "deadlocks in logs": findings.deadlocks,
        "differences from one Counter": len(findings.differences),
    }


def ingest(site: Site, texts: Sequence[Text]) -> str | None:
    """What went wrong, if anything."""
    request = {
        "vocabulary": VOCABULARY,
        "ids": [name for name, _ in texts],
        "texts": [content for _, content in texts],
    }
    job = run_job(site.client, "text.ingest", request)
    return None if job["state"] == "succeeded" else f"{job['state']}: {job['error']}"


TOTALS = "SELECT tokens, words, documents FROM text_vocabularies"
DOCUMENTS = "SELECT name, tokens FROM text_documents"
WORDS = "SELECT word, count, first_seen FROM text_words ORDER BY count DESC, first_seen"


def compare_sql(database: str, texts: Sequence[Text]) -> list[str]:
    """How the tables differ from what one process counts."""
    truth: Counter[str] = Counter()
    for _, content in texts:
        truth.update(content.split())
    words = run_sql(database, WORDS)
    pairs = {
        "counts": ({row[0]: row[1] for row in words}, dict(truth)),
        "totals": (run_sql(database, TOTALS), [(truth.total(), len(truth), len(texts))]),
        "documents": (
            dict(run_sql(database, DOCUMENTS)),
            {name: len(content.split()) for name, content in texts},
        ),
        "ages": (len({row[2] for row in words}), len(truth)),  # no two words are as old
    }
    return [
        f"{name}: {str(found)[:200]} is not {str(expected)[:200]}"
        for name, (found, expected) in pairs.items()
        if found != expected
    ]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--documents", type=int, default=1000)
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--database", choices=["sqlite", "postgresql"], default="sqlite")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--every", type=float, default=1.0, help="seconds between kills")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, provide_database(given.database) as url:
        home = Path(folder) / "home"
        findings, figures = shake(
            home, given.documents, given.processes, given.seed, given.every, url
        )
    for name, value in figures.items():
        sys.stdout.write(f"{name:36} {value}\n")
    for line in [*findings.failed, *findings.differences][:20]:
        sys.stdout.write(f"{line}\n")
    return 0 if findings.kept else 1


if __name__ == "__main__":
    sys.exit(main())
