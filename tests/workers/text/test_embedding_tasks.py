"""Jobs that train word embeddings, and look words up in them."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from tests.workers.text.counted import TENANT, fill
from tests.workers.text.desk import Desk
from tests.workers.text.language import KINDS, write_sentences
from workers.runtime import reporting
from workers.runtime.run import Cancelled
from workers.text import embedding_tasks
from workers.text.embedding_contract import (
    EmbedExportRequest,
    EmbedTrainRequest,
    LookUpRequest,
    NearestRequest,
    ProjectRequest,
)
from workers.text.embedding_tasks import export, look_up, nearest, project, train
from workers.text.version_contract import FreezeRequest
from workers.text.vocabulary_tasks import freeze

TEXT = write_sentences(600)


def ask(desk: Desk, text: str = TEXT, **values: object) -> EmbedTrainRequest:
    default: dict[str, object] = {"dimensions": 12, "epochs": 4, "subsample": 0}
    corpus = desk.add(text.encode())
    return EmbedTrainRequest.model_validate({"corpus": corpus, **default, **values})


def open_picture(desk: Desk, blob_id: str) -> tuple[int, int]:
    with Image.open(BytesIO(desk.read(blob_id))) as picture:
        assert picture.format == "PNG"
        return picture.size


def test_vectors_are_trained_and_can_be_used(desk: Desk):
    first = desk.do(train, ask(desk, name="ours"))
    again = desk.do(train, ask(desk, name="ours"))
    assert (first.model, again.model) == ("ours@1", "ours@2")
    assert (first.words, first.dimensions, first.tokens) == (45, 12, 3000)
    assert first.loss == again.loss < 6 * np.log(2)
    assert all(min(open_picture(desk, blob)) > 500 for blob in (first.curve, first.projection))
    assert desk.list_checkpoints() == []

    found = desk.do(nearest, NearestRequest(model="ours@1", positive=["cat"], limit=44))
    assert found.model == "ours@1"
    assert len({each.word for each in found.neighbours} - {"cat"}) == 44
    similar = [each.similarity for each in found.neighbours]
    assert similar == sorted(similar, reverse=True)

    rows = [
        desk.do(look_up, LookUpRequest(model=model, words=["CAT", "dodo", "the"]))
        for model in ("ours@1", "ours")
    ]
    assert [row.model for row in rows] == ["ours@1", "ours@2"]
    assert rows[0].vectors == rows[1].vectors
    assert [None if row is None else len(row) for row in rows[0].vectors] == [12, None, 12]


def test_words_are_drawn_in_the_plane(sqlite_desk: Desk):
    sqlite_desk.do(train, ask(sqlite_desk))
    chosen = ProjectRequest(model="words", words=["Cat", "dog", "red", "dog"])
    frequent = ProjectRequest(model="words", limit=3)
    for request, words in ((chosen, {"cat", "dog", "red"}), (frequent, {"the"})):
        drawn = sqlite_desk.do(project, request)
        assert len(drawn.points) == 3
        assert words <= {point.word for point in drawn.points}
        # Three points lie in a plane.
        assert sum(drawn.explained) == pytest.approx(1)
        assert drawn.explained[0] >= drawn.explained[1] >= 0
        assert min(open_picture(sqlite_desk, drawn.picture)) > 500
    one = ProjectRequest(model="words", words=["cat", "Cat"])
    assert sqlite_desk.refuse(project, one)[0] == "invalid_input"


def test_vectors_are_exported_as_they_are(sqlite_desk: Desk):
    sqlite_desk.do(train, ask(sqlite_desk))
    wanted = sqlite_desk.do(look_up, LookUpRequest(model="words", words=["cat"])).vectors[0]
    text, binary = (
        sqlite_desk.do(
            export, EmbedExportRequest.model_validate({"model": "words", "format": form})
        )
        for form in ("text", "binary")
    )
    assert text.words == binary.words == 45
    head, *lines = sqlite_desk.read(text.file).decode().splitlines()
    assert head == "45 12"
    rows = {word: list(map(float, numbers)) for word, *numbers in map(str.split, lines)}
    assert rows["cat"] == pytest.approx(wanted, rel=1e-7)
    assert b"cat " + np.array(wanted, "<f4").tobytes() + b"\n" in sqlite_desk.read(binary.file)


def test_a_word_without_a_vector_is_refused_with_a_hint(desk: Desk):
    desk.do(train, ask(desk))
    for method, request in (
        (nearest, NearestRequest(model="words", positive=["cat"], negative=["catt"])),
        (project, ProjectRequest(model="words", words=["cat", "catt"])),
    ):
        code, text = desk.refuse(method, request)
        assert code == "unknown_word"
        assert "'catt'" in text
        assert "'cat'" in text


def test_a_stranger_does_not_find_a_tenants_vectors(desk: Desk):
    desk.do(train, ask(desk))
    for method, request in (
        (nearest, NearestRequest(model="words", positive=["cat"])),
        (look_up, LookUpRequest(model="words@1", words=["cat"])),
        (project, ProjectRequest(model="words")),
        (export, EmbedExportRequest(model="words")),
    ):
        assert Desk(desk.worker).refuse(method, request)[0] == "unknown_model"
    refused = NearestRequest(model="words@2", positive=["cat"])
    answers = desk.do_all(nearest, refused, NearestRequest(model="words", positive=["cat"]))
    assert answers[0].code == "unknown_model"
    assert len(answers[1].neighbours) == 10


def test_words_of_a_frozen_version_keep_their_indices_and_its_tokeniser(desk: Desk):
    own = Desk(desk.worker, TENANT)
    kinds = " ".join(word for words in KINDS.values() for word in words)
    fill(desk.worker.sessions, {"all": f"cat's unheard {kinds}"})
    own.do(freeze, FreezeRequest(vocabulary="stories"))
    text = TEXT.replace("cat", "cat's").replace("\n", " ")
    trained = own.do(train, ask(own, text, vocabulary="stories"))
    assert trained.words == 20  # neither "cat" nor "unheard" occur
    words = ["cat's", "cat", "unheard", "dog", "the"]
    found = own.do(look_up, LookUpRequest(model="words", words=words)).vectors
    assert [row is not None for row in found] == [True, False, False, True, False]
    assert own.refuse(train, ask(own, vocabulary="stories", version=2))[0] == "unknown_version"
    assert own.refuse(train, ask(own, vocabulary="tales"))[0] == "unknown_vocabulary"


@pytest.mark.parametrize(
    ("text", "values", "hint"),
    [
        ("one two three", {}, "min_count"),
        ("one one one one one one", {}, "larger corpus"),
        ("one\ntwo\n" * 9, {"min_count": 1}, "No word has another"),
        ("one two " * 9, {"subsample": 1e-30}, "subsample"),
    ],
)
def test_a_corpus_that_teaches_nothing_is_refused(sqlite_desk: Desk, text, values, hint: str):
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk, text, **values))
    assert (code, hint in why) == ("invalid_input", True), why


def test_vectors_that_would_not_fit_are_refused(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(embedding_tasks, "MOST_NUMBERS", 46 * 12 - 1)
    code, why = sqlite_desk.refuse(train, ask(sqlite_desk))
    assert (code, "max_words" in why) == ("too_large", True)
    assert sqlite_desk.do(train, ask(sqlite_desk, max_words=44)).words == 44


def test_followers_see_the_loss_and_its_curve(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr(reporting, "PREVIEW_EVERY", 0.0)
    monkeypatch.setattr(reporting, "DRAWING", 0)
    monkeypatch.setattr(reporting, "SHARE", 0.0)
    monkeypatch.setattr("workers.text.embedding_training.REPORT_EVERY", 0.0)
    sqlite_desk.do(train, ask(sqlite_desk, write_sentences(150), epochs=2))
    fractions = [step["fraction"] for step in sqlite_desk.steps]
    assert fractions == sorted(fractions)
    assert "epoch 2 of 2: loss " in sqlite_desk.steps[-1]["step"]
    assert open_picture(sqlite_desk, sqlite_desk.steps[-1]["preview"])


def test_a_training_that_is_cancelled_goes_on_from_its_checkpoint(sqlite_desk: Desk, monkeypatch):
    monkeypatch.setattr("workers.text.embedding_training.REPORT_EVERY", 0.0)
    request = ask(sqlite_desk)
    run = sqlite_desk.make(request)
    run.stop_requested = lambda: len(sqlite_desk.steps) > 5
    with pytest.raises(Cancelled):
        train(sqlite_desk.worker, [run])
    assert len(sqlite_desk.list_checkpoints()) == 1
    run.stop_requested = lambda: False
    [answer] = train(sqlite_desk.worker, [run])
    assert sqlite_desk.finish(run, answer).model == "words@1"
    assert sqlite_desk.list_checkpoints() == []
