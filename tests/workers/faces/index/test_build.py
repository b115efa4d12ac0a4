"""Builds of the next generation: what they leave, wherever they are stopped."""

import itertools
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sqlalchemy import delete, select, update

from shared.face_tables import Face, FaceCollection, FaceConsent, FaceReplica
from shared.sealing import Keyring, Tampered
from shared.settings import Settings
from tests.workers.faces.index.gallery import make_faces
from tests.workers.faces.index.stored import REPLICA, TINY, StoredGallery, follow
from workers.faces.index import build as module
from workers.faces.index.build import build
from workers.faces.index.files import Place, lock, read_manifest, read_replica
from workers.faces.index.local import BUILD, LocalBackend

D = 16


@pytest.fixture
def place(stored, tmp_path: Path) -> Place:
    return Place(tmp_path / stored.collection_id, stored.collection_id, D, stored.key)


def run(stored, place):
    build(stored.sessions, place, REPLICA)
    return read_manifest(place)


def list_files(place):
    return {path.name for path in place.folder.iterdir()}


def name_files(manifest):
    """What a generation consists of."""
    parts = itertools.product(manifest.segments, (".rows", ".faces", ".codes"))
    return {name + suffix for name, suffix in parts} | {"manifest", "lock"}


def read_bytes(place):
    return b"".join(path.read_bytes() for path in place.folder.iterdir())


def select_sealed(stored, numbers):
    query = select(Face.embedding).where(
        Face.collection_id == stored.collection_id, Face.number.in_(numbers)
    )
    with stored.sessions.read() as session:
        return session.scalars(query).all()


def equals_truth(index, stored, rng):
    follow(index, stored)
    queries = make_faces(rng, 3, D)
    found = index.search(queries, 5).numbers.tolist()
    return found == [stored.nearest(query, 5) for query in queries] and len(index) == len(
        stored.live
    )


def test_a_build_holds_every_face_of_the_collection(stored, place, rng, open_here):
    stored.enrol(make_faces(rng, 50, D))
    manifest = run(stored, place)
    assert (manifest.generation, manifest.seq, manifest.clean_seq) == (1, 1, 1)
    index = open_here(stored)
    assert (len(index), index.applied_seq) == (50, 1)


def test_the_folder_is_for_nobody_else(stored, place, rng):
    stored.enrol(make_faces(rng, 5, D))
    run(stored, place)
    assert place.folder.stat().st_mode & 0o777 == 0o700


def test_a_large_segment_stays_and_old_files_go(stored, place, rng):
    names = []
    for count in (100, 20, 15):
        stored.enrol(make_faces(rng, count, D))
        manifest = run(stored, place)
        names.append(manifest.segments)
    assert names[2][0] == names[0][0]
    assert [len(segments) for segments in names] == [1, 2, 2]  # the second has grown
    assert list_files(place) == name_files(manifest)


def test_a_deleted_face_is_in_no_file_after_the_next_build(stored, place, rng):
    numbers = stored.enrol(make_faces(rng, 50, D))
    run(stored, place)
    gone = select_sealed(stored, numbers[:3])
    assert all(row in read_bytes(place) for row in gone)
    stored.delete(*numbers[:3])
    manifest = run(stored, place)
    assert manifest.clean_seq == 2
    assert not any(row[:40] in read_bytes(place) for row in gone)


def test_a_collection_without_faces_has_no_segments(stored, place, rng):
    stored.delete(*stored.enrol(make_faces(rng, 20, D)))
    assert run(stored, place).segments == []


def test_everybody_is_told_how_far_the_files_are(stored, place, rng):
    for _ in range(2):
        stored.enrol(make_faces(rng, 5, D))
        run(stored, place)
    with stored.sessions.read() as session:
        [row] = session.scalars(select(FaceReplica)).all()
    assert (row.replica, row.applied_seq, row.clean_seq) == (REPLICA, 2, 2)


def test_one_process_of_a_machine_builds(stored, place, rng):
    stored.enrol(make_faces(rng, 5, D))
    with lock(place.folder) as ours:
        assert ours
        assert run(stored, place) is None
    assert run(stored, place).generation == 1


def test_an_embedding_that_is_not_what_was_sealed_stops_the_build(stored, place, rng):
    numbers = stored.enrol(make_faces(rng, 5, D))
    with stored.sessions.begin() as session:
        session.execute(
            update(Face).where(Face.number == numbers[2]).values(embedding=bytes(2 * D + 28))
        )
    with pytest.raises(Tampered):
        run(stored, place)
    assert read_manifest(place) is None


def test_a_database_that_is_older_than_the_files_is_what_counts(stored, place, rng):
    stored.enrol(make_faces(rng, 5, D))
    [before] = run(stored, place).segments
    with stored.sessions.begin() as session:
        session.execute(update(FaceCollection).values(seq=0))
    manifest = run(stored, place)
    assert manifest.seq == 0
    assert before not in manifest.segments


def test_a_receipt_waits_for_the_first_build_from_its_beginning(stored, place, rng, monkeypatch):
    """A face that is deleted while it is being written must not count as erased."""
    stored.enrol(make_faces(rng, 5, D))
    write, seen = module.write_generation, []

    def look(*arguments):
        with stored.sessions.read() as session:
            seen.extend(session.scalars(select(FaceReplica.clean_seq)))
        return write(*arguments)

    monkeypatch.setattr(module, "write_generation", look)
    run(stored, place)
    assert seen == [0]


@pytest.mark.parametrize("suffix", [".rows", ".faces", ".codes", "manifest"])
@pytest.mark.parametrize("harm", ["change", "delete"])
def test_damaged_files_are_written_anew_from_sql(stored, place, rng, open_here, suffix, harm):
    numbers = stored.enrol(make_faces(rng, 50, D))
    run(stored, place)
    [path] = (path for path in place.folder.iterdir() if path.name.endswith(suffix))
    if harm == "change":
        path.write_bytes(path.read_bytes()[:-1] + b"\1")
    else:
        path.unlink()
    stored.delete(numbers[0])  # the segment has to be read
    manifest = run(stored, place)
    assert list_files(place) == name_files(manifest)
    assert equals_truth(open_here(stored), stored, rng)


class Killed(BaseException):
    """Ends a build as a signal would."""


def test_a_build_that_is_killed_at_any_step_loses_nothing(stored, place, rng, open_here):
    numbers = stored.enrol(make_faces(rng, 40, D))
    run(stored, place)
    for step in itertools.count():
        stored.enrol(make_faces(rng, 12, D))
        stored.delete(numbers.pop())
        gone = False
        with pytest.MonkeyPatch.context() as patch:
            die_at(step, patch)
            try:
                run(stored, place)
                gone = True
            except Killed:
                gone = False
        assert equals_truth(open_here(stored), stored, rng)
        if gone:
            break
    assert step > 10
    manifest = run(stored, place)
    assert manifest.clean_seq == stored.seq
    assert list_files(place) == name_files(manifest)


def test_what_a_killed_build_left_goes_before_more_is_written(stored, place, rng, monkeypatch):
    stored.enrol(make_faces(rng, 5, D))
    run(stored, place)
    left = place.folder / "left.rows"
    left.touch()
    die_at(1, monkeypatch)  # 0 is the removal
    with pytest.raises(Killed):
        run(stored, place)
    assert not left.exists()


def die_at(step, patch):
    """The step-th time a file is made durable, renamed or removed is the last."""
    calls = itertools.count()

    def wrap(original):
        def call(*arguments):
            if next(calls) == step:
                raise Killed
            return original(*arguments)

        return call

    for owner, name in ((os, "fsync"), (Path, "replace"), (Path, "unlink")):
        patch.setattr(owner, name, wrap(getattr(owner, name)))


@pytest.fixture
def home(tmp_path: Path, sqlite_database_url: str, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """The settings that processes started from here get too."""
    monkeypatch.setenv("ATELIER_HOME", str(tmp_path))
    monkeypatch.setenv("DATABASE_URL", sqlite_database_url)
    return Settings()


@pytest.fixture
def owned(home, sqlite_sessions, rng) -> StoredGallery:
    """5,000 faces, sealed with the tenant's real key."""
    key = Keyring(home, sqlite_sessions).key("tenant")
    gallery = StoredGallery("d" * 32, D, key, sessions=sqlite_sessions)
    gallery.enrol(make_faces(rng, 5000, D))
    return gallery


def start(gallery):
    return subprocess.Popen([sys.executable, "-P", "-m", BUILD, gallery.collection_id])


def test_a_killed_process_leaves_nothing_behind_after_the_next(home, owned):
    folder = home.faces / owned.collection_id
    process = start(owned)
    while not (folder.exists() and any(folder.glob("*.rows"))):
        assert process.poll() is None
        time.sleep(0.001)
    process.kill()
    process.wait()
    assert start(owned).wait() == 0
    place = Place(folder, owned.collection_id, D, owned.key)
    manifest = read_manifest(place)
    assert manifest.seq == owned.seq
    assert list_files(place) == name_files(manifest)


def test_a_collection_that_is_gone_leaves_no_file(home, owned):
    assert start(owned).wait() == 0
    with owned.sessions.begin() as session:
        for table in (Face, FaceConsent, FaceCollection):
            session.execute(delete(table))
    assert start(owned).wait() == 0
    assert not (home.faces / owned.collection_id).exists()
    with owned.sessions.read() as session:
        assert session.scalars(select(FaceReplica)).all() == []


def test_an_index_goes_on_while_another_process_builds(home, owned, rng):
    index = LocalBackend(owned.collection_id, D, owned.key, home.faces, policy=TINY)
    follow(index, owned)
    until = time.monotonic() + 60
    while index.describe()["generation"] == 0:
        assert time.monotonic() < until
        owned.enrol(make_faces(rng, 3, D))
        owned.delete(*rng.permutation(list(owned.live))[:2].tolist())
        assert equals_truth(index, owned, rng)
        index.tend()
    assert equals_truth(index, owned, rng)
    index.close()


def test_the_replica_has_one_name(tmp_path):
    assert read_replica(tmp_path / "new") == read_replica(tmp_path / "new")
    assert len(read_replica(tmp_path / "new")) == 32
