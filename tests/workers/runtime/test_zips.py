"""Zips from outside give their files in order, and refuse what could harm."""

import zipfile
from contextlib import suppress
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


def test_a_file_that_is_larger_than_it_says_gives_no_more_than_it_says():
    honest = make_zip({"a": bytes(BIG)}, zipfile.ZIP_STORED)
    lying = honest.getvalue().replace(BIG.to_bytes(4, "little"), (10).to_bytes(4, "little"))
    with open_zip(BytesIO(lying), 10, 1000) as (member,), pytest.raises(InvalidInput):
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
