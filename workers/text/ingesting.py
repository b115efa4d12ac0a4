"""Counts the words of the documents that an ingest brings, before anything is written."""

from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from workers.runtime.run import InvalidInput, Run, TooLarge
from workers.text.counting import CountedDocument
from workers.text.counts import pack
from workers.text.fields import MAX_WORDS, Tokeniser
from workers.text.loaded import TextWorker
from workers.text.sources import open_documents
from workers.text.vocabulary_contract import IngestRequest


@dataclass
class Load:
    """All that one job counts."""

    documents: list[CountedDocument] = field(default_factory=list)
    total: Counter[str] = field(default_factory=Counter)  # in the order of first appearance


def count_request(worker: TextWorker, run: Run[IngestRequest], tokeniser: Tokeniser) -> Load:
    """Cut and count every document. Raises InvalidInput, TooLarge, Cancelled."""
    load = Load()

    def open_file(blob_id: str) -> Iterator[bytes]:
        try:
            return worker.blobs.stream(run.tenant, blob_id)
        except KeyError as error:
            raise InvalidInput(f"The file {blob_id} is gone. Upload it again.") from error

    report = _report(worker, run)
    for document in open_documents(run.request, tokeniser, open_file, report):
        load.documents.append(
            CountedDocument(
                name=document.name,
                sha256=document.sha256,
                tokens=document.tokens,
                words=len(document.counts),
                counts=pack(document.counts),
                too_long=document.too_long,
            )
        )
        load.total.update(document.counts)
        if len(load.total) > MAX_WORDS:
            raise TooLarge(
                f"The documents have more than {MAX_WORDS} distinct words. Send them in several "
                "jobs, or check that they are text."
            )
    return load


def _report(worker: TextWorker, run: Run[IngestRequest]) -> Callable[[int], None]:
    """Tells how many bytes were read of all; of a zip, whose text is longer, at most 99 %."""
    files = worker.blobs.find(run.tenant, run.request.files)
    size = sum(map(len, run.request.texts)) + sum(info.size for info in files.values())

    def report(done: int) -> None:
        run.progress(min(done / max(size, 1), 0.99), f"{done} bytes counted")

    return report
