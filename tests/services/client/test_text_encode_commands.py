"""`atelier text encode | decode | features` from the command line."""

import json

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from tests.services.client.fake_text import FakeText
from tests.services.client.fake_text_models import FakeTextModels

pytestmark = pytest.mark.usefixtures("text_models")


@pytest.fixture
def run() -> CliRunner:
    return CliRunner()


@pytest.fixture
def poems(text: FakeText) -> str:
    """A vocabulary with a version: a, rose, is."""
    text.documents["poems"] = {"rose": "a rose is a rose is a rose"}
    text.freeze({"vocabulary": "poems", "size": None})
    return "poems"


def call(run: CliRunner, *arguments: str, input: str | None = None) -> list[str]:
    """The lines of a command that has to succeed."""
    result = run.invoke(app, ["text", *arguments], input=input)
    assert result.exit_code == 0, result.output
    return result.stdout.splitlines()


def test_each_text_becomes_a_line_of_indices(run: CliRunner, poems: str) -> None:
    assert call(run, "encode", poems, "a rose", "no rose is") == ["1 2", "0 2 3"]


def test_lines_of_standard_input_come_back_as_they_went(run: CliRunner, poems: str) -> None:
    encoded = call(run, "encode", poems, input="a rose\n\nrose is a\r\n")
    assert encoded == ["1 2", "2 3 1"]
    assert call(run, "decode", poems, input="\n".join(encoded)) == ["a rose", "rose is a"]
    assert call(run, "decode", poems, "2", "0") == ["rose <unk>"]


@pytest.mark.parametrize(("form", "line"), [("one-hot", "1:1 2:0"), ("counts", "0:1 2:1 1:1")])
def test_other_forms_are_pairs(run: CliRunner, poems: str, form: str, line: str) -> None:
    assert call(run, "encode", poems, "the rose a", "--form", form) == [line]


def test_options_reach_the_server(run: CliRunner, text: FakeText, poems: str) -> None:
    options = ["--length", "3", "--pad", "left", "--truncate", "left", "--drop-unknown"]
    call(run, "encode", poems, "a", "--version", "1", *options)
    (request,) = text.requests("encode")
    del request["texts"]
    assert request == {
        "vocabulary": poems,
        "version": 1,
        "form": "indices",
        "unknown": "ignore",
        "length": 3,
        "pad": "left",
        "truncate": "left",
    }


def test_programs_get_an_object_for_each_text(run: CliRunner, poems: str) -> None:
    (line,) = call(run, "encode", poems, "no rose", "--json")
    assert json.loads(line) == {
        "text": "no rose",
        "indices": [0, 2],
        "vocabulary": poems,
        "version": 1,
        "lengths": 2,
        "unknown": 1,
    }


def test_many_texts_go_in_several_requests(run: CliRunner, text: FakeText, poems: str) -> None:
    lines = call(run, "encode", poems, input="rose\n" * 600)
    assert lines == ["2"] * 600
    assert [len(request["texts"]) for request in text.requests("encode")] == [256, 256, 88]


def test_what_is_no_index_is_a_usage_error(run: CliRunner, poems: str) -> None:
    result = run.invoke(app, ["text", "decode", poems, "1", "two"])
    assert result.exit_code == 2
    assert "'1 two' are not indices" in result.stderr


def test_a_version_that_is_not_there_is_said(run: CliRunner, poems: str) -> None:
    result = run.invoke(app, ["text", "encode", poems, "a", "--version", "7"])
    assert result.exit_code == 1
    assert "unknown_version: Freeze one first." in result.stderr


def test_a_person_becomes_a_vector(run: CliRunner, text_models: FakeTextModels) -> None:
    lines = call(run, "features", "--age", "36", "--sex", "1", "--country", "gb")
    assert lines == ["Afghanistan\t0:36 1:1 2:1"]
    assert text_models.requests("features")[0]["people"] == [
        {"age": 36.0, "sex": 1, "country": "GB"}
    ]


def test_people_come_from_json_lines(run: CliRunner) -> None:
    people = '{"age": 7, "sex": 0}\n{"age": 36.5, "sex": 1, "country": 3}\n'
    first, second = (json.loads(line) for line in call(run, "features", "--json", input=people))
    assert (first["vector"][:3], first["country"]) == ([7.0, 0.0, 0.0], None)
    assert len(second["vector"]) == 199


@pytest.mark.parametrize(("arguments", "lines"), [(["--age", "3"], ""), ([], "age 3")])
def test_a_person_has_to_be_complete(
    run: CliRunner, text_models: FakeTextModels, arguments: list[str], lines: str
) -> None:
    assert run.invoke(app, ["text", "features", *arguments], input=lines).exit_code == 2
    assert not text_models.requests("features")
