"""`atelier text vocab ...` from the command line."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_text import FILE, FakeText

pytestmark = pytest.mark.usefixtures("text")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def poems(text: FakeText) -> str:
    """A vocabulary of two documents."""
    request = {"vocabulary": "poems", "tokeniser": None, "replace": False, "files": []}
    texts = {"rose": "a rose is a rose is a rose", "fog": "the fog comes"}
    named = {"ids": list(texts), "texts": list(texts.values()), "file_ids": None}
    text.ingest({**request, **named})
    return "poems"


def vocab(run: CliRunner, *arguments: str) -> list[list[str]]:
    """The rows of a command that has to succeed."""
    result = run.invoke(app, ["text", "vocab", *arguments])
    assert result.exit_code == 0, result.output
    return [line.split("\t") for line in result.stdout.splitlines()]


def test_vocabularies_are_listed_with_their_versions(run: CliRunner, poems: str) -> None:
    vocab(run, "freeze", poems, "--size", "2")
    vocab(run, "freeze", poems)
    assert vocab(run, "list") == [[poems, "words", "2", "11", "6", "1 (2), 2 (6)"]]


def test_the_most_frequent_words_are_ranked(run: CliRunner, text: FakeText, poems: str) -> None:
    rows = vocab(run, "rank", poems, "--limit", "2")
    assert rows == [["1", "a", "3", "27.273%"], ["2", "rose", "3", "27.273%"]]
    assert [request["limit"] for request in text.requests("vocab.rank")] == [2]


def test_words_are_read_page_by_page(
    run: CliRunner, text: FakeText, poems: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.client.text_vocab_commands.PAGE", 2)
    rows = vocab(run, "rank", poems, "--limit", "5")
    assert [row[0] for row in rows] == ["1", "2", "3", "4", "5"]
    assert len(text.requests("vocab.rank")) == 3


def test_words_that_were_never_seen_have_no_rank(run: CliRunner, poems: str) -> None:
    rows = vocab(run, "rank", poems, "rose", "thorn")
    assert rows == [["2", "rose", "3", "27.273%"], ["", "thorn", "0", "0.000%"]]


def test_a_version_is_frozen_as_asked(run: CliRunner, text: FakeText, poems: str) -> None:
    rows = vocab(run, "freeze", poems, "--size", "3", "--min-count", "2")
    assert ["version", "1"] in rows
    assert ["size", "3"] in rows
    assert text.requests("vocab.freeze") == [{"vocabulary": poems, "size": 3, "min_count": 2}]


def test_what_changed_between_versions_is_shown(run: CliRunner, text: FakeText, poems: str) -> None:
    vocab(run, "freeze", poems)
    text.documents[poems]["fog"] = "fog fog fog fog"
    vocab(run, "freeze", poems)
    rows = vocab(run, "diff", poems, "1", "2")
    assert ["dropped words", "the, comes"] in rows
    assert ["moved words", "a 1→2, rose 2→3, is 3→4, fog 5→1"] in rows
    assert ["added", "0"] in rows


def test_vocabularies_are_merged(run: CliRunner, text: FakeText, poems: str) -> None:
    rows = vocab(run, "merge", "all", poems)
    assert ["documents", "2"] in rows
    assert text.documents["all"] == text.documents[poems]


def test_a_file_is_written(run: CliRunner, text: FakeText, poems: str, tmp_path: Path) -> None:
    file = tmp_path / "words.json"
    assert vocab(run, "export", poems, str(file), "--format", "tokenizers", "--version", "1") == []
    assert file.read_bytes() == FILE
    (request,) = text.requests("vocab.export")
    assert request == {"vocabulary": poems, "version": 1, "format": "tokenizers"}


def test_documents_are_listed_and_a_list_that_was_cut_says_so(run: CliRunner, poems: str) -> None:
    assert [row[:3] for row in vocab(run, "documents", poems)] == [
        ["fog", "3", "3"],
        ["rose", "8", "3"],
    ]
    cut = run.invoke(app, ["text", "vocab", "documents", poems, "--limit", "1", "--json"])
    assert [json.loads(line)["document"] for line in cut.stdout.splitlines()] == ["fog"]
    assert "There are more" in cut.stderr


def test_documents_are_removed(run: CliRunner, text: FakeText, poems: str) -> None:
    rows = vocab(run, "remove", poems, "fog", "smog")
    assert ["removed", "1"] in rows
    assert ["unknown", "smog"] in rows
    assert list(text.documents[poems]) == ["rose"]


def test_a_vocabulary_is_deleted_only_if_the_person_says_yes(
    run: CliRunner, text: FakeText, poems: str
) -> None:
    refused = run.invoke(app, ["text", "vocab", "delete", poems], input="n\n")
    assert refused.exit_code == 1
    assert poems in text.documents
    assert ["documents", "2"] in vocab(run, "delete", poems, "--yes")
    assert not text.documents


def test_an_unknown_vocabulary_is_said(run: CliRunner) -> None:
    result = run.invoke(app, ["text", "vocab", "rank", "nowhere"])
    assert result.exit_code == 1
    assert result.stderr == "unknown_vocabulary: There is no vocabulary 'nowhere'.\n"
