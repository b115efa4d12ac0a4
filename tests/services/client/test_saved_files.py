"""Files of results that cannot be written are told before the work, or after all."""

from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_api import FakeApi

FILE = "none/file"  # there is no such folder


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("corpus.txt").write_text("a poem")


@pytest.mark.parametrize(
    "command",
    [
        ["faces", "train", "people", "--roc", FILE],
        ["faces", "export", "staff", FILE],
        ["text", "train", "corpus.txt", "--curve", FILE],
        ["text", "embed", "train", "corpus.txt", "--curve", FILE],
        ["text", "embed", "train", "corpus.txt", "--picture", FILE],
        ["text", "embed", "project", "words", "--picture", FILE],
        ["text", "embed", "export", "words", FILE],
        ["text", "vocab", "export", "poems", FILE],
        ["style", "corpus.txt", "corpus.txt", "--curve", f"{FILE}.png"],
        ["segment", "export", "selfie", "--output", FILE],
    ],
    ids=" ".join,
)
def test_a_missing_folder_is_told_before_anything_is_sent(api: FakeApi, command: list[str]) -> None:
    result = CliRunner().invoke(app, command)
    assert result.exit_code == 2, result.output
    assert result.stderr == f"There is no folder {Path('none').absolute()}.\n"
    assert not api.requests


def test_a_file_that_cannot_be_written_after_all_is_told(api: FakeApi) -> None:
    def export(_: dict[str, Any]) -> dict[str, Any]:
        Path("words.json").mkdir()  # is in the way
        return {"words": 1, "file": api.add_blob(b"words")}

    api.answers["text.vocab.export"] = export
    result = CliRunner().invoke(app, ["text", "vocab", "export", "poems", "words.json"])
    assert result.exit_code == 1, result.output
    assert result.stderr == "words.json cannot be written: Is a directory.\n"
