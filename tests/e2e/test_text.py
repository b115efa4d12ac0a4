"""The text worker as its users have it: every program a real process, every request over HTTP."""

import zipfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest

from services.client.client import Client
from services.client.problems import Problem
from tests.e2e.clients import open_clients, run_worker
from workers.runtime.run import TooLarge

PASSAGE = (  # Charles Dickens, A Tale of Two Cities, 1859
    "It was the best of times, it was the worst of times, it was the age of wisdom, it was the "
    "age of foolishness, it was the epoch of belief, it was the epoch of incredulity, it was the "
    "season of Light, it was the season of Darkness, it was the spring of hope, it was the winter "
    "of despair."
)
STORIES = "stories"
BOMB = 300_000_000  # bytes of text that a zip of a third of a megabyte unpacks to


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Client, Client]]:
    """Of a tenant who has a frozen vocabulary, and of another one."""
    home = tmp_path_factory.mktemp("text") / "home"
    with run_worker(home, "text") as stack, open_clients(stack) as opened:
        do(opened[0], "text.ingest", vocabulary=STORIES, texts=[PASSAGE], ids=["tale"])
        do(opened[0], "text.vocab.freeze", vocabulary=STORIES, size=5)
        yield opened


def do(client: Client, task: str, **request: Any) -> dict[str, Any]:
    """The result of a job that has to succeed."""
    job = client.wait(client.submit(task, request).id, timeout=120)
    assert job.succeeded, job.reason
    return job.result or {}


def fail(client: Client, task: str, **request: Any) -> tuple[str, str]:
    """(type or code, detail) of why a request is refused or its job fails."""
    try:
        submitted = client.submit(task, request)
    except Problem as problem:
        return problem.type.split(":")[-1], f"{problem.detail} {problem.extra}"
    job = client.wait(submitted.id, timeout=120)
    assert job.state == "failed", job.result
    assert job.error
    return job.error["code"], job.error["detail"]


def make_bomb() -> bytes:
    packed = BytesIO()
    with (
        zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("a.txt", "w") as file,
    ):
        for _ in range(BOMB // 1_000_000):
            file.write(b"word " * 200_000)
    return packed.getvalue()


def test_words_become_indices_and_come_back(client: Client) -> None:
    ranked = do(client, "text.vocab.rank", vocabulary=STORIES, limit=5)["words"]
    assert [(row["word"], row["count"]) for row in ranked] == [
        ("it", 10),
        ("was", 10),
        ("the", 10),
        ("of", 10),
        ("times", 2),
    ]
    encoded = do(client, "text.encode", vocabulary=STORIES, texts=["It was the end of times"])
    assert encoded["indices"] == [[1, 2, 3, 0, 4, 5]]
    decoded = do(client, "text.decode", vocabulary=STORIES, sequences=encoded["indices"])
    assert decoded["texts"] == ["it was the <unk> of times"]


def test_a_document_counts_once_however_often_it_is_sent(client: Client) -> None:
    request = {"vocabulary": "once", "texts": [PASSAGE], "ids": ["tale"]}
    jobs = [client.submit("text.ingest", request) for _ in range(8)]
    results = [client.wait(job.id, timeout=120).result or {} for job in jobs]
    assert sorted(result["documents"] for result in results) == [0] * 7 + [1]
    assert {result["total_tokens"] for result in results} == {len(PASSAGE.split())}
    removed = do(client, "text.remove", vocabulary="once", documents=["tale"])
    assert (removed["total_tokens"], removed["words"]) == (0, 0)


def test_a_file_in_another_encoding_is_counted_when_it_is_named(client: Client) -> None:
    file = client.upload("“Café”".encode("cp1252"))["id"]
    request = {"vocabulary": "cafe", "files": [file], "encoding": "cp1252"}
    assert do(client, "text.ingest", **request)["tokens"] == 1
    (row,) = do(client, "text.vocab.rank", vocabulary="cafe")["words"]
    assert row["word"] == "café"


def test_a_person_becomes_199_numbers(client: Client) -> None:
    people = [{"age": 36, "sex": 1, "country": "GB"}, {"age": 7.5, "sex": 0}]
    result = do(client, "text.features", people=people)
    first, second = result["vectors"]
    assert (first[:2], sum(first[2:]), len(first)) == ([36.0, 1.0], 1.0, 199)
    assert second == [7.5, 0.0, *[0.0] * 197]


def test_a_language_model_is_trained_writes_and_is_its_tenants_alone(
    client: Client, foreign: Client, tmp_path: Path
) -> None:
    corpus = client.upload((PASSAGE * 20).encode())["id"]
    options = {"tokeniser": {"unit": "characters"}, "hidden": 32, "steps": 32, "batch_size": 8}
    trained = do(client, "text.train", corpus=corpus, epochs=8, learning_rate=0.01, **options)
    assert trained["model"] == "model@1"
    curve = client.download(trained["curve"], tmp_path / "curve.png")
    assert curve.read_bytes().startswith(b"\x89PNG")
    request = {"model": "model", "prefix": "it was ", "length": 20}
    written = do(client, "text.generate", **request)
    assert written["text"] == "it was " + written["continuation"]
    assert len(written["continuation"]) == 20
    assert do(client, "text.generate", **request)["text"] == written["text"]
    assert fail(foreign, "text.generate", **request)[0] == "unknown_model"
    assert [model["model"] for model in do(client, "text.models")["models"]] == ["model@1"]
    assert do(foreign, "text.models")["models"] == []


def test_another_tenants_vocabulary_is_not_there(foreign: Client) -> None:
    code, detail = fail(foreign, "text.encode", vocabulary=STORIES, texts=["it"])
    assert code == "unknown_vocabulary"
    assert "text.vocab.list" in detail
    assert do(foreign, "text.vocab.list")["vocabularies"] == []


@pytest.mark.parametrize(
    ("task", "request_", "code", "says"),
    [
        ("text.ingest", {"vocabulary": "bad"}, "invalid-request", "texts"),
        ("text.ingest", {"vocabulary": "bad", "texts": [""]}, "invalid_input", "token"),
        ("text.ingest", {"vocabulary": "x" * 10_000, "texts": ["a"]}, "invalid-request", "60"),
        (
            "text.ingest",
            {"vocabulary": "bad", "texts": ["a"], "ids": ["x" * 10_000]},
            "invalid-request",
            "200",
        ),
        (
            "text.ingest",
            {"vocabulary": "bad", "texts": ["a"], "ids": ["a\0b"]},
            "invalid-request",
            "ids",
        ),
        (
            "text.ingest",
            {"vocabulary": "bad", "texts": ["a"], "encoding": "rot13"},
            "invalid-request",
            "utf-8",
        ),
        (
            "text.ingest",
            {"vocabulary": STORIES, "texts": ["a"], "tokeniser": {"unit": "characters"}},
            "other_tokeniser",
            "words",
        ),
        (
            "text.ingest",
            {"vocabulary": STORIES, "texts": ["other words"], "ids": ["tale"]},
            "changed_document",
            "replace",
        ),
        ("text.vocab.freeze", {"vocabulary": STORIES, "size": 0}, "invalid-request", "size"),
        (
            "text.encode",
            {"vocabulary": STORIES, "version": 99, "texts": ["a"]},
            "unknown_version",
            "99",
        ),
        (
            "text.encode",
            {"vocabulary": STORIES, "version": 10**30, "texts": ["a"]},
            "invalid-request",
            "version",
        ),
        ("text.decode", {"vocabulary": STORIES, "sequences": [[6]]}, "invalid_input", "6"),
        (
            "text.decode",
            {"vocabulary": STORIES, "sequences": [[10**30]]},
            "invalid_input",
            "1 to 5",
        ),
        (
            "text.features",
            {"people": [{"age": 3, "sex": 1, "country": 198}]},
            "invalid_input",
            "197",
        ),
        (
            "text.features",
            {"people": [{"age": "3", "sex": 1}]},
            "invalid-request",
            "age",
        ),
        ("text.generate", {"model": "nobody"}, "unknown_model", "nobody"),
        ("text.generate", {"model": "nobody", "top_k": 0}, "invalid-request", "top_k"),
        ("text.vocab.rank", {"vocabulary": STORIES, "after": "\0"}, "invalid_input", "after"),
        (
            "text.train",
            {"corpus": "data:text/plain,a"},
            "invalid_input",
            "too few",
        ),
    ],
)
def test_what_cannot_be_done_is_refused_and_says_why(
    client: Client, task: str, request_: dict[str, Any], code: str, says: str
) -> None:
    found, detail = fail(client, task, **request_)
    assert found == code, detail
    assert says in detail


def test_bytes_in_another_encoding_are_refused_with_the_way_out(client: Client) -> None:
    file = client.upload("“Café”".encode("cp1252"))["id"]
    code, detail = fail(client, "text.ingest", vocabulary="bad", files=[file], file_ids=["menu"])
    assert code == "invalid_input"
    assert "menu" in detail
    assert "encoding" in detail


def test_a_zip_that_unpacks_to_too_much_is_refused(client: Client) -> None:
    file = client.upload(make_bomb())["id"]
    for task, request in (
        ("text.ingest", {"vocabulary": "bad", "files": [file]}),
        ("text.train", {"corpus": file}),
    ):
        code, detail = fail(client, task, **request)
        assert code == TooLarge.code
        assert "bytes" in detail or "MB" in detail or "MiB" in detail


def test_a_zip_whose_text_is_damaged_in_the_end_counts_nothing_of_it(client: Client) -> None:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        archive.writestr("a.txt", "good words")
        archive.writestr("b.txt", b"bad \xff")
    file = client.upload(packed.getvalue())["id"]
    code, detail = fail(client, "text.ingest", vocabulary="bad", files=[file])
    assert code == "invalid_input"
    assert "b.txt" in detail


def test_what_was_refused_is_not_counted_in_part(client: Client) -> None:
    """After all refusals above: neither a vocabulary of one, nor a change to another."""
    names = {row["vocabulary"]: row for row in do(client, "text.vocab.list")["vocabularies"]}
    assert "bad" not in names
    assert (names[STORIES]["documents"], names[STORIES]["tokens"]) == (1, len(PASSAGE.split()))


def test_a_nul_in_a_text_is_no_trouble(client: Client) -> None:
    result = do(client, "text.ingest", vocabulary="nul", texts=["one\0two"], ids=["nul"])
    assert result["total_documents"] == 1
    words = [row["word"] for row in do(client, "text.vocab.rank", vocabulary="nul")["words"]]
    assert all("\0" not in word for word in words)


def test_the_worker_is_alive_after_all_that(client: Client) -> None:
    assert do(client, "text.encode", vocabulary=STORIES, texts=["it"])["indices"] == [[1]]
    for job in client.jobs(state="failed"):
        assert (job.error or {})["code"] not in ("worker_error", "worker_lost")
