"""Answers the jobs that turn texts and facts into numbers, and numbers into texts."""

from collections.abc import Sequence

from sqlalchemy.orm import Session

from shared.text_tables import LONGEST_WORD
from workers.runtime.answers import answer_each
from workers.runtime.run import InvalidInput, JobError, Run, TooLarge
from workers.text.encoding import pad, to_counts, to_indices, to_matrix, to_one_hot, truncate
from workers.text.encoding_contract import (
    MAX_CELLS,
    DecodeRequest,
    DecodeResult,
    EncodeRequest,
    EncodeResult,
    FeaturesRequest,
    FeaturesResult,
)
from workers.text.features import choose_country, to_features
from workers.text.lexicon import UNKNOWN
from workers.text.loaded import TextWorker
from workers.text.tokenise import cut, join
from workers.text.versions import FrozenVersion, find_version, look_up, read_indices

MAX_NUMBERS = 1_000_000  # of one result
MAX_CHARACTERS = 10_000_000  # of the texts of one result


def encode(
    worker: TextWorker, batch: Sequence[Run[EncodeRequest]]
) -> list[EncodeResult | JobError]:
    with worker.sessions.read() as session:
        return answer_each(batch, lambda run: _encode(session, run.tenant, run.request))


def _encode(session: Session, tenant: str, request: EncodeRequest) -> EncodeResult:
    if request.dense and request.form != "one_hot":
        raise InvalidInput("`dense` is for the form one_hot. Leave it out, or ask for that form.")
    frozen = find_version(session, tenant, request.vocabulary, request.version)
    texts = [cut(frozen.tokeniser, text) for text in request.texts]
    words = {word for tokens in texts for word in tokens if len(word) <= LONGEST_WORD}
    known = look_up(session, frozen, words)
    result = EncodeResult(
        vocabulary=frozen.vocabulary,
        version=frozen.version,
        size=frozen.size,
        lengths=[len(tokens) for tokens in texts],
        unknown=[sum(token not in known for token in tokens) for tokens in texts],
    )
    ignore = request.unknown == "ignore"
    _fill(result, request, [to_indices(tokens, known, ignore=ignore) for tokens in texts])
    return result


def _fill(result: EncodeResult, request: EncodeRequest, texts: list[list[int]]) -> None:
    """Set the field of the form that was asked for; counts are not padded. Raises TooLarge."""
    length = request.length
    if length is not None:
        texts = [truncate(indices, length, request.truncate) for indices in texts]
        if request.form != "counts":
            _check_numbers(length * len(texts))
            texts = [pad(indices, length, request.pad) for indices in texts]
    _check_numbers(sum(map(len, texts)))
    if request.form == "indices":
        result.indices = texts
    elif request.form == "counts":
        result.counts = [to_counts(indices) for indices in texts]
    elif request.dense:
        _check_cells(sum(map(len, texts)) * result.size)
        result.dense = [to_matrix(to_one_hot(indices, result.size)) for indices in texts]
    else:
        result.one_hot = [to_one_hot(indices, result.size) for indices in texts]


def _check_numbers(number: int) -> None:
    if number > MAX_NUMBERS:
        raise TooLarge(
            f"The result would have {number} tokens, more than {MAX_NUMBERS}. Send fewer texts, "
            "or a smaller `length`."
        )


def _check_cells(cells: int) -> None:
    if cells > MAX_CELLS:
        raise TooLarge(
            f"The matrices would have {cells} cells, more than {MAX_CELLS}. Leave out `dense`, "
            "send fewer texts, or use a smaller version."
        )


def decode(
    worker: TextWorker, batch: Sequence[Run[DecodeRequest]]
) -> list[DecodeResult | JobError]:
    with worker.sessions.read() as session:
        return answer_each(batch, lambda run: _decode(session, run.tenant, run.request))


def _decode(session: Session, tenant: str, request: DecodeRequest) -> DecodeResult:
    _check_numbers(sum(map(len, request.sequences)))
    frozen = find_version(session, tenant, request.vocabulary, request.version)
    wanted = {index for sequence in request.sequences for index in sequence}
    _check_indices(frozen, max(wanted, default=0))
    words = {0: UNKNOWN, **read_indices(session, frozen, wanted)}
    tokens = [[words[index] for index in sequence] for sequence in request.sequences]
    size = sum(len(token) for sequence in tokens for token in sequence)
    if size > MAX_CHARACTERS:
        raise TooLarge(
            f"The words have {size} characters, more than {MAX_CHARACTERS}. Send fewer indices."
        )
    return DecodeResult(
        vocabulary=frozen.vocabulary,
        version=frozen.version,
        tokens=tokens,
        texts=[join(frozen.tokeniser, sequence) for sequence in tokens],
    )


def _check_indices(frozen: FrozenVersion, highest: int) -> None:
    if highest > frozen.size:
        raise InvalidInput(
            f"There is no index {highest}: version {frozen.version} of {frozen.vocabulary!r} has "
            f"the indices 1 to {frozen.size}, and 0 for any other word."
        )


def features(
    _worker: TextWorker, batch: Sequence[Run[FeaturesRequest]]
) -> list[FeaturesResult | JobError]:
    return answer_each(batch, lambda run: _features(run.request))


def _features(request: FeaturesRequest) -> FeaturesResult:
    countries = [choose_country(person) for person in request.people]
    return FeaturesResult(
        vectors=[to_features(*pair) for pair in zip(request.people, countries, strict=True)],
        countries=[country.name if country else None for country in countries],
    )
