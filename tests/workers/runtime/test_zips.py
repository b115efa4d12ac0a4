"""Zips from outside give their files in order, and refuse what could harm."""

import struct
import tracemalloc
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import BytesIO

import pytest

from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.zips import open_zip

BIG = 10**6


def make_zip(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> BytesIO:
    file = BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    file.seek(0)
    return file


@contextmanager
def at_most(size: int) -> Iterator[None]:
    """No more bytes than these are in use at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < size
    finally:
        tracemalloc.stop()


def test_files_come_in_order_and_without_what_is_hidden():
    files = {"b/2.txt": b"two", "a.txt": b"one", ".git/x": b"", "__MACOSX/a.txt": b"", "b/.y": b""}
    with open_zip(make_zip(files), 10, BIG) as members:
        assert [(str(member.path), member.read()) for member in members] == [
            ("a.txt", b"one"),
            ("b/2.txt", b"two"),
        ]


def test_a_zip_of_too_much_is_refused_before_it_is_unpacked():
    bomb = make_zip({"zeros": bytes(BIG)})
    assert len(bomb.getvalue()) < BIG / 500
    with pytest.raises(TooLarge, match="at most 10 files and 1000 bytes"), open_zip(bomb, 10, 1000):
        pass
    with pytest.raises(TooLarge), open_zip(make_zip({"a": b"", "b": b""}), 1, BIG):
        pass


def test_a_file_of_more_bytes_than_may_be_read_is_refused_before_it_is_unpacked():
    files = {"a.txt": bytes(50 * BIG)}
    refusal = pytest.raises(TooLarge, match=rf"a\.txt has {50 * BIG} bytes, more than {BIG}")
    with open_zip(make_zip(files), 10, 100 * BIG) as (member,), at_most(BIG), refusal:
        member.read(BIG)
    with open_zip(make_zip({"a.txt": b"text"}), 10, BIG) as (member,):
        assert member.read(4) == b"text"


def test_a_path_that_is_too_long_to_be_shown_is_refused_and_shortened():
    long = pytest.raises(InvalidInput, match=r"The path 'a{80}'\.\.\. has more than 1000")
    with long, open_zip(make_zip({"a" * 1001: b""}), 9, 9):
        pass
    with open_zip(make_zip({"a" * 1000: b""}), 9, 9) as members:
        assert len(members) == 1


def test_a_file_that_is_larger_than_it_says_gives_no_more_than_it_says():
    honest = make_zip({"a": bytes(BIG)}, zipfile.ZIP_STORED)
    lying = honest.getvalue().replace(BIG.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with open_zip(BytesIO(lying), 10, 1000) as (member,), pytest.raises(InvalidInput):
        member.read()


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_no_more_is_unpacked_at_once_than_is_asked_for(method: int):
    size = 20 * BIG
    honest = make_zip({"a": bytes(size)}, method)
    lying = BytesIO(honest.getvalue().replace(struct.pack("<L", size), struct.pack("<L", 1000)))
    with at_most(BIG), open_zip(lying, 10, 1000) as (member,), pytest.raises(InvalidInput):
        member.read()
    refusal = pytest.raises(InvalidInput)
    with at_most(BIG), open_zip(lying, 10, 1000) as (member,), refusal, member.open() as stream:
        stream.read(2**16)
    with at_most(BIG), open_zip(honest, 10, size) as (member,), member.open() as stream:
        assert sum(map(len, iter(lambda: stream.read(2**16), b""))) == size


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_what_can_only_be_unpacked_at_once_is_refused(method: int):
    refusal = pytest.raises(
        InvalidInput, match=r"'a\.txt' is compressed in an unusual way\. Zip it"
    )
    with refusal, open_zip(make_zip({"a.txt": b"x"}, method), 10, BIG):
        pass


@pytest.mark.parametrize("comment", [b"", b"made by hand"])
@pytest.mark.parametrize("large", [False, True])
def test_too_many_entries_are_refused_before_they_are_listed(comment: bytes, large: bool):
    """Whatever number the zip declares: here, none."""
    entries = struct.pack("<4s42x", b"PK\1\2") * 100_000
    length = len(entries)
    end = struct.pack("<4s8xLLH", b"PK\5\6", length, 0, len(comment)) + comment
    if large:
        end = (
            struct.pack("<4s36xQQ", b"PK\6\6", length, 0)
            + struct.pack("<4s4xQL", b"PK\6\7", length, 1)
            + struct.pack("<4s8xLLH", b"PK\5\6", 2**32 - 1, 2**32 - 1, len(comment))
            + comment
        )
    file = BytesIO(entries + end)
    assert len(zipfile.ZipFile(file).filelist) == 100_000
    refusal = pytest.raises(
        TooLarge, match="more than 2000 entries, folders included; at most 1000"
    )
    with at_most(BIG), refusal, open_zip(file, 1000, BIG):
        pass


def test_as_many_folders_as_files_are_allowed():
    with open_zip(make_zip({"a/": b"", "a/b": b"", "c/": b"", "c/d": b""}), 2, BIG) as members:
        assert [str(member.path) for member in members] == ["a/b", "c/d"]


def test_a_file_whose_place_is_beyond_all_files_is_refused():
    file = make_zip({"a": b"x"}, zipfile.ZIP_STORED)
    content = file.getvalue()
    start = content.index(b"PK\1\2")
    entry = bytearray(content[start : start + 46])
    entry[30:32] = struct.pack("<H", 12)  # bytes of what is added
    entry[42:46] = struct.pack("<L", 2**32 - 1)
    directory = bytes(entry) + b"a" + struct.pack("<HHQ", 1, 8, 2**64 - 1)
    end = struct.pack("<4s8xLLH", b"PK\5\6", len(directory), start, 0)
    with (
        open_zip(BytesIO(content[:start] + directory + end), 9, BIG) as (member,),
        pytest.raises(InvalidInput, match="cannot be unpacked"),
    ):
        member.read()


@pytest.mark.parametrize("name", ["../out.txt", "/etc/passwd", "a/../../b", "a\\b"])
def test_a_path_that_leaves_the_zip_is_refused(name: str):
    with pytest.raises(InvalidInput, match="leaves the zip"), open_zip(make_zip({name: b""}), 9, 9):
        pass


def test_a_damaged_zip_says_so():
    with (
        pytest.raises(InvalidInput, match="cannot be read"),
        open_zip(BytesIO(b"PK\x03\x04"), 9, 9),
    ):
        pass
    content = bytearray(make_zip({"a.txt": b"hello " * 100}, zipfile.ZIP_STORED).getvalue())
    content[60] ^= 1
    unpacked = pytest.raises(InvalidInput, match="cannot be unpacked")
    with open_zip(BytesIO(content), 9, BIG) as (member,), unpacked:
        member.read()


def test_a_zip_with_any_byte_changed_opens_or_is_refused():
    """What it raises is for the client, never an error of the worker."""
    whole = make_zip({"a.txt": b"hello " * 20, "\u00e9/b.txt": b"x"}).getvalue()
    for place in range(len(whole)):
        for value in (0, 1, 255):
            content = bytearray(whole)
            content[place] = value
            with suppress(InvalidInput, TooLarge), open_zip(BytesIO(content), 9, BIG) as members:
                for member in members:
                    with suppress(InvalidInput):
                        member.read()
