"""Files are read in pieces that give the same as the whole, and refused where they are no text."""

import zipfile
from collections.abc import Iterable
from io import BytesIO

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workers.runtime.run import InvalidInput, TooLarge
from workers.text import decoding
from workers.text.decoding import Allowance, cut_pieces, open_parts, split_lines
from workers.text.fields import ENCODINGS, Tokeniser
from workers.text.tokenise import cut


def decode(chunks: Iterable[bytes], encoding: str = "utf-8", limit: int = 1000) -> str:
    with open_parts(chunks, encoding, Allowance(limit)) as parts:
        return "|".join("".join(part.decode(part.path or "it")) for part in parts)


def make_zip(**files: bytes) -> bytes:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return file.getvalue()


@given(st.text(min_size=1), st.integers(1, 5))
def test_text_in_chunks_of_any_size_is_the_same(text: str, size: int):
    content = text.replace("\0", "").encode() or b"x"
    chunks = [content[start : start + size] for start in range(0, len(content), size)]
    assert decode([b"\xef", b"\xbb\xbf", b"", *chunks]) == content.decode()


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_every_encoding_is_read_in_pieces(encoding: str):
    samples = {"cp1251": "стол", "koi8-r": "стол", "ascii": "mesa", "euc-kr": "책상"}
    asian = encoding in ("big5", "gb18030", "shift_jis", "euc-jp")
    text = samples.get(encoding, "木机" if asian else "ß")
    if encoding in ("shift_jis", "euc-jp"):
        text = "日本"
    content = text.encode(encoding)
    assert decode([content[n : n + 1] for n in range(len(content))], encoding) == text


@pytest.mark.parametrize(
    ("encoding", "chunks", "offset"),
    [
        ("utf-8", [b"ab", b"c\xff"], 3),
        ("utf-8", [b"ab\xc3"], 2),
        ("utf-8", [b"\xef\xbb\xbfab", b"\xc3", b"\x28"], 5),
        ("ascii", [b"abcd", b"\xe9"], 4),
        ("shift_jis", [b"abc\x81", b"\xff"], 3),
    ],
)
def test_what_is_no_text_in_the_encoding_is_named_by_its_byte(encoding, chunks, offset):
    with pytest.raises(InvalidInput, match=f"'it' is no {encoding} at byte {offset}:.*`encoding`"):
        decode(chunks, encoding)


@pytest.mark.parametrize("content", [b"\x89PNG\r\n\x1a\n...", b"a\0b", "text".encode("utf-16")])
def test_files_that_are_no_text_are_refused(content: bytes):
    with pytest.raises(InvalidInput, match=r"'a.txt' is no utf-8 text"):
        decode([make_zip(**{"a.txt": content})])


def test_files_of_a_zip_come_in_the_order_of_their_paths():
    content = make_zip(**{"b.txt": b"2", "a/z.txt": b"1", ".hidden": b"no", "__MACOSX/a": b"no"})
    assert decode([content[:10], content[10:]]) == "1|2"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (make_zip(), "'it' is no utf-8 text"),
        (make_zip(**{".hidden": b"x"}), "The zip has no files"),
        (make_zip(**{"../up.txt": b"x"}), "leaves the zip"),
        (make_zip(a=b"x" * 50)[:60], "The zip cannot be read"),
        (make_zip(a=make_zip(b=b"x")), r"'a' is no utf-8 text \(application/zip\)"),
    ],
    ids=["empty", "hidden", "outside", "damaged", "nested"],
)
def test_zips_that_cannot_be_used_are_refused(content: bytes, message: str):
    with pytest.raises(InvalidInput, match=message):
        decode([content])


def test_an_encrypted_file_is_refused():
    content = bytearray(make_zip(**{"secret.txt": b"x"}))
    content[6] |= 1  # of the local header
    content[content.index(b"PK\x01\x02") + 8] |= 1  # of the directory
    with pytest.raises(InvalidInput, match=r"secret\.txt.* is encrypted"):
        decode([bytes(content)])


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_a_damaged_file_is_refused_while_it_is_read(method: int):
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        archive.writestr("a.txt", "some text " * 99)
    content = bytearray(file.getvalue())
    content[50] ^= 1
    with pytest.raises(InvalidInput, match="cannot be unpacked"):
        decode([bytes(content)], limit=10_000)


def test_no_more_than_the_limit_is_read():
    assert decode([b"x" * 6, b"y" * 4], limit=10)
    with pytest.raises(TooLarge, match="more than the 10 bytes of a job"):
        decode([b"x" * 6, b"y" * 5], limit=10)
    with pytest.raises(TooLarge, match="at most 100000 files and 10 bytes"):
        decode([make_zip(bomb=b"0" * 100_000)], limit=10)


def test_the_bytes_read_are_reported():
    done: list[int] = []
    with open_parts([b"ab", b"c"], "utf-8", Allowance(1000, done.append)) as parts:
        assert ["".join(part.decode("it")) for part in parts] == ["abc"]
    assert done == [2, 3, 3]


@given(
    st.lists(st.text(st.sampled_from("aΣ\u0301ﬁ e\n\r我们")), max_size=8),
    st.sampled_from(["words", "characters", "whitespace", "chinese"]),
    st.booleans(),
)
def test_pieces_give_the_tokens_of_the_whole(texts: list[str], unit: str, letters_only: bool):
    tokeniser = Tokeniser(unit=unit, letters_only=letters_only)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(decoding, "PIECE", 3)
        pieces = list(cut_pieces("it", texts, "\n" if letters_only else "\n "))
    whole = "".join(texts)
    assert "".join(pieces) == whole
    assert [token for piece in pieces for token in cut(tokeniser, piece)] == cut(tokeniser, whole)


def test_pieces_are_cut_at_blanks_as_soon_as_they_are_long_enough(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "PIECE", 5)
    assert list(cut_pieces("it", ["ab ", "cd e", "f\ngh", "i"])) == ["ab cd ", "ef\n", "ghi"]
    assert list(cut_pieces("it", ["ab cd ef\ngh i"])) == ["ab ", "cd ef\n", "gh i"]


def test_lines_are_numbered_from_1_and_have_no_end():
    assert list(split_lines("it", ["a\r", "\n\nb", "c"])) == [
        ("it:1", "a"),
        ("it:2", ""),
        ("it:3", "bc"),
    ]


@pytest.mark.parametrize("read", [cut_pieces, split_lines])
def test_a_line_without_an_end_is_refused(read, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(decoding, "PIECE", 5)
    monkeypatch.setattr(decoding, "MAX_STRETCH", 10)
    with pytest.raises(InvalidInput, match=r"has 1[12] characters without the end of a line"):
        list(read("it", ["x" * 6] * 3))
