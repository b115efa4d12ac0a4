"""Jobs that train language models and classifiers."""

import io
import zipfile
from typing import Any

import pytest
from pydantic import ValidationError
from sqlalchemy.orm import Session

from tests.workers.text.desk import Desk
from tests.workers.text.lessons import RHYME, make_pairs
from workers.runtime.checkpoints import CHECKPOINT, open_checkpoints
from workers.runtime.images import decode
from workers.runtime.run import Cancelled
from workers.runtime.trained import UnknownModel
from workers.text.counting_tasks import ingest
from workers.text.fields import Tokeniser
from workers.text.model_contract import ModelsRequest, TrainRequest, TrainResult
from workers.text.model_tasks import models
from workers.text.training_tasks import train
from workers.text.version_contract import FreezeRequest
from workers.text.vocabulary_contract import IngestRequest
from workers.text.vocabulary_tasks import freeze

CHARACTERS = {"unit": "characters"}


def write_labelled(pairs: list[tuple[str, str]]) -> bytes:
    return "".join(f"{label}\t{text}\n" for label, text in pairs).encode()


def ask_language(desk: Desk, content: bytes = RHYME.encode(), **values: Any) -> TrainRequest:
    small = {"hidden": 24, "steps": 10, "batch_size": 4, "epochs": 3, "learning_rate": 1e-2}
    request = {"corpus": desk.add(content), "tokeniser": CHARACTERS, **small, **values}
    return TrainRequest.model_validate(request)


def ask_classifier(desk: Desk, content: bytes | None = None, **values: Any) -> TrainRequest:
    small = {"hidden": 24, "embedding": 8, "batch_size": 8, "epochs": 8, "learning_rate": 1e-2}
    content = write_labelled(make_pairs()) if content is None else content
    return TrainRequest.model_validate(
        {"kind": "classifier", "corpus": desk.add(content), "held_out": 0.2, **small, **values}
    )


def test_a_language_model_is_trained_and_registered(desk: Desk):
    result: TrainResult = desk.do(train, ask_language(desk, name="rhyme"))
    again = desk.do(train, ask_language(desk, name="rhyme"))
    assert (result.model, again.model, result.kind) == ("rhyme@1", "rhyme@2", "language")
    assert result.metrics == again.metrics
    assert 1 < result.metrics["held_out_perplexity"] < 8
    assert result.metrics["held_out_loss"] < result.metrics["frequency_loss"]
    assert (result.epochs, result.words, result.labels) == (3, len(set(RHYME)), None)
    words = len(set(RHYME)) + 1
    assert result.parameters == 4 * 24 * (words + 24 + 2) + words * 25
    assert set(result.sample) <= set(RHYME)
    assert len(result.sample) == 200
    assert decode(desk.read(result.curve)).size == (880, 550)
    first, _ = desk.do(models, ModelsRequest()).models
    assert (first.kind, first.origin["hidden"], first.origin["seed"]) == ("language", 24, 0)
    assert first.metrics == result.metrics
    assert desk.list_checkpoints() == []


def test_a_classifier_is_trained_from_lines_and_from_a_zip(sqlite_desk: Desk):
    desk, file = sqlite_desk, io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for label in ("bad", "good", "odd"):
            texts = [text for own, text in make_pairs() if own == label]
            archive.writestr(f"{label}.txt", "\n".join(texts))
    for content in (write_labelled(make_pairs()), file.getvalue()):
        result = desk.do(train, ask_classifier(desk, content, bidirectional=True))
        assert (result.kind, result.labels) == ("classifier", ["bad", "good", "odd"])
        assert result.metrics["held_out_accuracy"] > 0.8
        assert result.metrics["held_out_macro_f1"] > 0.8
        assert result.sample is None


def test_followers_see_epochs_losses_and_a_picture(sqlite_desk: Desk):
    sqlite_desk.do(train, ask_language(sqlite_desk))
    steps = [event["step"] for event in sqlite_desk.steps]
    assert any(step.startswith("epoch 1 of 3: loss ") and "held out" in step for step in steps)
    pictures = [event["preview"] for event in sqlite_desk.steps if event["preview"]]
    assert decode(sqlite_desk.read(pictures[0])).size == (880, 550)
    assert sqlite_desk.steps[-1]["fraction"] == 1.0


def test_the_words_of_a_frozen_version_are_used(desk: Desk):
    words = Tokeniser(unit="whitespace", lower=False)
    texts = ["The cat sat on the mat"]
    desk.do(ingest, IngestRequest(vocabulary="cats", texts=texts, tokeniser=words))
    desk.do(freeze, FreezeRequest(vocabulary="cats"))
    result = desk.do(train, ask_language(desk, vocabulary="cats"))
    assert result.words == 6
    assert desk.refuse(train, ask_language(desk, vocabulary="dogs"))[0] == "unknown_vocabulary"
    request = ask_language(desk, vocabulary="cats", version=2)
    assert desk.refuse(train, request)[0] == "unknown_version"


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"short", "too few"),
        (b"\xff\xfe\xfa" * 100, "utf-8"),
        (b"PK\x03\x04" + b"0" * 60, "zip"),
        (b" \n" * 100, "no text"),
    ],
)
def test_a_corpus_that_cannot_be_used_is_refused(sqlite_desk: Desk, content: bytes, text: str):
    code, why = sqlite_desk.refuse(train, ask_language(sqlite_desk, content))
    assert (code, text in why) == ("invalid_input", True), why


def test_labels_that_cannot_be_used_are_refused(sqlite_desk: Desk):
    for content, text in ((b"no tab", "tab"), (b"a\tone\na\ttwo\n", "1 label")):
        code, why = sqlite_desk.refuse(train, ask_classifier(sqlite_desk, content))
        assert (code, text in why) == ("invalid_input", True), why


def test_what_learned_nothing_is_not_kept(sqlite_desk: Desk):
    desk = sqlite_desk
    for request, text in (
        (ask_language(desk, learning_rate=1e-9, epochs=1), "how frequent each token"),
        (ask_classifier(desk, learning_rate=1e-9, epochs=1), "how frequent each label"),
        (ask_language(desk, optimiser="sgd", learning_rate=100, clip=1000), "nothing was kept"),
    ):
        code, why = desk.refuse(train, request)
        assert (code, text in why) == ("invalid_input", True), why
    assert desk.do(models, ModelsRequest()).models == []
    assert desk.list_checkpoints() == []


def test_what_does_not_fit_into_memory_is_refused_at_once(sqlite_desk: Desk):
    for values, text in (
        ({"hidden": 2048, "layers": 4, "embedding": 2048}, "weights"),
        ({"hidden": 2048, "steps": 1000, "batch_size": 4096}, "`batch_size`"),
    ):
        request = ask_language(sqlite_desk, RHYME.encode() * 200, **values)
        code, why = sqlite_desk.refuse(train, request)
        assert (code, text in why) == ("too_large", True), why


def test_a_checkpoint_goes_only_when_the_outcome_is_committed(desk: Desk):
    run = desk.make(ask_language(desk))
    [answer] = train(desk.worker, [run])
    assert desk.list_checkpoints() == [run.job_id]

    def fail(_: Session) -> None:
        raise UnknownModel("the transaction is rolled back")

    run.effects.append(fail)
    assert isinstance(desk.finish(run, answer), UnknownModel)
    assert desk.list_checkpoints() == [run.job_id]
    run.effects.remove(fail)
    assert desk.finish(run, answer).model == "model@1"
    assert desk.list_checkpoints() == []


def test_a_checkpoint_that_cannot_be_used_is_none(sqlite_desk: Desk):
    run = sqlite_desk.make(ask_language(sqlite_desk))
    worker = sqlite_desk.worker
    folder = open_checkpoints(worker.settings, worker.sessions, run.job_id)
    (folder / CHECKPOINT).write_bytes(b"cut off")
    [answer] = train(sqlite_desk.worker, [run])
    assert sqlite_desk.finish(run, answer).epochs == 3


def test_a_training_can_be_cancelled_while_it_is_measured(sqlite_desk: Desk):
    run = sqlite_desk.make(ask_language(sqlite_desk))
    run.stop_requested = lambda: sqlite_desk.steps[-1]["step"] == "measuring"
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])


def test_a_training_can_be_cancelled_and_keeps_its_checkpoint(sqlite_desk: Desk):
    run = sqlite_desk.make(ask_language(sqlite_desk))
    run.stop_requested = lambda: len(sqlite_desk.steps) > 2
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])
    assert sqlite_desk.list_checkpoints() == [run.job_id]


@pytest.mark.parametrize(
    "values",
    [
        {"bidirectional": True},
        {"tied": True},
        {"tied": True, "embedding": 8},
        {"kind": "classifier", "tied": True, "embedding": 256},
        {"version": 1},
        {"learning_rate": float("nan")},
    ],
)
def test_options_that_do_not_fit_together_are_refused(values: dict[str, Any]):
    with pytest.raises(ValidationError):
        TrainRequest.model_validate({"corpus": "0" * 64, **values})
