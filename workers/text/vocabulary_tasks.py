"""Answers the jobs on vocabularies: rank words, freeze versions, export, delete."""

from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.orm import Session

from shared.text_tables import TextVersion, TextVocabulary
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run
from workers.text.deleting import erase_rows
from workers.text.differences import compare_versions
from workers.text.exporting import Words, write_json, write_tsv
from workers.text.fields import Tokeniser
from workers.text.huggingface import write_tokenizer
from workers.text.loaded import TextWorker
from workers.text.ranking import Place, Ranked, rank_asked, read_all, read_page
from workers.text.version_contract import (
    DiffRequest,
    DiffResult,
    ExportRequest,
    ExportResult,
    FreezeRequest,
    VersionView,
)
from workers.text.versions import find_version, freeze_version, list_versions, list_words
from workers.text.vocabulary import (
    delete_vocabulary,
    find_vocabulary,
    hide_vocabulary,
    list_documents,
    list_vocabularies,
    read_tokeniser,
    take_turn,
)
from workers.text.vocabulary_contract import (
    DeleteRequest,
    DeleteResult,
    DocumentsRequest,
    DocumentsResult,
    DocumentView,
    ListRequest,
    ListResult,
    RankedWord,
    RankRequest,
    RankResult,
    VocabularyView,
)

STEP = 10_000  # words of an export between two reports of progress


def delete(
    worker: TextWorker, batch: Sequence[Run[DeleteRequest]]
) -> list[DeleteResult | JobError]:
    return answer_each(batch, lambda run: _delete(worker, run))


def _delete(worker: TextWorker, run: Run[DeleteRequest]) -> DeleteResult:
    """In many short transactions; once the first has hidden the vocabulary, nothing stops it."""
    with worker.sessions.begin() as session:
        vocabulary = hide_vocabulary(session, run.tenant, run.request.vocabulary, run.job_id)
        run.raise_if_cancelled()
    for done in erase_rows(worker.sessions, vocabulary):
        run.report({"fraction": round(done, 4), "step": "deleting", "preview": None})

    def erase(session: Session) -> dict[str, Any]:
        hidden = hide_vocabulary(session, run.tenant, run.request.vocabulary, run.job_id)
        delete_vocabulary(session, hidden)
        return {"documents": hidden.documents, "versions": hidden.last_version}

    run.effects.append(erase)
    return DeleteResult(vocabulary=run.request.vocabulary)


def freeze(
    _worker: TextWorker, batch: Sequence[Run[FreezeRequest]]
) -> list[VersionView | JobError]:
    def answer(run: Run[FreezeRequest]) -> VersionView:
        asked = run.request

        def keep(session: Session) -> dict[str, Any]:
            vocabulary = take_turn(session, run.tenant, asked.vocabulary)
            version = freeze_version(session, vocabulary, asked.size, asked.min_count)
            return _show_version(vocabulary, version).model_dump()

        run.effects.append(keep)
        return VersionView(vocabulary=asked.vocabulary, min_count=asked.min_count)

    return answer_each(batch, answer)


def _show_version(vocabulary: TextVocabulary, version: TextVersion) -> VersionView:
    return VersionView(
        vocabulary=vocabulary.name,
        version=version.version,
        size=version.size,
        min_count=version.min_count,
        coverage=version.coverage,
        created_at=version.created_at,
    )


def list_all(worker: TextWorker, batch: Sequence[Run[ListRequest]]) -> list[ListResult | JobError]:
    def answer(run: Run[ListRequest]) -> ListResult:
        with worker.sessions.read() as session:
            found = list_vocabularies(session, run.tenant)
            versions = list_versions(session, run.tenant)
        return ListResult(vocabularies=[_show(each, versions.get(each.id, [])) for each in found])

    return answer_each(batch, answer)


def _show(vocabulary: TextVocabulary, versions: Sequence[TextVersion]) -> VocabularyView:
    return VocabularyView(
        vocabulary=vocabulary.name,
        tokeniser=read_tokeniser(vocabulary),
        documents=vocabulary.documents,
        tokens=vocabulary.tokens,
        words=vocabulary.words,
        versions=[_show_version(vocabulary, version) for version in versions],
        created_at=vocabulary.created_at,
    )


def documents(
    worker: TextWorker, batch: Sequence[Run[DocumentsRequest]]
) -> list[DocumentsResult | JobError]:
    return answer_each(batch, lambda run: _documents(worker, run))


def _documents(worker: TextWorker, run: Run[DocumentsRequest]) -> DocumentsResult:
    request = run.request
    with worker.sessions.read() as session:
        vocabulary = find_vocabulary(session, run.tenant, request.vocabulary)
        found = list_documents(session, vocabulary.id, request.after, request.limit + 1)
    page = found[: request.limit]
    views = [
        DocumentView(
            document=row.name,
            sha256=row.sha256,
            tokens=row.tokens,
            words=row.words,
            counted_at=row.counted_at,
        )
        for row in page
    ]
    more = len(found) > len(page)
    return DocumentsResult(
        vocabulary=vocabulary.name, documents=views, next=page[-1].name if more else None
    )


def rank(worker: TextWorker, batch: Sequence[Run[RankRequest]]) -> list[RankResult | JobError]:
    return answer_each(batch, lambda run: _rank(worker, run))


def _rank(worker: TextWorker, run: Run[RankRequest]) -> RankResult:
    request, more = run.request, None
    after = Place.parse(request.after) if request.after else None
    with worker.sessions.read() as session:
        vocabulary = find_vocabulary(session, run.tenant, request.vocabulary)
        if request.words is not None:
            ranked = rank_asked(session, vocabulary, request.words)
            pairs = zip(request.words, ranked, strict=True)
            words = [_show_rank(vocabulary, word, found) for word, found in pairs]
        else:
            page = read_page(session, vocabulary.id, after, request.limit + 1)
            if len(page) > request.limit:
                more = str(page[request.limit - 1].place)
            words = [_show_rank(vocabulary, r.word, r) for r in page[: request.limit]]
    return RankResult(
        vocabulary=vocabulary.name,
        words=words,
        next=more,
        total_tokens=vocabulary.tokens,
        total_words=vocabulary.words,
    )


def _show_rank(vocabulary: TextVocabulary, word: str, ranked: Ranked | None) -> RankedWord:
    if ranked is None:
        return RankedWord(rank=None, word=word, count=0, share=0.0)
    place = ranked.place
    share = place.count / vocabulary.tokens
    return RankedWord(rank=place.rank, word=word, count=place.count, share=share)


def diff(worker: TextWorker, batch: Sequence[Run[DiffRequest]]) -> list[DiffResult | JobError]:
    def answer(run: Run[DiffRequest]) -> DiffResult:
        request = run.request
        with worker.sessions.read() as session:
            old, new = (
                find_version(session, run.tenant, request.vocabulary, version)
                for version in (request.old, request.new)
            )
            return compare_versions(session, old, new, request.limit)

    return answer_each(batch, answer)


def export(
    worker: TextWorker, batch: Sequence[Run[ExportRequest]]
) -> list[ExportResult | JobError]:
    return answer_each(batch, lambda run: _export(worker, run))


def _export(worker: TextWorker, run: Run[ExportRequest]) -> ExportResult:
    request = run.request
    with worker.sessions.read() as session:
        size, tokeniser, words = _open_words(session, run)
        lines = _write(request, tokeniser, _report(run, words, size))
        file = run.save("".join(lines).encode())
    return ExportResult(
        vocabulary=request.vocabulary, version=request.version, words=size, file=file
    )


def _open_words(session: Session, run: Run[ExportRequest]) -> tuple[int, Tokeniser, Words]:
    """How many words there are, how they were cut, and the words as they are read."""
    name, version = run.request.vocabulary, run.request.version
    if version is not None:
        frozen = find_version(session, run.tenant, name, version)
        return frozen.size, frozen.tokeniser, list_words(session, frozen)
    if run.request.format == "tokenizers":
        raise InvalidInput("A tokenizer.json needs indices that never change: give a `version`.")
    vocabulary = find_vocabulary(session, run.tenant, name)
    return vocabulary.words, read_tokeniser(vocabulary), read_all(session, vocabulary.id)


def _write(request: ExportRequest, tokeniser: Tokeniser, words: Words) -> Iterator[str]:
    if request.format == "tsv":
        return write_tsv(words)
    if request.format == "tokenizers":
        return write_tokenizer(tokeniser, words)
    return write_json(request.vocabulary, request.version, tokeniser, words)


def _report(run: Run[Any], words: Words, size: int) -> Iterator[tuple[str, int]]:
    """The words as they come, and how far that is."""
    for number, pair in enumerate(words):
        if number % STEP == 0:
            run.progress(number / size, f"word {number} of {size}")
        yield pair
