"""Jobs that use trained models: text is written, labels are told, versions promoted."""

from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from sqlalchemy import update

from shared.tables import TrainedModel
from tests.workers.text.desk import Desk
from workers.runtime import trained
from workers.runtime.run import Cancelled
from workers.text.classifier import TextClassifier
from workers.text.fields import Tokeniser
from workers.text.language_model import LanguageModel
from workers.text.lexicon import Lexicon
from workers.text.model_contract import (
    ClassifyRequest,
    ForgetRequest,
    GenerateRequest,
    ModelsRequest,
    PromoteRequest,
)
from workers.text.model_tasks import classify, forget, generate, models, promote
from workers.text.reader import Architecture
from workers.text.saved import load_classifier, load_language, pack_model

CHARACTERS = Lexicon(Tokeniser(unit="characters"), ("a", "b", "\n", "猫"))
WORDS = Lexicon(Tokeniser(), ("good", "bad", "film"))
SHAPE = Architecture(hidden=8)


def add_language(desk: Desk, name: str = "letters", lexicon: Lexicon = CHARACTERS) -> str:
    """A model of random weights, registered as if it were trained."""
    return register(desk, name, lexicon, LanguageModel(SHAPE, len(lexicon)), ())


def add_classifier(desk: Desk, name: str = "mood") -> str:
    return register(desk, name, WORDS, TextClassifier(SHAPE, len(WORDS), 2), ("no", "yes"))


def register(desk: Desk, name: str, lexicon: Lexicon, network: Any, labels: Any) -> str:
    run = desk.make(ModelsRequest())
    tensors, about = pack_model(network, lexicon, labels)
    desk.worker.models.add(run, about["kind"], name, tensors, about, {"loss": 1.0})
    [record] = run.effects
    made: dict[str, str] = {}
    desk.change(lambda session: made.update(record(session)))
    return made["model"]


def list_in_use(desk: Desk) -> list[str]:
    return [view.model for view in desk.do(models, ModelsRequest()).models if view.in_use]


def test_text_is_written_and_the_same_for_the_same_seed(desk: Desk):
    add_language(desk)
    request = GenerateRequest(model="letters", prefix="ab", length=120, seed=3)
    first, again = desk.do(generate, request), desk.do(generate, request)
    assert first == again
    assert first.model == "letters@1"
    assert first.text == "ab" + first.continuation
    assert len(first.continuation) == 120
    assert set(first.continuation) <= set(CHARACTERS.words)
    assert first.perplexity > 1
    assert [event["step"] for event in desk.steps[:2]] == ["50 of 120 tokens", "100 of 120 tokens"]


def test_the_prefix_may_be_empty_or_unknown_or_of_one_token(sqlite_desk: Desk):
    add_language(sqlite_desk)
    for prefix in ("", "xyz", "猫"):
        request = GenerateRequest(model="letters", prefix=prefix, length=5, temperature=0)
        assert len(sqlite_desk.do(generate, request).continuation) == 5


def test_writing_can_be_cancelled(sqlite_desk: Desk):
    add_language(sqlite_desk)
    run = sqlite_desk.make(GenerateRequest(model="letters", length=10_000))
    run.stop_requested = lambda: True
    with pytest.raises(Cancelled):
        generate(sqlite_desk.worker, [run])


def test_texts_of_several_jobs_get_labels_as_if_alone(desk: Desk):
    add_classifier(desk), add_classifier(desk)
    texts = ["good film", "bad", "an unknown word", "film " * 1500, "good good bad film"]
    asked = [
        ClassifyRequest(model="mood@1", texts=texts),
        ClassifyRequest(model="mood@2", texts=texts),
        ClassifyRequest(model="mood@1", texts=texts[1:2]),
        ClassifyRequest(model="mood@1", texts=["good", "...", "?"]),
        ClassifyRequest(model="other", texts=texts),
    ]
    first, other, alone, empty, unknown = desk.do_all(classify, *asked)
    assert [len(result.items) for result in (first, other, alone)] == [5, 5, 1]
    assert first.items[1].probability == pytest.approx(alone.items[0].probability, abs=1e-6)
    assert (first.model, other.model) == ("mood@1", "mood@2")
    assert first.items[0].probability != pytest.approx(other.items[0].probability, abs=1e-6)
    for item in first.items:
        assert sum(item.probabilities.values()) == pytest.approx(1)
        assert item.probability == max(item.probabilities.values())
        assert item.probabilities[item.label] == item.probability
    assert (empty.code, "Text 1" in str(empty)) == ("invalid_input", True)
    assert unknown.code == "unknown_model"


def test_a_model_is_of_its_kind_and_of_its_tenant(desk: Desk):
    language, classifier = add_language(desk), add_classifier(desk)
    asked = [
        (generate, GenerateRequest(model=language)),
        (classify, ClassifyRequest(model=classifier, texts=["good"])),
        (promote, PromoteRequest(model=language)),
    ]
    stranger = Desk(desk.worker)
    for method, request in asked:
        assert desk.do(method, request)
        assert stranger.refuse(method, request)[0] == "unknown_model"
    assert stranger.do(models, ModelsRequest()).models == []
    assert desk.refuse(generate, GenerateRequest(model=classifier))[0] == "unknown_model"
    request = ClassifyRequest(model=language, texts=["good"])
    assert desk.refuse(classify, request)[0] == "unknown_model"


def test_a_name_means_the_version_promoted_or_else_the_newest(desk: Desk):
    first, second = add_language(desk), add_language(desk)
    mood = add_classifier(desk)
    assert list_in_use(desk) == [second, mood]
    shown = desk.do(promote, PromoteRequest(model=first))
    assert [view.model for view in shown.models if view.in_use] == [first, mood]
    add_language(desk)
    assert list_in_use(desk) == [first, mood]
    assert desk.do(generate, GenerateRequest(model="letters", length=1)).model == first
    desk.do(promote, PromoteRequest(model=second))
    assert desk.do(generate, GenerateRequest(model="letters", length=1)).model == second


def test_a_model_whose_file_is_gone_is_neither_promoted_nor_used(desk: Desk):
    add_language(desk)
    desk.change(
        lambda session: session.execute(
            update(TrainedModel)
            .where(TrainedModel.tenant == desk.tenant)
            .values(object_name="gone")
        )
    )
    assert desk.refuse(promote, PromoteRequest(model="letters@1"))[0] == "unknown_model"
    assert desk.refuse(generate, GenerateRequest(model="letters"))[0] == "unknown_model"
    assert desk.refuse(promote, PromoteRequest(model="letters@9"))[0] == "unknown_model"


def read_one(network: LanguageModel | TextClassifier) -> torch.Tensor:
    """What it makes of a text of six tokens."""
    tokens = torch.tensor([[1], [2], [0], [3], [1], [2]])
    if isinstance(network, LanguageModel):
        return network.eval()(tokens)[0]
    return network.eval()(tokens, torch.tensor([6]))


@pytest.mark.parametrize(
    "network",
    [
        LanguageModel(replace(SHAPE, cell="rnn"), 5),
        LanguageModel(replace(SHAPE, cell="gru", layers=2), 5),
        LanguageModel(replace(SHAPE, embedding=4, dropout=0.5), 5),
        LanguageModel(replace(SHAPE, embedding=8, tied=True), 5),
        LanguageModel(replace(SHAPE, written_out=True), 5),
        TextClassifier(replace(SHAPE, bidirectional=True, layers=2), 5, 2),
    ],
)
def test_every_network_comes_back_as_it_was(network: Any, sqlite_desk: Desk):
    labels = ("no", "yes") if isinstance(network, TextClassifier) else ()
    kind, load = ("classifier", load_classifier) if labels else ("language", load_language)
    name = register(sqlite_desk, "copy", CHARACTERS, network, labels)
    build: Any = partial(load, device=torch.device("cpu"))
    _, known = sqlite_desk.worker.models.open(sqlite_desk.tenant, name, kind, build)
    assert torch.equal(read_one(known.network), read_one(network))
    assert known.lexicon == CHARACTERS


def test_tied_weights_are_stored_once_and_tied_again():
    network = LanguageModel(replace(SHAPE, embedding=8, tied=True), 5)
    tensors, about = pack_model(network, CHARACTERS)
    assert "output.weight" not in tensors
    known = load_language(tensors, about, torch.device("cpu")).network
    assert known.output.weight is known.reader.embedding.weight


def test_a_model_of_another_format_or_kind_is_refused(sqlite_desk: Desk):
    tensors, about = pack_model(LanguageModel(SHAPE, 5), CHARACTERS)
    for odd in ({"format": 9}, {"kind": "classifier"}):
        run = sqlite_desk.make(ModelsRequest())
        sqlite_desk.worker.models.add(run, "language", "odd", tensors, {**about, **odd}, {})
        sqlite_desk.change(run.effects[0])
        code, why = sqlite_desk.refuse(generate, GenerateRequest(model="odd"))
        assert (code, "Train it again" in why) == ("unknown_model", True)


def test_models_are_kept_in_memory_up_to_a_size(sqlite_desk: Desk, monkeypatch):
    models, built = sqlite_desk.worker.models, []
    for name in ("one", "two", "three"):
        add_language(sqlite_desk, name)

    def build(tensors: Any, _about: Any) -> int:
        built.append(sum(tensor.nbytes for tensor in tensors.values()))
        return len(built)

    def count_built(*names: str) -> int:
        before = len(built)
        for name in names:
            models.open(sqlite_desk.tenant, name, "language", build)
        return len(built) - before

    assert count_built("one", "two", "three", "one", "two", "three") == 3
    monkeypatch.setattr(trained, "KEPT_BYTES", 2 * built[0])
    assert count_built("one") == 0  # and "two", asked for longest ago, is dropped
    assert count_built("three", "one") == 0
    assert count_built("two") == 1
    monkeypatch.setattr(trained, "KEPT_BYTES", 1)
    assert count_built("two", "two", "one", "one") == 1


def test_telling_labels_stops_once_a_job_of_the_batch_is_cancelled(sqlite_desk: Desk):
    add_classifier(sqlite_desk)
    asked = ClassifyRequest(model="mood", texts=["good"])
    runs = [sqlite_desk.make(asked), sqlite_desk.make(asked)]
    runs[1].stop_requested = lambda: True
    with pytest.raises(Cancelled):
        classify(sqlite_desk.worker, runs)
    assert classify(sqlite_desk.worker, runs[:1])


def test_words_come_back_as_they_were(sqlite_desk: Desk):
    """Also those that are no line, and more of them than a file's header holds."""
    lexicon = Lexicon(Tokeniser(unit="whitespace"), tuple(f"猫{n:0180d}" for n in range(1000)))
    torch.manual_seed(0)
    name = add_language(sqlite_desk, "wide", lexicon)
    text = sqlite_desk.do(generate, GenerateRequest(model=name, length=3)).continuation
    assert all(word in lexicon.indices for word in text.split())


def test_a_deleted_model_is_gone_also_from_the_memory_of_the_worker(desk: Desk):
    first = add_language(desk)
    ask = GenerateRequest(model=first, prefix="a", length=3)
    desk.do(generate, ask)
    assert desk.do(forget, ForgetRequest(model=first)).models == []
    assert desk.refuse(generate, ask)[0] == "unknown_model"
    assert desk.refuse(forget, ForgetRequest(model=first))[0] == "unknown_model"


def test_another_tenant_deletes_nothing(desk: Desk):
    first = add_language(desk)
    other = Desk(desk.worker)
    assert other.refuse(forget, ForgetRequest(model=first))[0] == "unknown_model"
    assert [each.model for each in desk.do(models, ModelsRequest()).models] == [first]
