"""The local index through additions, deletions, builds and restarts."""

import numpy as np
import pytest

from shared.db import Sessions, open_db
from shared.sealing import TenantKey
from tests.workers.faces.index.gallery import make_faces
from tests.workers.faces.index.stored import StoredGallery, follow, open_local

D = 16


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def sqlite(sqlite_database_url: str):
    opened = open_db(sqlite_database_url)
    yield opened
    opened.engine.dispose()


@pytest.fixture
def gallery(sqlite: Sessions) -> StoredGallery:
    return StoredGallery("c" * 32, D, TenantKey(bytes(32)), sessions=sqlite)


def check(index, gallery, rng, count=5):
    queries = make_faces(rng, 4, D)
    found = index.search(queries, count)
    assert found.numbers.tolist() == [gallery.nearest(query, count) for query in queries]
    assert len(index) == len(gallery.live)


def test_faces_move_into_segments_and_are_still_found(gallery, rng, tmp_path):
    index = open_local(gallery, tmp_path)
    for _ in range(20):
        gallery.enrol(make_faces(rng, 8, D))
        follow(index, gallery)
        index.tend()
        index.tend()
        check(index, gallery, rng)
