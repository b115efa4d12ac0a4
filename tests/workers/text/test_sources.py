"""Documents, corpora and labelled texts are read from texts, files and zips, or refused by name."""

import hashlib
import json
import zipfile
from collections.abc import Iterator
from io import BytesIO
from typing import Any

import pytest

from workers.runtime.run import InvalidInput, TooLarge
from workers.text import decoding, sources
from workers.text.fields import Tokeniser
from workers.text.sources import Document, open_documents, read_corpus, read_labelled
from workers.text.vocabulary_contract import IngestRequest

SIZE = 7  # bytes of a chunk


def make_zip(files: dict[str, str | bytes]) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


def read(
    *files: bytes | str, tokeniser: Tokeniser | None = None, **values: Any
) -> dict[str, Document]:
    """The documents of a request by name; files are called file-0, file-1 and so on."""
    contents = {
        f"file-{n}": file if isinstance(file, bytes) else file.encode()
        for n, file in enumerate(files)
    }

    def stream(blob_id: str) -> Iterator[bytes]:
        content = contents[blob_id]
        return (content[start : start + SIZE] for start in range(0, len(content), SIZE))

    request = IngestRequest(vocabulary="stories", files=list(contents), **values)
    found = list(open_documents(request, tokeniser or Tokeniser(), stream))
    assert len({document.name for document in found}) == len(found)
    return {document.name: document for document in found}


def refuse(*files: bytes | str, **values: Any) -> str:
    with pytest.raises(InvalidInput) as refusal:
        read(*files, **values)
    return str(refusal.value)


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def test_a_text_is_counted_in_the_order_of_first_appearance():
    [document] = read(texts=["The best of the best"]).values()
    assert list(document.counts.items()) == [("the", 2), ("best", 2), ("of", 1)]
    assert (document.tokens, document.too_long) == (5, 0)
    assert document.name == document.sha256 == sha256("The best of the best")


def test_texts_and_files_are_named_by_their_ids():
    found = read("three", "four", texts=["one", "two"], ids=["1", "2"], file_ids=["3", "4"])
    assert list(found) == ["1", "2", "3", "4"]
    assert found["4"].sha256 == sha256("four")


def test_a_file_without_an_id_is_named_by_its_blob():
    assert list(read("one", "two")) == ["file-0", "file-1"]


def test_the_sha256_is_that_of_the_text_in_utf_8_without_its_mark():
    text = "Ein Käse\n und Öl"
    for content in (text.encode(), b"\xef\xbb\xbf" + text.encode()):
        assert read(content)["file-0"].sha256 == sha256(text)
    assert read(text.encode("latin-1"), encoding="latin-1")["file-0"].sha256 == sha256(text)


def test_a_long_file_is_counted_as_its_text(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "PIECE", 16)
    text = "".join(f"wörd{chr(97 + n % 26)} e\u0301tude,\n" for n in range(500))
    [whole], [piecewise] = read(texts=[text]).values(), read(text).values()
    assert piecewise.counts == whole.counts
    assert list(piecewise.counts) == list(whole.counts)
    assert piecewise.sha256 == whole.sha256


def test_letters_of_a_long_file_are_joined_as_its_lines(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "PIECE", 4)
    letters = Tokeniser(unit="characters", letters_only=True)
    [document] = read("a b c d e\nf g!\n", tokeniser=letters).values()
    assert (document.counts[" "], document.tokens) == (5, 12)


def test_words_of_more_than_200_characters_are_left_out_and_numbered():
    long, longer = "x" * 200, "y" * 201
    document = read(f"a {long} {longer} {longer}")["file-0"]
    assert document.counts == {"a": 1, long: 1}
    assert (document.tokens, document.too_long) == (2, 2)


def test_lines_are_documents_and_those_without_a_token_are_left_out():
    found = read("one\r\n\n...\ntwo two", format="lines")
    assert list(found) == ["file-0:1", "file-0:4"]
    assert found["file-0:1"].sha256 == sha256("one")
    assert found["file-0:4"].tokens == 2
    assert list(read("one\ntwo\n", format="lines", file_ids=["ID"])) == ["ID:1", "ID:2"]


def test_jsonl_objects_are_documents_by_id_or_line():
    lines = [
        {"id": "first", "text": "one"},
        {"text": "two", "label": 3},
        {"id": 7, "text": "three"},
        {"id": None, "text": "four"},
    ]
    content = "\n".join(map(json.dumps, lines)) + "\n\n"
    assert list(read(content, format="jsonl")) == ["first", "file-0:2", "7", "file-0:4"]
    named = read(content, format="jsonl", file_ids=["ID"])
    assert list(named) == ["ID:first", "ID:2", "ID:7", "ID:4"]


def test_files_of_a_zip_are_named_by_their_paths():
    content = make_zip(
        {"b/c.txt": "two", "a.txt": "one", "z.jsonl": '{"text": "x"}\n{"text": "y"}'}
    )
    assert list(read(content)) == ["a.txt", "b/c.txt", "z.jsonl:1", "z.jsonl:2"]
    assert list(read(content, file_ids=["ID"]))[:3] == ["ID/a.txt", "ID/b/c.txt", "ID/z.jsonl:1"]
    assert list(read(make_zip({"a.txt": "x\ny"}), format="lines")) == ["a.txt:1", "a.txt:2"]


def test_the_same_document_twice_in_a_job_is_one():
    assert list(read("one", "one", texts=["x", "x"], file_ids=["a", "a"])) == [sha256("x"), "a"]


def test_two_documents_of_one_name_are_refused():
    assert "are called 'a', and differ" in refuse("one", "two", file_ids=["a", "a"])
    assert "'same'" in refuse("one", texts=["two"], ids=["same"], file_ids=["same"])


@pytest.mark.parametrize(
    ("content", "values", "message"),
    [
        (b"", {}, "'file-0' has no token"),
        (b" \n...", {"file_ids": ["mine"]}, "'mine' has no token"),
        (b"\n\n...\n", {"format": "lines"}, "No line of 'file-0' has a token"),
        (b'{"text": "a"}\n{"text": "!"}', {"format": "jsonl"}, "'file-0:2' has no token"),
        (b"abc\xff", {}, "'file-0' is no utf-8 at byte 3: invalid start byte. Set `encoding`"),
        (b'{"text": "a"}\n{"text"', {"format": "jsonl"}, "'file-0:2' is no JSON: Expecting"),
        (b'\n{"t": 1}', {"format": "jsonl"}, "'file-0:2' has no \"text\" that is a text"),
        (b"[" * 100_000, {"format": "jsonl"}, "'file-0:1' is no JSON"),
        (b"[1]", {"format": "jsonl"}, "'file-0:1' is no JSON object"),
        (b"1" * 5000, {"format": "jsonl"}, "'file-0:1' is no JSON"),
        (b'{"text": "a\\ud800"}', {"format": "jsonl"}, "half of a surrogate pair at character 1"),
        (b'{"text": "a", "id": "\\ud800"}', {"format": "jsonl"}, "half of a surrogate pair"),
        (b'{"text": "a", "id": ""}', {"format": "jsonl"}, "'' cannot name a document"),
        (b'{"text": "a", "id": "a\\u0000"}', {"format": "jsonl"}, "cannot name a document"),
        (b'{"text": "a", "id": true}', {"format": "jsonl"}, 'no "id" that is a text'),
        (make_zip({"a.txt": "x", "b.txt": "?"}), {}, "'b.txt' has no token"),
        (make_zip({"a.txt": b"x\xff"}), {}, "'a.txt' is no utf-8 at byte 1"),
        (make_zip({"x" * 201: "x"}), {}, "cannot name a document"),
        (make_zip({"a\nb.txt": "x"}), {}, "cannot name a document"),
        (make_zip({"../a.txt": "x"}), {}, "leaves the zip"),
    ],
)
def test_what_cannot_be_counted_is_named(content: bytes, values: dict[str, Any], message: str):
    assert message in refuse(content, **values)


def test_a_text_without_a_token_is_named():
    assert "'second' has no token" in refuse(texts=["one", "--"], ids=["first", "second"])
    assert "Text 1, counted from 0, has no token" in refuse(texts=["one", "--"])


def test_a_job_reads_a_limited_number_of_bytes(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MAX_BYTES", 10)
    assert len(read("a b c", texts=["d e"])) == 2
    with pytest.raises(TooLarge, match="10 bytes of a job"):
        read("a b c", "d", texts=["e f g"])
    with pytest.raises(TooLarge, match="10 bytes of a job"):
        read_corpus(b"a b c d e f", "utf-8")


def test_a_job_has_a_limited_number_of_documents(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MAX_DOCUMENTS", 3)
    assert len(read("a\nb\nc", format="lines")) == 3
    with pytest.raises(TooLarge, match="A job takes 3 texts"):
        read("a\nb\nc\nd", format="lines")


@pytest.mark.parametrize("form", ["text", "lines", "jsonl"])
def test_a_document_of_too_many_words_is_refused_before_it_is_read_to_its_end(
    form: str, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(decoding, "PIECE", 8)
    monkeypatch.setattr(sources, "MAX_WORDS", 3)
    counted: list[str] = []
    monkeypatch.setattr(sources, "cut", lambda _, text: counted.append(text) or text.split())
    start, end = ('{"text": "', '"}') if form == "jsonl" else ("", "")
    assert read(f"{start}a b c a b c{end}", format=form)
    with pytest.raises(TooLarge, match=r"'file-0.*' has more than 3 distinct words\. Send it"):
        read(f"{start}a b c d e f g h last{end}", format=form)
    assert "last" not in "".join(counted)


def test_documents_come_before_the_rest_of_the_file_is_read():
    def stream(_: str) -> Iterator[bytes]:
        yield b"one\n"
        yield b"two\n"
        raise AssertionError("the file is read as a whole")

    request = IngestRequest(vocabulary="stories", files=["f"], format="lines")
    documents = open_documents(request, Tokeniser(), stream)
    assert next(documents).name == "f:1"


def test_the_bytes_read_are_reported():
    done: list[int] = []
    request = IngestRequest(vocabulary="stories", texts=["é"], files=["f"])
    list(open_documents(request, Tokeniser(), lambda _: [b"abc ", b"d"], done.append))
    assert sorted(set(done)) == [2, 6, 7]


def test_a_corpus_is_a_text_or_the_files_of_a_zip():
    assert read_corpus("\ufeffWörter\n".encode(), "utf-8") == "Wörter\n"
    assert read_corpus("Wörter".encode("latin-1"), "latin-1") == "Wörter"
    assert read_corpus(make_zip({"b.txt": "two", "a.txt": "one"}), "utf-8") == "one\ntwo"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "The corpus has no text"),
        (b" \n", "The corpus has no text"),
        (b"\xff", "'The file' is no utf-8 at byte 0"),
        (make_zip({"a": b"\0"}), "'a' is no utf-8 text"),
    ],
    ids=["empty", "blank", "other bytes", "no text"],
)
def test_a_corpus_without_text_is_refused(content: bytes, message: str):
    with pytest.raises(InvalidInput, match=message):
        read_corpus(content, "utf-8")


@pytest.mark.parametrize(
    "content",
    [
        b"0\tbad film\r\n\n1\t good\tfilm \n",
        b'\n{"label": 0, "text": "bad film"}\n{"label": "1", "text": " good\\tfilm"}\n',
        make_zip({"en/0.txt": "bad film\n\n", "1.txt": "good\tfilm"}),
    ],
    ids=["tabs", "jsonl", "zip"],
)
def test_labelled_texts(content: bytes):
    assert sorted(read_labelled(content, "utf-8")) == [("0", "bad film"), ("1", "good\tfilm")]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no labelled text"),
        (b"\n \n", "no labelled text"),
        (b"a\tb\nno tab\n", "'line:2' has no tab"),
        (b"a\tb\n\tx", "'line:2' has an empty label"),
        (b"a\t \n", "'line:1' has an empty label or text"),
        (b"a\tb\nc\t\xff", "'The file' is no utf-8 at byte 6"),
        (b"a\0\tb", "'The file' is no utf-8 text"),
        (b"a\tb\n" * 200 + b"c\0\td", "'line:201' begins with what is no label: .* control"),
        (b"x" * 201 + b"\tb", "no label: it takes 1 to 200 characters"),
        (b'{"label": 0.5, "text": "b"}', 'no "label" that is a text'),
        (b'{"label": "a"}', 'no "text" that is a text'),
        (b'{"label": "a", "text": "b"}\n{', "'line:2' is no JSON"),
    ],
)
def test_labelled_texts_that_cannot_be_used_are_named(content: bytes, message: str):
    with pytest.raises(InvalidInput, match=message):
        read_labelled(content, "utf-8")


def test_a_training_has_a_limited_number_of_texts(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(sources, "MAX_LABELLED", 2)
    with pytest.raises(TooLarge, match="2 texts"):
        read_labelled(b"a\tb\nc\td\ne\tf", "utf-8")
