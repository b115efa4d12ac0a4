"""Files come back byte for byte, to their tenant only, for as long as somebody needs them."""

import hashlib
import os
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import obstore
import pytest
from hypothesis import given
from hypothesis import strategies as st
from obstore.exceptions import BaseError
from sqlalchemy import select, update

from shared.blobs import IN_MEMORY, Blobs, TooBig, prolong, sniff
from shared.db import db_now
from shared.tables import StoredBlob
from tests.servers import find_free_port

LIMIT = 64 * 2**20
PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 100


@pytest.fixture(params=["local", "s3"])
def blobs(request, sessions, tmp_path):
    """An empty blob store on a disk and on S3, its rows on either database."""
    local = f"file://{tmp_path}/blobs"
    return Blobs(local if request.param == "local" else request.getfixturevalue("s3_url"), sessions)


@pytest.fixture
def local_blobs(sessions, tmp_path):
    return Blobs(f"file://{tmp_path}/blobs", sessions)


def add(blobs, content, tenant="ann", keep=600.0):
    return blobs.add(tenant, [content], keep, LIMIT)


def list_objects(blobs):
    return sorted(entry["path"] for page in obstore.list(blobs.store) for entry in page)


def read_seconds_left(blobs):
    with blobs.sessions.read() as session:
        return session.scalar(select(StoredBlob.expires_at - db_now()))


def expire_all(blobs):
    with blobs.sessions.begin() as session:
        session.execute(update(StoredBlob).values(expires_at=0.0))


@pytest.mark.parametrize("size", [0, 1, IN_MEMORY, 12 * 2**20 + 1])
def test_a_file_comes_back_as_it_was_sent(blobs, size):
    content = os.urandom(size)
    chunks = [content[at : at + 300_000] for at in range(0, size, 300_000)]
    info = blobs.add("ann", chunks, 600, LIMIT)
    assert (info.id, info.size) == (hashlib.sha256(content).hexdigest(), size)
    assert blobs.read("ann", info.id) == content
    assert b"".join(blobs.stream("ann", info.id)) == content
    assert blobs.find("ann", [info.id]) == {info.id: info}


def test_the_same_content_is_stored_once_per_tenant(blobs):
    first, again, foreign = add(blobs, PNG), add(blobs, PNG), add(blobs, PNG, tenant="bob")
    assert first == again == foreign
    assert [name.split("/")[0] for name in list_objects(blobs)] == ["ann", "bob"]


def test_another_tenants_file_is_as_unknown_as_no_file(blobs):
    info = add(blobs, PNG)
    for tenant, blob_id in (("bob", info.id), ("ann", "0" * 64)):
        assert blobs.find(tenant, [blob_id]) == {}
        with pytest.raises(KeyError):
            blobs.read(tenant, blob_id)
        with pytest.raises(KeyError):
            blobs.stream(tenant, blob_id)


def test_what_one_tenant_deletes_the_other_keeps(blobs):
    info = add(blobs, PNG, tenant="ann", keep=-1)
    add(blobs, PNG, tenant="bob")
    assert blobs.remove_expired() == 1
    assert blobs.find("ann", [info.id]) == {}
    assert blobs.read("bob", info.id) == PNG


def test_content_over_the_limit_leaves_nothing(blobs):
    assert blobs.add("ann", [b"x" * 5, b"y" * 5], 600, limit=10).size == 10
    with pytest.raises(TooBig, match="10 bytes"):
        blobs.add("ann", iter([b"x" * 5, b"y" * 5, b"z"]), 600, limit=10)
    assert len(list_objects(blobs)) == 1


def test_an_upload_that_breaks_off_leaves_nothing(blobs):
    def break_off():
        yield b"half"
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        blobs.add("ann", break_off(), 600, LIMIT)
    assert list_objects(blobs) == []


def test_an_upload_again_keeps_a_file_longer_but_never_shorter(blobs):
    for keep, left in ((100, 100), (500, 500), (10, 500)):
        add(blobs, PNG, keep=keep)
        assert read_seconds_left(blobs) == pytest.approx(left, abs=5)


def test_prolonging_counts_the_files_there_are(blobs):
    mine, foreign = add(blobs, b"mine", keep=10), add(blobs, b"foreign", tenant="bob", keep=10)
    with blobs.sessions.begin() as session:
        assert prolong(session, "ann", [mine.id, foreign.id, "0" * 64], 500) == 1
        assert prolong(session, "ann", [], 500) == 0
    with blobs.sessions.read() as session:
        left = dict(
            session.execute(select(StoredBlob.tenant, StoredBlob.expires_at - db_now())).all()
        )
    assert left == {"ann": pytest.approx(500, abs=5), "bob": pytest.approx(10, abs=5)}


def test_expired_files_are_removed_with_their_content(blobs):
    for number in range(5):
        add(blobs, b"old %d" % number, keep=-1)
    kept = add(blobs, b"new")
    assert [blobs.remove_expired(limit=3) for _ in range(3)] == [3, 2, 0]
    assert len(list_objects(blobs)) == 1
    assert blobs.read("ann", kept.id) == b"new"


def test_an_object_that_is_gone_does_not_stop_the_removal(blobs):
    for number in range(3):
        add(blobs, b"old %d" % number, keep=-1)
    obstore.delete(blobs.store, list_objects(blobs)[:2])
    assert blobs.remove_expired() == 3
    assert list_objects(blobs) == []


def test_an_expired_file_that_is_uploaded_again_lives(blobs):
    add(blobs, PNG, keep=-1)
    info = add(blobs, PNG, keep=600)
    assert blobs.remove_expired() == 0
    assert blobs.read("ann", info.id) == PNG


def test_removal_never_takes_a_file_that_was_just_promised(local_blobs):
    """Uploads and removals race: whoever was told an id for 600 seconds can read it."""
    stop = threading.Event()

    def remove():
        while not stop.is_set():
            local_blobs.remove_expired()

    remover = threading.Thread(target=remove)
    remover.start()
    try:
        for _ in range(60):
            info = add(local_blobs, PNG)
            assert local_blobs.read("ann", info.id) == PNG
            expire_all(local_blobs)
    finally:
        stop.set()
        remover.join()


def test_racing_uploads_of_one_file_leave_one_object(local_blobs, monkeypatch):
    put, arrived = obstore.put, threading.Barrier(4)

    def put_together(*arguments, **options):
        arrived.wait(timeout=30)  # nobody has found a row of the others
        return put(*arguments, **options)

    monkeypatch.setattr(obstore, "put", put_together)
    with ThreadPoolExecutor(4) as pool:
        infos = pool.map(lambda keep: add(local_blobs, PNG, keep=keep), (900, 100, 300, 200))
        assert len(set(infos)) == 1
    (name,) = list_objects(local_blobs)
    with local_blobs.sessions.read() as session:
        assert session.scalars(select(StoredBlob.object_name)).all() == [name]
    assert read_seconds_left(local_blobs) == pytest.approx(900, abs=10)


def test_a_big_file_takes_little_memory(sqlite_database_url, tmp_path):
    """100 MB in and out of a process that grows by less than a third of that."""
    arguments = [sqlite_database_url, f"file://{tmp_path}/blobs", "100"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.shared.stream_big_file", *arguments],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=True,
        timeout=120,
    )
    assert float(done.stdout) < 33


def test_a_store_that_answers_passes_the_check(blobs):
    blobs.check()


@pytest.mark.parametrize("missing", ["bucket", "server"])
def test_a_store_that_does_not_answer_is_noticed_soon(sessions, s3_url, monkeypatch, missing):
    if missing == "server":
        monkeypatch.setenv("AWS_ENDPOINT", f"http://127.0.0.1:{find_free_port()}")
    blobs = Blobs("s3://no-such-bucket" if missing == "bucket" else s3_url, sessions)
    started = time.monotonic()
    with pytest.raises(BaseError):
        blobs.check()
    with pytest.raises((BaseError, FileNotFoundError)):
        add(blobs, PNG)
    assert time.monotonic() - started < 10


@pytest.mark.parametrize(
    ("head", "media_type"),
    [
        (b"\xff\xd8\xff\xe0\0\x10JFIF", "image/jpeg"),
        (PNG, "image/png"),
        (b"RIFF\x24\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\x24\0\0\0WAVEfmt ", "application/octet-stream"),
        (b"RIFF\x24\0\0\0AVI LIST", "video/x-msvideo"),
        (b"\x1aE\xdf\xa3\x9fB\x86\x81", "video/x-matroska"),
        (b"\0\0\0\x20ftypisom\0\0\x02\0", "video/mp4"),
        (b"\0\0\0\x14ftypqt  \0\0\x02\0", "video/mp4"),  # MOV
        (b"\0\0\0\x08wide\x03\xd2\xa1\x77mdat", "video/mp4"),
        (b"\x03\xd2\xa1\x77mdat\0\0\x01", "video/mp4"),  # 64 MB of frames first
        (b"this is free of charge", "text/plain"),
        (b"PK\x03\x04\x14\0", "application/zip"),
        (b"Gr\xc3\xbc\xc3\x9fe", "text/plain"),
        (b"\0\x01", "application/octet-stream"),
        (b"", "application/octet-stream"),
    ],
)
def test_the_media_type_is_what_the_first_bytes_show(head, media_type):
    assert sniff(head) == media_type


@given(st.binary(max_size=600))
def test_sniffing_never_fails(head):
    kind, _, name = sniff(head).partition("/")
    assert kind in {"image", "text", "application", "video"}
    assert name


@pytest.mark.parametrize("size", [1, 7])
def test_a_file_that_arrives_in_crumbs_is_sniffed_all_the_same(local_blobs, size):
    crumbs = [PNG[at : at + size] for at in range(0, len(PNG), size)]
    assert local_blobs.add("ann", crumbs, 600, LIMIT).media_type == "image/png"


def test_a_store_whose_folder_is_gone_is_not_ready(tmp_path, sessions):
    blobs = Blobs(f"file://{tmp_path}/store", sessions)
    blobs.check()
    (tmp_path / "store").rmdir()
    with pytest.raises(OSError, match="store"):
        blobs.check()
