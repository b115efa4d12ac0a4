"""A job's file is written to the disk, or refused, and the job can be cancelled meanwhile."""

from dataclasses import dataclass
from io import BytesIO
from pathlib import Path

import pytest

from shared.blobs import Blobs
from shared.contract import Message
from shared.db import Sessions
from shared.identifiers import new_id
from tests.workers.desk import Desk
from workers.runtime.run import Cancelled, InvalidInput, TooLarge
from workers.runtime.spool import spool


@dataclass
class Worker:
    sessions: Sessions
    blobs: Blobs


@pytest.fixture
def desk(sessions: Sessions, tmp_path: Path) -> Desk[Worker]:
    return Desk(Worker(sessions, Blobs(f"file://{tmp_path}/blobs", sessions)))


def test_a_file_is_written_and_read_from_its_start(desk: Desk[Worker]):
    content = bytes(range(256)) * 4
    for most in (None, len(content)):
        file = BytesIO()
        spool(desk.worker.blobs, desk.make(Message()), desk.add(content), file, most)
        assert file.read() == content


def test_a_file_that_is_gone_or_another_tenants_is_refused(desk: Desk[Worker]):
    stranger = Desk(desk.worker)
    for blob_id in (new_id(), stranger.add(b"theirs")):
        with pytest.raises(InvalidInput, match=rf"{blob_id} is gone\. Upload it again"):
            spool(desk.worker.blobs, desk.make(Message()), blob_id, BytesIO())


def test_a_file_of_too_many_bytes_is_refused(desk: Desk[Worker]):
    blob_id = desk.add(bytes(11))
    with pytest.raises(TooLarge, match="at most 10 bytes"):
        spool(desk.worker.blobs, desk.make(Message()), blob_id, BytesIO(), most=10)


def test_it_can_be_cancelled(desk: Desk[Worker]):
    desk.stops = lambda: True
    with pytest.raises(Cancelled):
        spool(desk.worker.blobs, desk.make(Message()), desk.add(bytes(11)), BytesIO())
