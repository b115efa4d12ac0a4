"""What only the Milvus index has: a shared server, ghosts, progress in SQL, late erasing."""

import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from threading import Event, Thread
from typing import Any

import numpy as np
import pytest
from milvus_lite import server_manager_instance
from pymilvus import MilvusClient
from sqlalchemy import func, select

from shared.db import Sessions
from shared.face_tables import FaceDeletion, FaceReplica
from shared.sealing import TenantKey
from tests.workers.faces.index.gallery import Gallery, make_faces, rank
from workers.faces.index.milvus import MilvusBackend
from workers.faces.index.milvus_server import erase_collection

DIMENSIONS = 16
NAME = f"atelier_faces_{DIMENSIONS}"
Join = Callable[..., MilvusBackend]


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


@pytest.fixture
def gallery() -> Gallery:
    return Gallery("c" * 32, DIMENSIONS, TenantKey(bytes(32)))


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    """The address of Milvus Lite, which many clients may use as if it were a real server."""
    folder = str(tmp_path / "milvus.db")
    yield server_manager_instance.start_and_get_uri(folder)
    server_manager_instance.release_server(folder)


@pytest.fixture
def join(server: str, sessions: Sessions, gallery: Gallery) -> Iterator[Join]:
    """Opens the index as one more process would."""
    joined: list[MilvusBackend] = []

    def open_index(**options: Any) -> MilvusBackend:
        index = MilvusBackend(
            options.pop("uri", server),
            "",
            gallery.collection_id,
            DIMENSIONS,
            gallery.key,
            gallery.fetch,
            sessions,
            **options,
        )
        joined.append(index)
        return index

    yield open_index
    for index in joined:
        index.close()


@pytest.fixture
def client(server: str) -> Iterator[MilvusClient]:
    opened = MilvusClient(uri=server)
    yield opened
    opened.close()


def follow(index: MilvusBackend, gallery: Gallery) -> None:
    index.apply(gallery.changes(index.applied_seq))


def read_replica(sessions: Sessions) -> FaceReplica:
    with sessions.read() as session:
        return session.scalars(select(FaceReplica)).one()


def record_deletions(sessions: Sessions, gallery: Gallery) -> None:
    with sessions.begin() as session:
        for number, seq in gallery.dead.items():
            session.add(FaceDeletion(collection_id=gallery.collection_id, seq=seq, number=number))


def test_live_faces_behind_many_ghosts_are_found(join, gallery, rng):
    index = join()
    gallery.enrol(make_faces(rng, 60, DIMENSIONS))
    follow(index, gallery)
    queries = make_faces(rng, 3, DIMENSIONS)
    gallery.delete(*gallery.nearest(queries[0], 40))  # the server has not heard of it
    found = rank(queries, index.search(queries, 5))
    assert found == [gallery.nearest(query, 5) for query in queries]


def test_progress_is_shared_and_outlives_a_process(join, sessions, gallery, rng):
    first, second = join(), join()
    gallery.enrol(make_faces(rng, 4, DIMENSIONS))
    follow(first, gallery)
    first.close()
    second.tend()
    assert second.applied_seq == join().applied_seq == gallery.seq
    assert read_replica(sessions).applied_seq == gallery.seq
    assert second.describe()["faces"] == 4


def test_changes_read_before_a_deletion_do_not_put_the_face_back(join, gallery, rng):
    slow, quick = join(), join()
    [number, *_] = gallery.enrol(make_faces(rng, 4, DIMENSIONS))
    outdated = gallery.changes()
    gallery.delete(number)
    follow(quick, gallery)
    slow.apply(outdated)
    assert slow.applied_seq == gallery.seq
    assert len(slow) == 3


def test_two_processes_do_not_write_at_once(join, gallery, rng, monkeypatch):
    slow, quick = join(), join()
    [number, *_] = gallery.enrol(make_faces(rng, 4, DIMENSIONS))
    outdated = gallery.changes()
    gallery.delete(number)
    writing, go_on = Event(), Event()
    upsert = slow._client.upsert

    def wait_and_upsert(*arguments: Any, **options: Any) -> None:
        writing.set()
        go_on.wait(60)
        upsert(*arguments, **options)

    monkeypatch.setattr(slow._client, "upsert", wait_and_upsert)
    threads = [Thread(target=slow.apply, args=[outdated])]
    threads[0].start()
    assert writing.wait(60)
    threads.append(Thread(target=follow, args=[quick, gallery]))
    threads[1].start()
    threads[1].join(0.3)
    assert threads[1].is_alive()  # it has to come after what is being written
    go_on.set()
    for thread in threads:
        thread.join(60)
    assert len(quick) == 3
    assert quick.applied_seq == gallery.seq


def test_a_process_that_dies_halfway_leaves_its_changes_to_the_next(
    join, sessions, gallery, rng, monkeypatch
):
    monkeypatch.setattr("workers.faces.index.milvus.UPSERTED", 3)
    index = join()
    numbers = gallery.enrol(make_faces(rng, 10, DIMENSIONS))
    gallery.delete(numbers[0])
    with monkeypatch.context() as context:
        context.setattr(index._client, "delete", lambda *_, **__: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            follow(index, gallery)
    assert read_replica(sessions).applied_seq == index.applied_seq == 0
    successor = join()
    follow(successor, gallery)
    assert len(successor) == 9
    assert read_replica(sessions).applied_seq == gallery.seq


def test_a_server_that_lost_its_data_is_filled_again(join, gallery, client, rng):
    index = join()
    faces = make_faces(rng, 5, DIMENSIONS)
    gallery.enrol(faces)
    follow(index, gallery)
    client.drop_collection(NAME)
    assert join().applied_seq == 0
    follow(index, gallery)  # believes that the server has everything
    assert index.applied_seq == 0
    follow(index, gallery)
    assert rank(faces, index.search(faces, 5)) == [gallery.nearest(face, 5) for face in faces]


def test_enrolments_alone_leave_nothing_to_erase(join, sessions, gallery, rng):
    index = join()
    gallery.enrol(make_faces(rng, 3, DIMENSIONS))
    follow(index, gallery)
    index.tend()
    assert read_replica(sessions).clean_seq == index.describe()["clean_seq"] == gallery.seq


def test_deletions_count_as_erased_once_the_server_has_compacted(
    join, sessions, gallery, client, rng, monkeypatch
):
    index = join(purge_within=0.0)
    numbers = gallery.enrol(make_faces(rng, 5, DIMENSIONS))
    follow(index, gallery)
    gallery.delete(numbers[0])
    record_deletions(sessions, gallery)
    follow(index, gallery)
    client.upsert(NAME, [plant_ghost(gallery, number=99)])
    states = iter(["Executing", "Completed", "Executing", "Completed"])
    compacted = []
    monkeypatch.setattr(index._client, "compact", lambda *_, is_l0, **__: compacted.append(is_l0))
    monkeypatch.setattr(index._client, "get_compaction_state", lambda *_, **__: next(states))
    steps = 0
    while read_replica(sessions).clean_seq < gallery.seq:
        assert len(compacted) < 3
        index.tend()
        steps += 1
    assert compacted == [True, False]
    assert steps == 4  # one page of faces, two looks in vain, the rest
    assert len(index) == 4  # the ghost is gone too
    index.tend()
    assert len(compacted) == 2


def plant_ghost(gallery: Gallery, number: int) -> dict[str, Any]:
    return {
        "id": f"{gallery.collection_id}:{number}",
        "collection": gallery.collection_id,
        "number": number,
        "subject": 1,
        "vector": [1.0] * DIMENSIONS,
    }


def test_erasing_waits_for_more_deletions(join, sessions, gallery, rng, monkeypatch):
    index = join(purge_within=60.0)
    numbers = gallery.enrol(make_faces(rng, 5, DIMENSIONS))
    gallery.delete(numbers[0])
    record_deletions(sessions, gallery)
    follow(index, gallery)
    now = 1000.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    for _ in range(5):
        index.tend()
    assert read_replica(sessions).clean_seq == 0
    now += 60.0
    for _ in range(5):
        index.tend()
    assert read_replica(sessions).clean_seq == gallery.seq


def test_a_slower_process_does_not_take_back_that_more_is_erased(
    join, sessions, gallery, rng, monkeypatch
):
    slow, quick = join(purge_within=0.0), join(purge_within=0.0)
    numbers = gallery.enrol(make_faces(rng, 5, DIMENSIONS))
    gallery.delete(numbers[0])
    record_deletions(sessions, gallery)
    follow(slow, gallery)
    slow.tend()  # the first step of several
    gallery.delete(numbers[1])
    follow(quick, gallery)
    compact = slow._client.compact

    def let_the_other_finish(*arguments: Any, **options: Any) -> int:
        quick.tend()
        quick.tend()
        job: int = compact(*arguments, **options)
        return job

    monkeypatch.setattr(slow._client, "compact", let_the_other_finish)
    slow.tend()
    assert read_replica(sessions).clean_seq == gallery.seq


def test_milvus_lite_never_claims_to_have_erased(join, tmp_path, sessions, gallery, rng):
    index = join(uri=str(tmp_path / "milvus.db"), purge_within=0.0)
    numbers = gallery.enrol(make_faces(rng, 5, DIMENSIONS))
    gallery.delete(numbers[0])
    record_deletions(sessions, gallery)
    follow(index, gallery)
    for _ in range(5):
        index.tend()
    assert read_replica(sessions).clean_seq == 0


def test_a_deleted_collection_leaves_the_server_and_others_stay(
    join, server, sessions, gallery, client, rng
):
    index = join()
    gallery.enrol(make_faces(rng, 5, DIMENSIONS))
    follow(index, gallery)
    client.upsert(NAME, [{**plant_ghost(gallery, 1), "id": "other:1", "collection": "d" * 32}])
    for _ in erase_collection(server, "", gallery.collection_id, sessions):
        assert read_replica(sessions)  # until it is done
    left = client.query(NAME, filter="number > 0", output_fields=["id"])
    assert [face["id"] for face in left] == ["other:1"]
    with sessions.read() as session:
        assert session.scalar(select(func.count()).select_from(FaceReplica)) == 0


def test_milvus_lite_never_claims_to_have_forgotten_a_collection(join, tmp_path, sessions, gallery):
    join()
    list(erase_collection(str(tmp_path / "milvus.db"), "", gallery.collection_id, sessions))
    assert read_replica(sessions).collection_id == gallery.collection_id


def test_a_missing_package_is_an_error_that_names_it(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymilvus", None)
    monkeypatch.delitem(sys.modules, "workers.faces.index.milvus_server")
    with pytest.raises(ImportError, match=r"pip install 'atelier\[milvus\]'"):
        import_module("workers.faces.index.milvus_server")
