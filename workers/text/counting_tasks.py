"""Answers the jobs that count documents in and out: ingest, remove, merge."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from shared.text_tables import TextVocabulary
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run
from workers.text.counting import Counted, count_documents, remove_documents
from workers.text.ingesting import count_request
from workers.text.loaded import TextWorker
from workers.text.merging import merge_vocabularies
from workers.text.vocabulary import (
    check_tokeniser,
    choose_tokeniser,
    find_vocabulary,
    lock_vocabularies,
    open_vocabulary,
    read_tokeniser,
    take_turn,
)
from workers.text.vocabulary_contract import (
    IngestRequest,
    IngestResult,
    MergeRequest,
    RemoveRequest,
    RemoveResult,
)


def ingest(
    worker: TextWorker, batch: Sequence[Run[IngestRequest]]
) -> list[IngestResult | JobError]:
    names: dict[str, set[str]] = {}  # of each tenant: one transaction changes them all
    for run in batch:
        names.setdefault(run.tenant, set()).add(run.request.vocabulary)
    return answer_each(batch, lambda run: _ingest(worker, run, names[run.tenant]))


def _ingest(worker: TextWorker, run: Run[IngestRequest], names: set[str]) -> IngestResult:
    request = run.request
    with worker.sessions.read() as session:
        tokeniser = choose_tokeniser(session, run.tenant, request.vocabulary, request.tokeniser)
    load = count_request(worker, run, tokeniser)

    def store(session: Session) -> dict[str, Any]:
        lock_vocabularies(session, run.tenant, names)
        vocabulary = open_vocabulary(session, run.tenant, request.vocabulary, tokeniser)
        counted = count_documents(session, vocabulary, load.documents, load.total, request.replace)
        return _show_counted(vocabulary, counted)

    run.effects.append(store)
    return IngestResult(vocabulary=request.vocabulary)


def _show_counted(vocabulary: TextVocabulary, *counted: Counted) -> dict[str, Any]:
    return {
        "documents": sum(each.documents for each in counted),
        "known": sum(each.known for each in counted),
        "replaced": sum(each.replaced for each in counted),
        "tokens": sum(each.tokens for each in counted),
        "too_long": sum(each.too_long for each in counted),
        **_show_totals(vocabulary),
    }


def _show_totals(vocabulary: TextVocabulary) -> dict[str, int]:
    return {
        "total_documents": vocabulary.documents,
        "total_tokens": vocabulary.tokens,
        "words": vocabulary.words,
    }


def remove(
    _worker: TextWorker, batch: Sequence[Run[RemoveRequest]]
) -> list[RemoveResult | JobError]:
    def answer(run: Run[RemoveRequest]) -> RemoveResult:
        def take_out(session: Session) -> dict[str, Any]:
            vocabulary = take_turn(session, run.tenant, run.request.vocabulary)
            before = vocabulary.documents
            unknown = remove_documents(session, vocabulary, run.request.documents)
            removed = before - vocabulary.documents
            return {"removed": removed, "unknown": unknown, **_show_totals(vocabulary)}

        run.effects.append(take_out)
        return RemoveResult(vocabulary=run.request.vocabulary)

    return answer_each(batch, answer)


def merge(_worker: TextWorker, batch: Sequence[Run[MergeRequest]]) -> list[IngestResult | JobError]:
    return answer_each(batch, _merge)


def _merge(run: Run[MergeRequest]) -> IngestResult:
    name, sources = run.request.vocabulary, list(dict.fromkeys(run.request.sources))
    if name in sources:
        raise InvalidInput(f"{name!r} cannot be merged into itself. Leave it out of `sources`.")

    def add(session: Session) -> dict[str, Any]:
        lock_vocabularies(session, run.tenant, [name, *sources])
        found = [find_vocabulary(session, run.tenant, source) for source in sources]
        target = open_vocabulary(session, run.tenant, name, read_tokeniser(found[0]))
        for source in found:
            check_tokeniser(target, read_tokeniser(source))
        return _show_counted(target, *merge_vocabularies(session, target, found))

    run.effects.append(add)
    return IngestResult(vocabulary=name)
