"""Every process finds what is acknowledged, and nothing that is deleted, whatever it has open."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, select, update
from structlog.testing import capture_logs

from shared.db import Sessions, open_db
from shared.face_tables import Face, FaceCollection, FaceConsent, FaceSubject
from shared.sealing import Keyring, Tampered
from shared.settings import Settings
from tests.workers.faces.site import ANN, CONSENT, add_collection, make_faces, make_vectors, reread
from workers.faces import indexes as module
from workers.faces.audit import Actor
from workers.faces.deletion import delete_collection, delete_faces
from workers.faces.enrolment import store_faces
from workers.faces.gallery import Collection
from workers.faces.index.build import build
from workers.faces.index.files import Place
from workers.faces.indexes import Indexes, digest_numbers
from workers.faces.refusals import UnknownCollection


class Process:
    """What one worker process has open of a database."""

    def __init__(self, home: Path, sessions: Sessions) -> None:
        self.sessions = sessions
        settings = Settings(home=home)
        self.keyring = Keyring(settings, sessions)
        self.indexes = Indexes(settings, sessions, self.keyring)

    def enrol(self, collection: Collection, vectors: np.ndarray) -> list[int]:
        faces = make_faces([f"p{place}" for place in range(len(vectors))], vectors)
        key = self.keyring.key(collection.tenant)
        with self.sessions.begin() as session:
            stored = store_faces(session, key, Actor(collection.tenant), collection, faces, CONSENT)
        return stored.numbers

    def delete(self, collection: Collection, *numbers: int) -> None:
        key = self.keyring.key(collection.tenant)
        with self.sessions.begin() as session:
            delete_faces(session, key, ANN, collection, Face.number.in_(numbers))

    def drop(self, collection: Collection) -> None:
        key = self.keyring.key(collection.tenant)
        with self.sessions.begin() as session:
            delete_collection(session, key, ANN, collection)

    def find(self, collection: Collection, vectors: np.ndarray, count: int = 3) -> list[list[int]]:
        """The nearest faces in the collection as it is now."""
        seen = reread(self.sessions, collection)
        found = self.indexes.search(seen, vectors.astype(np.float32), count)
        order = np.argsort(-np.einsum("bd,bkd->bk", vectors, found.vectors), axis=1)
        numbers = np.take_along_axis(found.numbers, order, axis=1)
        return [[int(n) for n in row if n >= 0] for row in numbers]


@pytest.fixture
def processes(sessions: Sessions, tmp_path: Path) -> Iterator[list[Process]]:
    """Two of one machine."""
    made = [Process(tmp_path, sessions) for _ in range(2)]
    yield made
    for process in made:
        process.indexes.close()


@pytest.fixture
def process(sqlite_database_url: str, tmp_path: Path) -> Iterator[Process]:
    sessions = open_db(sqlite_database_url)
    made = Process(tmp_path, sessions)
    yield made
    made.indexes.close()
    sessions.engine.dispose()


def test_what_one_process_enrols_or_deletes_the_other_sees_at_once(processes: list[Process]):
    one, other = processes
    collection, vectors = add_collection(one.sessions), make_vectors(12)
    for start in range(0, 12, 3):
        numbers = one.enrol(collection, vectors[start : start + 3])
        assert [row[0] for row in other.find(collection, vectors[start : start + 3])] == numbers
        other.delete(collection, numbers[0])
        for process in processes:
            assert numbers[0] not in process.find(collection, vectors[start : start + 1], 99)[0]


def test_a_collection_deleted_after_it_was_looked_up_is_unknown(processes: list[Process]):
    one, other = processes
    collection, vectors = add_collection(one.sessions), make_vectors(3)
    one.enrol(collection, vectors[:2])
    other.find(collection, vectors)  # follows up to here
    one.enrol(collection, vectors[2:])
    seen = reread(one.sessions, collection)
    one.drop(collection)
    for process in processes:
        with pytest.raises(UnknownCollection):
            process.indexes.search(seen, vectors.astype(np.float32), 3)


def test_a_new_collection_of_an_old_name_has_nothing_of_it(process: Process):
    old, vectors = add_collection(process.sessions), make_vectors(5)
    process.enrol(old, vectors)
    assert process.find(old, vectors[:1])
    process.drop(old)
    new = add_collection(process.sessions)
    assert process.find(new, vectors[:1]) == [[]]
    assert process.find(new, vectors[:0]) == []


def test_collections_unused_for_longest_are_closed_and_opened_again(process: Process, monkeypatch):
    monkeypatch.setattr(module, "KEPT", 2)
    vectors = make_vectors(4)
    made = [add_collection(process.sessions, name) for name in "abcd"]
    numbers = [process.enrol(one, vectors[i : i + 1]) for i, one in enumerate(made)]
    for _ in range(2):
        for place in (0, 1, 2, 3, 0):
            found = process.find(made[place], vectors[place : place + 1])
            assert found == [numbers[place]]


def test_a_deleted_collection_leaves_this_machine(process: Process):
    collection = add_collection(process.sessions)
    process.enrol(collection, make_vectors(3))
    process.find(collection, make_vectors(1))
    folder = process.indexes.settings.faces / collection.id
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "segment").write_bytes(b"faces")
    process.drop(collection)
    process.indexes.tend()
    assert not folder.exists()
    process.indexes.tend()


def test_a_deleted_face_leaves_an_open_index_without_a_search(process: Process):
    collection = add_collection(process.sessions)
    numbers = process.enrol(collection, make_vectors(3))
    process.find(collection, make_vectors(1))
    process.delete(collection, numbers[1])
    process.indexes.tend()
    about, lag = process.indexes.describe(reread(process.sessions, collection))
    assert (about["faces"], lag) == (2, 0)


def test_a_damaged_collection_does_not_hold_up_the_others(process: Process):
    bad, good = (add_collection(process.sessions, name) for name in ("bad", "good"))
    for collection in (bad, good):
        process.enrol(collection, make_vectors(3))
        process.find(collection, make_vectors(1))
    [number] = process.enrol(bad, make_vectors(1, 5))
    with process.sessions.begin() as session:
        session.execute(update(Face).where(Face.number == number).values(embedding=bytes(60)))
    process.enrol(good, make_vectors(1, 6))
    with capture_logs() as logs:
        process.indexes.tend()
    assert [entry["collection"] for entry in logs] == [bad.id]
    about, lag = process.indexes.describe(reread(process.sessions, good))
    assert (about["faces"], lag) == (4, 0)
    with pytest.raises(Tampered):
        process.find(bad, make_vectors(1))
    process.delete(bad, number)
    assert process.find(bad, make_vectors(1))


def test_an_index_says_how_far_it_is_and_which_faces_it_holds(process: Process):
    collection = add_collection(process.sessions)
    numbers = process.enrol(collection, make_vectors(3))
    about, lag = process.indexes.describe(reread(process.sessions, collection))
    assert lag == 1
    assert about["faces"] == 3
    assert about["ids"] == digest_numbers(np.array(numbers))
    assert process.indexes.describe(reread(process.sessions, collection))[1] == 0


def test_threads_search_while_others_enrol(processes: list[Process]):
    one, other = processes
    collection, vectors = add_collection(one.sessions), make_vectors(10)
    one.enrol(collection, vectors[:1])

    def search() -> int:
        return min(len(other.find(collection, vectors[:1], 99)[0]) for _ in range(10))

    def enrol() -> int:
        return sum(len(one.enrol(collection, vectors[i : i + 1])) for i in range(1, 10))

    with ThreadPoolExecutor() as pool:
        results = [pool.submit(work).result for work in (search, enrol, search)]
        assert min(result() for result in results) >= 1
    assert len(other.find(collection, vectors[:1], 99)[0]) == 10


def test_files_ahead_of_a_restored_database_are_not_believed(process: Process):
    """The next faces get numbers that the files have already, for other people."""
    collection, vectors = add_collection(process.sessions), make_vectors(6)
    numbers = process.enrol(collection, vectors[:3])
    place = Place(
        process.indexes.settings.faces / collection.id,
        collection.id,
        collection.dimensions,
        process.keyring.key(collection.tenant),
    )
    build(process.sessions, place, "here")
    with process.sessions.begin() as session:  # a backup from before the first enrolment
        for table in (Face, FaceConsent, FaceSubject):
            session.execute(delete(table))
        session.execute(update(FaceCollection).values(seq=0, faces=0, last_number=0))
    assert process.enrol(collection, vectors[3:4])[0] <= max(numbers)
    [[number]] = process.find(collection, vectors[3:4])
    with process.sessions.read() as session:
        assert session.scalars(select(Face.number)).all() == [number]
