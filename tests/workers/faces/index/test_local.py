"""The local index through additions, deletions, builds, damage and restarts."""

import shutil
import threading
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from structlog.testing import capture_logs

from shared.sealing import Tampered
from tests.workers.faces.index.gallery import make_faces
from tests.workers.faces.index.stored import TINY, BuiltHere, follow
from workers.faces.index.files import lock

D = 16


def search(index, gallery, rng, count=5):
    """What is found near random queries, and what should be."""
    queries = make_faces(rng, 3, D)
    expected = [gallery.nearest(query, count) for query in queries]
    return index.search(queries, count).numbers.tolist(), expected


def check(index, gallery, rng):
    follow(index, gallery)
    found, expected = search(index, gallery, rng)
    assert found == expected
    assert len(index) == len(gallery.live)


def build_now(index):
    """Begin a build where there is a reason to, and take over what it wrote."""
    index.tend()
    index.tend()


class Still:
    """A build that never ends by itself, or has ended without a result."""

    def __init__(self, code: int | None = None) -> None:
        self.code = code

    def poll(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.code = -15

    def wait(self) -> int:
        assert self.code is not None
        return self.code


STEPS = ["enrol", "delete", "search", "tend", "open"]


@settings(max_examples=30, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    steps=st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 1)), min_size=10, max_size=40),
    flat=st.sampled_from([0, 5, 30]),
    seed=st.integers(0, 1000),
)
def test_any_interleaving_equals_a_loop_over_all_faces(make_stored, open_here, steps, flat, seed):
    """Two indexes of one collection share their files, as two processes of a machine do."""
    gallery, rng = make_stored(), np.random.default_rng(seed)
    options = {"policy": replace(TINY, flat=flat), "purge_within": 0.0}
    indexes = [open_here(gallery, **options) for _ in range(2)]
    for step, which in steps:
        match step:
            case "enrol":
                gallery.enrol(make_faces(rng, int(rng.integers(1, 20)), D), subject=seed)
            case "delete" if gallery.live:
                gallery.delete(*rng.permutation(list(gallery.live))[:4].tolist())
            case "tend":
                indexes[which].tend()
            case "open":
                indexes[which] = open_here(gallery, **options)
            case _:
                check(indexes[which], gallery, rng)
    for index in indexes:
        build_now(index)
        check(index, gallery, rng)


def test_a_small_collection_has_no_files(stored, open_here, rng, tmp_path):
    index = open_here(stored)
    stored.enrol(make_faces(rng, TINY.flat, D))
    check(index, stored, rng)
    build_now(index)
    assert index.describe()["kind"] == "flat"
    assert not list(tmp_path.glob("**/*.rows"))


def test_faces_move_to_disk_once_they_are_too_many_for_memory(stored, open_here, rng):
    index = open_here(stored)
    stored.enrol(make_faces(rng, TINY.flat + 1, D))
    check(index, stored, rng)
    build_now(index)
    stored.enrol(make_faces(rng, TINY.seal, D))
    check(index, stored, rng)
    build_now(index)
    held = index.describe()
    assert (held["kind"], held["faces"], held["segments"], held["tail"]) == ("rabitq", 41, 1, 10)
    assert held["hot_bytes"] > 0
    check(index, stored, rng)


def test_a_new_process_starts_from_the_files(stored, open_here, rng):
    stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored)
    follow(index, stored)
    build_now(index)
    stored.enrol(make_faces(rng, 5, D))
    other = open_here(stored)
    assert (len(other), other.applied_seq) == (50, 1)
    check(other, stored, rng)


def test_more_faces_than_memory_is_for_wait_for_a_build(stored, open_here, rng):
    stored.enrol(make_faces(rng, 5 * TINY.flat, D))
    index = open_here(stored)
    follow(index, stored)
    assert (index.describe()["tail"], index.describe()["segments"]) == (0, 1)
    check(index, stored, rng)


def test_a_face_deleted_while_its_generation_is_built_is_not_found(
    stored, open_here, rng, tmp_path
):
    numbers = stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored, purge_within=0.0)
    follow(index, stored)
    BuiltHere(stored, tmp_path)  # by another process, with all of them
    stored.delete(*numbers[:10])
    follow(index, stored)
    index.tend()  # takes over what it wrote
    assert (index.describe()["generation"], index.describe()["dead"]) == (1, 10)
    check(index, stored, rng)
    build_now(index)
    assert (index.describe()["clean_seq"], index.describe()["dead"]) == (2, 0)


def test_a_deletion_is_remembered_past_generations_that_are_older_than_the_face(
    stored, open_here, rng, tmp_path
):
    folder, first = tmp_path / stored.collection_id, tmp_path / "first"
    stored.enrol(make_faces(rng, 50, D))
    BuiltHere(stored, tmp_path)
    index = open_here(stored, start_build=Still)
    shutil.copytree(folder, first)
    [newest] = stored.enrol(make_faces(rng, 1, D))
    BuiltHere(stored, tmp_path)
    shutil.move(folder, tmp_path / "second")
    follow(index, stored)
    stored.delete(newest)
    follow(index, stored)
    for generation in ("first", "second"):  # the second was begun before the deletion
        shutil.rmtree(folder, ignore_errors=True)
        shutil.move(tmp_path / generation, folder)
        index.tend()
        check(index, stored, rng)


def test_changes_that_overlap_are_taken_up_once(stored, open_here, rng):
    index = open_here(stored)
    [gone, *_] = stored.enrol(make_faces(rng, 20, D))
    before = stored.changes()
    index.apply(before)
    stored.delete(gone)
    index.apply(stored.changes(1))
    index.apply(replace(before, seq=3))  # as if read again from the beginning, and late
    assert index.numbers().tolist() == sorted(stored.live)


def test_deleted_faces_leave_the_files_in_time(stored, open_here, rng):
    numbers = stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored, purge_within=0.0)
    follow(index, stored)
    build_now(index)
    stored.delete(*numbers[:3])
    follow(index, stored)
    assert index.describe()["clean_seq"] == 1
    build_now(index)
    held = index.describe()
    assert (held["clean_seq"], held["dead"], held["faces"]) == (2, 0, 47)


def test_deletions_wait_for_each_other(stored, open_here, rng):
    numbers = stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored, purge_within=60.0)
    follow(index, stored)
    build_now(index)
    stored.delete(*numbers[:3])
    follow(index, stored)
    build_now(index)
    assert (index.describe()["generation"], index.describe()["dead"]) == (1, 3)


def test_a_process_that_is_behind_does_not_find_what_another_erased(stored, open_here, rng):
    faces = make_faces(rng, 50, D)
    numbers = stored.enrol(faces)
    ahead = open_here(stored)
    follow(ahead, stored)
    build_now(ahead)
    behind = open_here(stored)
    stored.delete(numbers[0])
    follow(ahead, stored)
    assert numbers[0] not in behind.search(faces[:1], 50).numbers
    check(behind, stored, rng)


def test_damage_that_a_search_meets_empties_the_index_until_it_follows_again(
    stored, open_here, rng, tmp_path
):
    stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored)
    follow(index, stored)
    build_now(index)
    [rows] = tmp_path.glob("**/*.rows")
    with rows.open("r+b") as file:
        file.seek(100)
        file.write(b"damage")
    with capture_logs() as logs, pytest.raises(Tampered):
        search(index, stored, rng, count=50)
    assert [line["event"] for line in logs] == ["index refused"]
    assert (len(index), index.applied_seq) == (0, 0)
    check(index, stored, rng)
    build_now(index)
    assert index.describe()["segments"] == 1
    check(index, stored, rng)


@pytest.mark.parametrize("name", ["manifest", ".faces", ".codes"])
def test_a_new_process_refuses_damaged_files_and_builds_others(
    stored, open_here, rng, tmp_path, name
):
    stored.enrol(make_faces(rng, 50, D))
    BuiltHere(stored, tmp_path)
    [path] = (path for path in tmp_path.glob("*/*") if path.name.endswith(name))
    path.write_bytes(path.read_bytes()[:-1])
    with capture_logs() as logs:
        index = open_here(stored)
    assert [line["event"] for line in logs] == ["index refused"]
    assert index.applied_seq == 0
    check(index, stored, rng)
    build_now(index)
    assert index.describe()["segments"] == 1
    check(index, stored, rng)


def test_an_index_outlives_its_files_and_writes_them_again(stored, open_here, rng, tmp_path):
    stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored)
    follow(index, stored)
    build_now(index)
    shutil.rmtree(tmp_path / stored.collection_id)
    check(index, stored, rng)
    build_now(index)
    assert list(tmp_path.glob("**/*.rows"))
    check(index, stored, rng)


def test_files_of_yesterday_are_refused(stored, open_here, rng, tmp_path):
    numbers = stored.enrol(make_faces(rng, 50, D))
    index = open_here(stored)
    follow(index, stored)
    build_now(index)
    folder = tmp_path / stored.collection_id
    shutil.copytree(folder, tmp_path / "yesterday")
    stored.enrol(make_faces(rng, 50, D))
    stored.delete(*numbers[:20])
    follow(index, stored)
    build_now(index)
    shutil.rmtree(folder)
    shutil.move(tmp_path / "yesterday", folder)
    with capture_logs() as logs:
        index.tend()
    assert [line["event"] for line in logs] == ["index refused"]
    check(index, stored, rng)


def test_a_build_that_brings_nothing_is_not_tried_again_at_once(stored, open_here, rng):
    started = []

    def fail():
        started.append(Still(1))
        return started[-1]

    stored.enrol(make_faces(rng, 5 * TINY.flat, D))
    index = open_here(stored, start_build=fail)
    with capture_logs() as logs:
        follow(index, stored)  # does not wait for ever
        for _ in range(5):
            index.tend()
    assert len(started) == 1
    assert [line["event"] for line in logs] == ["build brought nothing"]
    check(index, stored, rng)


def test_no_build_is_begun_while_another_process_builds(stored, open_here, rng, tmp_path):
    started = []
    stored.enrol(make_faces(rng, 2 * TINY.flat, D))
    index = open_here(stored, start_build=lambda: started.append(0) or Still(0))
    follow(index, stored)
    with lock(tmp_path / stored.collection_id) as ours:
        assert ours
        index.tend()
        assert not started
    index.tend()
    assert started


def test_a_build_under_way_ends_with_the_index(stored, open_here, rng):
    process = Still()
    stored.enrol(make_faces(rng, 2 * TINY.flat, D))
    index = open_here(stored, start_build=lambda: process)
    follow(index, stored)
    index.tend()
    index.close()
    assert process.code == -15


def test_searches_in_other_threads_see_whole_faces_and_no_deleted_ones(stored, open_here, rng):
    index = open_here(stored, purge_within=0.0)
    faces: dict[int, np.ndarray] = {}
    dead: set[int] = set()
    stopping, wrong = threading.Event(), []

    def keep_searching():
        own = np.random.default_rng(1)
        while not stopping.wait(0.001):  # let the others have the interpreter
            gone = set(dead)
            found = index.search(make_faces(own, 4, D), 8)
            wrong.extend(find_faults(found, faces, gone))

    thread = threading.Thread(target=keep_searching)
    thread.start()
    for _ in range(25):
        for number in stored.enrol(make_faces(rng, 8, D)):
            faces[number] = stored.live[number][1]
        gone = rng.permutation(list(stored.live))[:3].tolist()
        stored.delete(*gone)
        follow(index, stored)
        dead.update(gone)
        index.tend()
    stopping.set()
    thread.join()
    assert not wrong
    assert index.describe()["generation"] > 5


def find_faults(found, faces, gone):
    """Vectors that are not the face's, faces found twice, faces that had been deleted."""
    for row, vectors in zip(found.numbers.tolist(), found.vectors, strict=True):
        alive = [number for number in row if number >= 0]
        if len(set(alive)) < len(alive) or gone & set(alive):
            yield row
        for number, vector in zip(row, vectors, strict=True):
            if number >= 0 and not np.array_equal(vector, faces[number]):
                yield number
