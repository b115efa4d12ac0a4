"""`atelier text embed ... | train | generate | classify | models | promote | forget`."""

import json
import os
import zipfile
from io import BytesIO
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from services.client.watch import Watch
from tests.services.client.fake_text_models import CURVE, FILE, SAMPLE, WORDS, FakeTextModels
from workers.text.embedding_contract import EmbedTrainRequest
from workers.text.model_contract import TrainRequest

pytestmark = pytest.mark.usefixtures("corpus", "text_models")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "corpus.txt"
    path.write_text("It was the best of times")
    return path


def call(run: CliRunner, *arguments: str, input: str | None = None) -> str:
    """What a command that has to succeed prints."""
    result = run.invoke(app, ["text", *arguments], input=input)
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_language_model_is_trained_and_its_curve_saved(run: CliRunner, corpus: Path) -> None:
    result = run.invoke(app, ["text", "train", str(corpus), "--curve", "loss.png"])
    assert result.exit_code == 0, result.output
    assert "model\tmodel@1\n" in result.stdout
    assert "metrics held out perplexity\t4.5\n" in result.stdout
    assert Path("loss.png").read_bytes() == CURVE
    assert "The loss is drawn in loss.png." in result.stderr
    assert result.stderr.endswith(f"It writes:\n{SAMPLE}\n")
    assert SAMPLE not in result.stdout  # its lines would look like rows


def test_what_the_commands_leave_open_is_what_the_contract_leaves_open(
    run: CliRunner, text_models: FakeTextModels, corpus: Path
) -> None:
    call(run, "train", str(corpus))
    call(run, "embed", "train", str(corpus))
    (train,), (embed,) = text_models.requests("train"), text_models.requests("embed.train")
    plain = {"corpus": train["corpus"]}
    assert TrainRequest.model_validate(train) == TrainRequest.model_validate(plain)
    assert EmbedTrainRequest.model_validate(embed) == EmbedTrainRequest.model_validate(plain)


def test_every_option_of_the_contract_can_be_chosen(
    run: CliRunner, text_models: FakeTextModels, corpus: Path
) -> None:
    numbers = ["--max-words", "9", "--min-count", "2", "--hidden", "8", "--layers", "2"]
    more = ["--embedding", "8", "--dropout", "0.5", "--steps", "5", "--batch-size", "4"]
    rates = ["--epochs", "3", "--learning-rate", "0.1", "--clip", "2", "--held-out", "0.2"]
    names = ["--name", "mine", "--vocabulary", "v", "--version", "2", "--decay", "0.9"]
    choices = ["--cell", "gru", "--batches", "random", "--optimiser", "sgd"]
    rest = ["--patience", "4", "--seed", "5", "--encoding", "ascii", "--unit", "characters"]
    options = [*numbers, *more, *rates, *names, *choices, *rest]
    call(run, "train", str(corpus), *options, "--tied")
    call(run, "train", str(corpus), *options, "--kind", "classifier", "--bidirectional")
    unchanged = set(TrainRequest.model_fields)
    for request in text_models.requests("train"):
        default = TrainRequest(corpus=request["corpus"]).model_dump()
        chosen = TrainRequest.model_validate(request).model_dump()
        unchanged &= {name for name in chosen if chosen[name] == default[name]}
    assert unchanged == {"corpus"}


def test_a_folder_is_sent_as_a_zip_with_a_file_for_each_label(
    run: CliRunner, text_models: FakeTextModels, tmp_path: Path
) -> None:
    folder = tmp_path / "films"
    folder.mkdir()
    (folder / "good.txt").write_text("a fine film")
    (folder / "bad.txt").write_text("dull")
    call(run, "train", str(folder), "--kind", "classifier")
    (request,) = text_models.requests("train")
    with zipfile.ZipFile(BytesIO(text_models.api.blobs[request["corpus"]])) as archive:
        assert archive.namelist() == ["bad.txt", "good.txt"]


def test_files_of_a_pattern_are_named_by_their_paths_below_the_folder_of_all(
    run: CliRunner, text_models: FakeTextModels, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("here/x", "films/en/good.txt", "films/bad.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("a film")
    monkeypatch.chdir(tmp_path / "here")
    for pattern in ("../films/**/*.txt", f"{tmp_path}/films/**/*.txt", "../films"):
        call(run, "train", pattern)
        request = text_models.requests("train")[-1]
        with zipfile.ZipFile(BytesIO(text_models.api.blobs[request["corpus"]])) as archive:
            assert sorted(archive.namelist()) == ["bad.txt", "en/good.txt"]


def test_files_older_than_what_a_zip_can_date_are_sent(
    run: CliRunner, text_models: FakeTextModels, tmp_path: Path
) -> None:
    for name in ("good.txt", "bad.txt"):
        (tmp_path / "films").mkdir(exist_ok=True)
        (tmp_path / "films" / name).write_text("a film")
        os.utime(tmp_path / "films" / name, (0, 0))  # 1970
    call(run, "train", str(tmp_path / "films"))
    (request,) = text_models.requests("train")
    with zipfile.ZipFile(BytesIO(text_models.api.blobs[request["corpus"]])) as archive:
        assert {info.date_time[0] for info in archive.infolist()} == {1980}


def test_a_corpus_can_come_from_standard_input(
    run: CliRunner,
    text_models: FakeTextModels,
) -> None:
    call(run, "train", "-", input="the worst of times")
    (request,) = text_models.requests("train")
    assert text_models.api.blobs[request["corpus"]] == b"the worst of times"


def test_a_corpus_that_is_not_there_is_a_usage_error(
    run: CliRunner,
) -> None:
    assert run.invoke(app, ["text", "train", "missing.txt"]).exit_code == 2


def test_a_generated_text_is_printed_as_it_is(
    run: CliRunner, text_models: FakeTextModels, corpus: Path
) -> None:
    call(run, "train", str(corpus))
    options = ["--length", "9", "--temperature", "0", "--top-k", "3", "--seed", "4"]
    result = run.invoke(app, ["text", "generate", "model", "Once. ", *options])
    assert result.stdout == "Once. " + SAMPLE
    assert result.stderr == ""
    (request,) = text_models.requests("generate")
    assert (request["top_k"], request["temperature"], request["length"]) == (3, 0.0, 9)


def test_texts_are_classified_line_by_line(run: CliRunner, corpus: Path) -> None:
    call(run, "train", str(corpus), "--kind", "classifier")
    told = call(run, "classify", "model", input="a good film\na bad one\n")
    assert told == "good\t0.900\ta good film\nbad\t0.900\ta bad one\n"
    as_json = json.loads(call(run, "classify", "model", "a good film", "--json"))
    assert as_json["probabilities"] == {"bad": 0.1, "good": 0.9}


def test_models_are_listed_and_an_older_version_is_put_in_use(run: CliRunner, corpus: Path) -> None:
    call(run, "train", str(corpus), "--kind", "classifier")
    call(run, "embed", "train", str(corpus))
    call(run, "train", str(corpus), "--kind", "classifier")
    rows = [line.split("\t") for line in call(run, "promote", "model@2").splitlines()]
    assert [(row[0], row[1], row[4]) for row in rows] == [
        ("model@1", "classifier", ""),
        ("words@1", "embedding", "yes"),
        ("model@2", "classifier", "yes"),
    ]
    assert rows[0][2] == "held out accuracy 0.9"
    listed = call(run, "models", "--json").splitlines()
    assert [json.loads(line)["model"] for line in listed] == ["model@1", "words@1", "model@2"]


def test_a_version_is_deleted_and_the_others_are_listed(run: CliRunner, corpus: Path) -> None:
    call(run, "train", str(corpus))
    call(run, "train", str(corpus))
    assert call(run, "forget", "model@1").split("\t")[0] == "model@2"


def test_an_unknown_model_is_said(run: CliRunner) -> None:
    result = run.invoke(app, ["text", "generate", "nobody"])
    assert result.exit_code == 1
    assert result.stderr == "unknown_model: There is no model 'nobody'.\n"
    assert result.stdout == ""


def test_embeddings_are_trained_and_their_pictures_saved(
    run: CliRunner, text_models: FakeTextModels, corpus: Path
) -> None:
    told = call(run, "embed", "train", str(corpus), "--dimensions", "20", "--method", "cbow")
    assert "dimensions\t20\n" in told
    assert Path("words@1-curve.png").read_bytes() == CURVE
    assert Path("words@1-words.png").read_bytes() == WORDS
    assert text_models.requests("embed.train")[0]["method"] == "cbow"


def test_neighbours_and_analogies_are_asked_for(
    run: CliRunner, text_models: FakeTextModels, corpus: Path
) -> None:
    call(run, "embed", "train", str(corpus))
    assert call(run, "embed", "nearest", "words", "king") == "queen\t0.500\nwoman\t0.500\n"
    call(run, "embed", "analogy", "words", "man", "king", "woman", "--limit", "1")
    request = text_models.requests("embed.nearest")[-1]
    assert (request["positive"], request["negative"]) == (["king", "woman"], ["man"])


def test_vectors_are_printed_in_the_format_of_word2vec(run: CliRunner, corpus: Path) -> None:
    call(run, "embed", "train", str(corpus))
    result = run.invoke(app, ["text", "embed", "lookup", "words", "king", "ghost"])
    assert result.stdout == "king 1 0.5\n"
    assert result.stderr == "ghost has no vector.\n"
    as_json = call(run, "embed", "lookup", "words", "ghost", "--json")
    assert json.loads(as_json) == {"word": "ghost", "vector": None}


def test_words_are_drawn_and_vectors_exported(run: CliRunner, corpus: Path) -> None:
    call(run, "embed", "train", str(corpus))
    result = run.invoke(
        app, ["text", "embed", "project", "words", "king", "man", "--picture", "p.png"]
    )
    assert "2 words are drawn in p.png." in result.stderr
    assert Path("p.png").read_bytes() == WORDS
    call(run, "embed", "export", "words", "vectors.bin", "--format", "binary")
    assert Path("vectors.bin").read_bytes() == FILE


def test_ctrl_c_stops_a_training_on_the_server(
    run: CliRunner,
    text_models: FakeTextModels,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(Watch, "follow", interrupt)
    result = run.invoke(app, ["text", "train", str(corpus)])
    assert result.exit_code == 130
    (job,) = text_models.api.jobs.values()
    assert job["state"] == "cancelled"
