"""How files and streams are cut into pieces, and pieces put together into jobs."""

import io
from pathlib import Path
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.client.text_lines import group_items
from services.client.text_pieces import (
    FILES,
    LOAD,
    STANDARD_INPUT,
    Piece,
    find_files,
    group,
    measure,
    read_pieces,
)

SMALL = 10  # bytes of a load in these tests


def read(path: Path, chosen: str | None = None) -> list[Piece]:
    return list(read_pieces([path], chosen))


@given(st.lists(st.integers(0, 2 * LOAD), max_size=200))
def test_jobs_have_all_pieces_in_order_and_are_no_larger_than_they_may(sizes: list[int]) -> None:
    pieces = [Piece(str(number), "text", size, b"") for number, size in enumerate(sizes)]
    loads = list(group(pieces))
    assert [piece for load in loads for piece in load] == pieces
    for load in loads:
        assert 0 < len(load) <= FILES
        assert len(load) == 1 or sum(piece.size for piece in load) <= LOAD


def test_a_job_has_one_format() -> None:
    pieces = [Piece("a", "text", 1, b""), Piece("b", "jsonl", 1, b""), Piece("c", "text", 1, b"")]
    assert [[piece.name for piece in load] for load in group(pieces)] == [["a"], ["b"], ["c"]]


@given(st.lists(st.text("ab", max_size=15), min_size=1), st.text("ab", max_size=5))
def test_a_large_file_of_lines_is_cut_at_lines_and_nothing_is_lost(
    tmp_path_factory: pytest.TempPathFactory, lines: list[str], rest: str
) -> None:
    path = tmp_path_factory.mktemp("lines") / "x"
    content = "".join(f"{line}\n" for line in lines) + rest
    path.write_text(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.client.text_pieces.LOAD", SMALL)
        pieces = read(path, "lines")
        path.write_text(content + "\nmore")
        longer = read(path, "lines")
    if len(content) <= SMALL:
        assert [piece.content for piece in pieces] == [path]
        return
    contents = [bytes(piece.content) for piece in pieces if isinstance(piece.content, bytes)]
    assert b"".join(contents).decode() == content
    assert all(part.endswith(b"\n") for part in contents[:-1])
    assert len({piece.name for piece in pieces}) == len(pieces)
    # What is appended later changes no piece but the last.
    assert longer[: len(pieces) - 1] == pieces[:-1]


def test_a_name_shows_the_format_unless_one_is_chosen(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text("{}")
    assert read(path)[0].format == "jsonl"
    assert read(path, "text")[0].format == "text"


def test_standard_input_is_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("services.client.text_pieces.LOAD", SMALL)
    monkeypatch.setattr("sys.stdin", SimpleNamespace(buffer=io.BytesIO(b"0123456789\nab\n")))
    pieces = read(Path(STANDARD_INPUT), "lines")
    assert [(piece.name, piece.content) for piece in pieces] == [
        ("stdin", b"0123456789\n"),
        ("stdin@11", b"ab\n"),
    ]


def test_bytes_are_added_up_unless_the_end_is_not_known(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("1234")
    (tmp_path / "b").write_text("12")
    files = find_files([str(tmp_path)])
    assert measure(files) == 6
    assert measure([*files, Path(STANDARD_INPUT)]) is None


def test_a_file_that_is_named_twice_is_read_once(tmp_path: Path) -> None:
    (tmp_path / "a[1].txt").touch()
    arguments = [str(tmp_path / "a[1].txt"), str(tmp_path), str(tmp_path / "*.txt")]
    assert find_files(arguments) == [tmp_path / "a[1].txt"]


@given(st.lists(st.text(max_size=30)))
def test_requests_hold_as_many_texts_as_they_may(texts: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("services.client.text_lines.CHARACTERS", 40)
        groups = list(group_items(texts, 5))
    assert [text for group in groups for text in group] == texts
    assert all(len(group) <= 5 and sum(map(len, group)) <= 40 for group in groups)
