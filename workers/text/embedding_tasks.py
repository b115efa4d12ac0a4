"""Answers the jobs that train word embeddings, look words up in them, and draw them."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np

from workers.runtime.answers import answer_each
from workers.runtime.checkpoints import learn_on, open_checkpoints
from workers.runtime.plots import draw_curves, draw_points
from workers.runtime.reporting import Reporter
from workers.runtime.run import InvalidInput, JobError, Run, TooLarge
from workers.text.corpora import WordChoice, check_size
from workers.text.embedding_contract import (
    EmbedExportRequest,
    EmbedExportResult,
    EmbedTrainRequest,
    EmbedTrainResult,
    LookUpRequest,
    LookUpResult,
    NearestRequest,
    NearestResult,
    Neighbour,
    Point,
    ProjectRequest,
    ProjectResult,
)
from workers.text.embedding_training import (
    Curve,
    EmbeddingOptions,
    Progress,
    Trained,
    train_embedding,
)
from workers.text.lexicon import Lexicon
from workers.text.loaded import TextWorker
from workers.text.pairs import Sentences
from workers.text.projection import Projection
from workers.text.projection import project as project_vectors
from workers.text.sources import read_corpus
from workers.text.tokenise import cut
from workers.text.vectors import WordVectors, pack_vectors, unpack_vectors
from workers.text.word2vec_file import list_exported, write_word2vec
from workers.text.word_choice import choose_words

MOST_NUMBERS = 100_000_000  # of all vectors: 400 MB, and as much again while they are learned
SHOWN = 100  # words in the picture of a training
LEAST_WORDS = 2


def train(
    worker: TextWorker, batch: Sequence[Run[EmbedTrainRequest]]
) -> list[EmbedTrainResult | JobError]:
    return answer_each(batch, lambda run: _train(worker, run))


def _train(worker: TextWorker, run: Run[EmbedTrainRequest]) -> EmbedTrainResult:
    """A worker that is killed goes on from the last checkpoint when the job is claimed again."""
    request = run.request
    run.progress(0.0, "reading the corpus")
    text = read_corpus(run.read(request.corpus), request.encoding)
    most = MOST_NUMBERS // request.dimensions
    lexicon, sentences = read_sentences(text, choose_words(worker, run.tenant, request, most))
    _check_size(len(lexicon) * request.dimensions)
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    reporter, options = Reporter(run), read_options(request)

    def report(progress: Progress) -> None:
        _, losses = progress.curve.list_points()
        step = f"epoch {progress.epoch} of {progress.epochs}"
        step += f": loss {losses[-1]:.3f}" if losses else ""
        draw = partial(draw_loss, progress.curve) if losses else None
        reporter.report(progress.fraction, step, draw)

    def learn() -> EmbedTrainResult:
        trained = train_embedding(
            options,
            sentences,
            len(lexicon.words),
            report,
            folder,
            worker.device,
            worker.settings.checkpoint_every,
        )
        return _keep(worker, run, lexicon, len(sentences.tokens), trained)

    return learn_on(run, folder, learn)


def _keep(
    worker: TextWorker,
    run: Run[EmbedTrainRequest],
    lexicon: Lexicon,
    tokens: int,
    trained: Trained,
) -> EmbedTrainResult:
    curve, vectors = trained.curve, WordVectors(lexicon, trained.vectors.numpy())
    found = {"words": len(vectors.known), "tokens": tokens, "loss": round(curve.last(), 5)}
    worker.models.add(run, "embedding", run.request.name, *pack_vectors(vectors), found)
    shown = vectors.known[:SHOWN]
    return EmbedTrainResult(
        words=len(vectors.known),
        tokens=tokens,
        loss=found["loss"],
        dimensions=run.request.dimensions,
        curve=run.save(draw_loss(curve)),
        projection=run.save(_draw(vectors, shown, project_vectors(vectors.table[shown]))),
    )


def read_options(request: EmbedTrainRequest) -> EmbeddingOptions:
    names = EmbeddingOptions.__dataclass_fields__
    return EmbeddingOptions(**request.model_dump(include=set(names)))


def read_sentences(text: str, choice: WordChoice) -> tuple[Lexicon, Sentences]:
    """Each line is a sentence. Raises InvalidInput, TooLarge."""
    check_size(len(text))
    cuts = [cut(choice.tokeniser, line) for line in text.splitlines()]
    lexicon = choice.choose(token for tokens in cuts for token in tokens)
    sentences = Sentences.build([lexicon.encode(tokens) for tokens in cuts])
    known = len(np.unique(sentences.tokens))
    if known < LEAST_WORDS:
        raise InvalidInput(
            f"{known} word(s) of the corpus would get a vector, and {LEAST_WORDS} are needed. "
            "Send a larger corpus, lower `min_count`, or choose another vocabulary."
        )
    return lexicon, sentences


def _check_size(numbers: int) -> None:
    """Raises TooLarge before anything is made."""
    if numbers > MOST_NUMBERS:
        raise TooLarge(
            f"The vectors would have {numbers} numbers, more than {MOST_NUMBERS}. Lower "
            "`dimensions` or `max_words`, or freeze a smaller version."
        )


def draw_loss(curve: Curve) -> bytes:
    return draw_curves({"loss": curve.list_points()}, "Loss", "part of the training", "nats a pair")


def nearest(
    worker: TextWorker, batch: Sequence[Run[NearestRequest]]
) -> list[NearestResult | JobError]:
    def answer(run: Run[NearestRequest]) -> NearestResult:
        request = run.request
        name, vectors = _open(worker, run, request.model)
        found = vectors.nearest(request.positive, request.negative, request.limit)
        neighbours = [Neighbour(word=word, similarity=cosine) for word, cosine in found]
        return NearestResult(model=name, neighbours=neighbours)

    return answer_each(batch, answer)


def look_up(
    worker: TextWorker, batch: Sequence[Run[LookUpRequest]]
) -> list[LookUpResult | JobError]:
    def answer(run: Run[LookUpRequest]) -> LookUpResult:
        name, vectors = _open(worker, run, run.request.model)
        rows = [vectors.seek(word) for word in run.request.words]
        found = [vectors.table[row].tolist() if row else None for row in rows]
        return LookUpResult(model=name, dimensions=vectors.table.shape[1], vectors=found)

    return answer_each(batch, answer)


def project(
    worker: TextWorker, batch: Sequence[Run[ProjectRequest]]
) -> list[ProjectResult | JobError]:
    return answer_each(batch, lambda run: _project(worker, run))


def _project(worker: TextWorker, run: Run[ProjectRequest]) -> ProjectResult:
    request = run.request
    name, vectors = _open(worker, run, request.model)
    shown = vectors.known[: request.limit]
    if request.words is not None:
        shown = np.array(list(dict.fromkeys(vectors.find(request.words).tolist())))
    if len(shown) < LEAST_WORDS:
        raise InvalidInput("The words are one and the same. Send two or more.")
    found = project_vectors(vectors.table[shown])
    points = [
        Point(word=vectors.name(index), x=x, y=y)
        for index, (x, y) in zip(shown, found.points.tolist(), strict=True)
    ]
    return ProjectResult(
        model=name,
        points=points,
        explained=found.explained.tolist(),
        picture=run.save(_draw(vectors, shown, found)),
    )


def _draw(vectors: WordVectors, shown: np.ndarray, found: Projection) -> bytes:
    x, y = (f"{part:.0%}" for part in found.explained)
    title = f"Word vectors: {x} of the variance on x, {y} on y"
    labels = [vectors.name(index) for index in shown]
    return draw_points(labels, found.points[:, 0].tolist(), found.points[:, 1].tolist(), title)


def export(
    worker: TextWorker, batch: Sequence[Run[EmbedExportRequest]]
) -> list[EmbedExportResult | JobError]:
    def answer(run: Run[EmbedExportRequest]) -> EmbedExportResult:
        name, vectors = _open(worker, run, run.request.model)
        indices = list_exported(vectors)
        parts = write_word2vec(
            vectors, indices, run.request.format, lambda done: run.progress(done, "writing")
        )
        return EmbedExportResult(model=name, words=len(indices), file=run.save(b"".join(parts)))

    return answer_each(batch, answer)


def _open(worker: TextWorker, run: Run[Any], model: str) -> tuple[str, WordVectors]:
    """(the full name, the vectors). Raises UnknownModel."""
    return worker.models.open(run.tenant, model, "embedding", unpack_vectors)
