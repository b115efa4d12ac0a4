"""A file that was touched, or never was a collection, is refused with a reason."""

import struct
import zipfile
from collections.abc import Callable, Iterator
from contextlib import suppress

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.db import Sessions, open_db
from shared.sealing import TenantKey
from tests.workers.faces.exported import change_about, change_array, export, fill, repack, to_npy
from tests.workers.faces.site import (
    KEY,
    D,
    make_vectors,
)
from workers.faces import archive as files
from workers.faces.archive import read_archive
from workers.runtime.run import InvalidInput

OTHER = TenantKey(bytes([9]) * 32)


@pytest.fixture
def sqlite(sqlite_database_url: str) -> Iterator[Sessions]:
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture(scope="module")
def plain(migrated_sqlite, tmp_path_factory) -> bytes:
    """An export in clear."""
    path = tmp_path_factory.mktemp("plain") / "atelier.db"
    path.write_bytes(migrated_sqlite.read_bytes())
    sessions = open_db(f"sqlite:///{path}")
    content = export(sessions, fill(sessions))
    sessions.engine.dispose()
    return content


@pytest.mark.parametrize("chunk", [64, 1000, 2**20])
def test_an_encrypted_file_opens_for_its_tenant_alone(sqlite, monkeypatch, chunk: int):
    monkeypatch.setattr(files, "CHUNK", chunk)
    collection = fill(sqlite)
    content = export(sqlite, collection, encrypted=True)
    assert b"ann" not in content
    assert make_vectors(5)[0].tobytes()[:8] not in content
    assert read_archive(content, KEY).about.subjects == ["ann", "bob", "Zoë 🙂"]
    with pytest.raises(InvalidInput, match=r"another tenant.*encrypted=false"):
        read_archive(content, OTHER)


def test_an_encrypted_file_that_was_touched_is_refused(sqlite, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 500)
    content, start = export(sqlite, fill(sqlite), encrypted=True), len(files.MAGIC)
    for touched in (
        content[:-1],
        content[: len(content) // 2],
        content[: start + 10],
        content + b"\0",
        content + content[start:],
        content[:40] + bytes([content[40] ^ 1]) + content[41:],
        files.MAGIC,
        files.MAGIC + b"\xff" * 100,
        files.MAGIC + bytes(100),
    ):
        with pytest.raises(InvalidInput):
            read_archive(touched, KEY)


def test_chunks_of_an_encrypted_file_cannot_be_dropped_swapped_or_doubled(sqlite, monkeypatch):
    monkeypatch.setattr(files, "CHUNK", 500)
    content = export(sqlite, fill(sqlite), encrypted=True)
    parts, place = [], len(files.MAGIC)
    while place < len(content):
        size = 4 + int.from_bytes(content[place : place + 4], "big")
        parts.append(content[place : place + size])
        place += size
    assert len(parts) > 3
    for order in (parts[1:], parts[:-1], [parts[1], parts[0], *parts[2:]], [parts[0], *parts]):
        with pytest.raises(InvalidInput):
            read_archive(files.MAGIC + b"".join(order), KEY)


@given(st.data())
@settings(max_examples=300)
def test_a_clear_file_of_any_damage_is_refused_or_the_same(plain: bytes, data: st.DataObject):
    """Never an error that is not meant for the client."""
    content = bytearray(plain)
    directory = plain.index(b"PK\x01\x02")  # of the zip: where damage does most
    places = st.integers(0, len(plain) - 1) | st.integers(directory, len(plain) - 1)
    for _ in range(data.draw(st.integers(0, 4))):
        content[data.draw(places)] = data.draw(st.integers(0, 255))
    end = data.draw(st.just(len(plain)) | places)
    with suppress(InvalidInput):
        archive, original = read_archive(bytes(content[:end]), KEY), read_archive(plain, KEY)
        assert archive.about == original.about
        assert all((archive.arrays[n].tobytes() == a.tobytes()) for n, a in original.arrays.items())


@given(st.binary(max_size=300))
def test_any_other_bytes_are_refused(content: bytes):
    with pytest.raises(InvalidInput):
        read_archive(content, KEY)


def put(place: int, value: object) -> Callable[[np.ndarray], np.ndarray]:
    def change(array: np.ndarray) -> np.ndarray:
        array[place] = value
        return array

    return change


BROKEN_ARRAYS: dict[str, tuple[str, Callable[[np.ndarray], np.ndarray]]] = {
    "a vector of zeros": ("vectors", put(0, 0)),
    "a vector of NaN": ("vectors", put(1, np.nan)),
    "an infinite vector": ("vectors", put(1, np.inf)),
    "a long vector": ("vectors", lambda a: a * 2),
    "vectors of another type": ("vectors", lambda a: a.astype("<f4")),
    "vectors of another size": ("vectors", lambda a: a[:, :-1]),
    "flat vectors": ("vectors", lambda a: a.ravel()),
    "a number instead of vectors": ("vectors", lambda a: a[0, 0]),
    "no vectors": ("vectors", lambda a: a[:0]),
    "too few subjects": ("subjects", lambda a: a[:-1]),
    "subjects in two dimensions": ("subjects", lambda a: a[:, None]),
    "a subject before the first": ("subjects", put(0, -1)),
    "a subject beyond the last": ("subjects", put(0, 99)),
    "a consent beyond the last": ("consents", put(0, 2**62)),
    "a consent of two subjects": ("consents", lambda a: a * 0),
    "objects": ("subjects", lambda a: a.astype(object)),
    "text": ("subjects", lambda a: a.astype("<U8")),
    "a quality of infinity": ("quality", put(0, np.inf)),
    "a quality over one": ("quality", put(0, 1.5)),
    "a quality below zero": ("quality", put(0, -0.1)),
    "no time of enrolment": ("created_at", put(0, np.nan)),
    "an endless time of enrolment": ("created_at", put(0, np.inf)),
    "a negative time of enrolment": ("created_at", put(0, -1.0)),
    "an endless end": ("expires_at", put(0, np.inf)),
    "a negative end": ("expires_at", put(0, -1e300)),
}


@pytest.mark.parametrize("what", BROKEN_ARRAYS)
def test_an_array_that_makes_no_sense_is_refused(plain: bytes, what: str):
    with pytest.raises(InvalidInput, match=r"not a collection exported by faces.export: .+\."):
        read_archive(change_array(plain, *BROKEN_ARRAYS[what]), KEY)


BROKEN_ABOUTS: dict[str, dict[str, object]] = {
    "another format": {"format": 2},
    "a field too many": {"extra": 1},
    "a subject named twice": {"subjects": ["ann", "ann", "bob"]},
    "a name of 10,000 characters": {"subjects": ["x" * 10_000, "b", "c"]},
    "a name with a NUL": {"subjects": ["a\0", "b", "c"]},
    "an empty name": {"subjects": ["", "b", "c"]},
    "too few subjects": {"subjects": ["a"]},
    "no consents": {"consents": []},
    "a consent without a text": {"consents": [{"purpose": "x"}] * 4},
    "no dimensions": {"dimensions": 0},
    "other dimensions": {"dimensions": D + 1},
    "a rate of one": {"target_fpir": 1.0},
    "a negative retention": {"retention": -1.0},
    "a model of no name": {"model": "../x"},
    "a version beyond all": {"model": "net@99999999999"},
    "a description with a NUL": {"description": "a\0b"},
}


@pytest.mark.parametrize("what", BROKEN_ABOUTS)
def test_a_description_that_does_not_fit_is_refused(plain: bytes, what: str):
    with pytest.raises(InvalidInput, match="not a collection exported by"):
        read_archive(change_about(plain, **BROKEN_ABOUTS[what]), KEY)


@pytest.mark.parametrize("name", ["collection", "vectors", "expires_at"])
def test_a_missing_part_is_refused(plain: bytes, name: str):
    with pytest.raises(InvalidInput, match="not a collection exported by"):
        read_archive(repack(plain, **{name: None}), KEY)


def test_a_compressed_file_is_refused_before_it_is_unpacked(plain: bytes):
    bomb = repack(plain, zipfile.ZIP_DEFLATED, vectors=bytes(50 * 2**20))
    assert len(bomb) < 2**20
    with pytest.raises(InvalidInput, match="it is compressed"):
        read_archive(bomb, KEY)


@pytest.mark.parametrize("rows", [10**9, 10**15, 2**62])
def test_an_array_that_claims_to_be_huge_is_refused(plain: bytes, rows: int):
    header = f"{{'descr': '<f8', 'fortran_order': False, 'shape': ({rows},)}}".ljust(117) + "\n"
    claim = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode()
    with pytest.raises(InvalidInput, match="not a collection exported by"):
        read_archive(repack(plain, created_at=claim), KEY)


def test_a_file_larger_than_the_limit_is_refused(plain: bytes, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(files, "LARGEST", 1000)
    with pytest.raises(InvalidInput, match="larger than 1000 bytes"):
        read_archive(plain, KEY)


def test_a_pickle_in_a_file_is_never_run(plain: bytes):
    class Trap:
        def __reduce__(self) -> tuple:
            return pytest.fail, ("it was run",)

    array = np.array([Trap()] * 5, object)
    with pytest.raises(InvalidInput):
        read_archive(repack(plain, quality=to_npy(array)), KEY)
