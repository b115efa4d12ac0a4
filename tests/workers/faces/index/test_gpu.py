"""Segments on a CUDA device find what an exact search finds."""

import numpy as np
import pytest

from tests.workers.faces.index.gallery import make_faces
from tests.workers.faces.index.stored import follow
from workers.faces.index.gpu import has_gpu

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not has_gpu(), reason="no CUDA device")]


def test_a_search_on_the_device_equals_a_loop_over_all_faces(stored, open_here, rng):
    numbers = stored.enrol(make_faces(rng, 200, 16))
    index = open_here(stored, gpu=True)
    follow(index, stored)
    assert index.describe()["segments"] == 1
    stored.delete(*numbers[:20])
    follow(index, stored)
    queries = make_faces(rng, 8, 16)
    expected = [stored.nearest(query, 5) for query in queries]
    np.testing.assert_array_equal(index.search(queries, 5).numbers, expected)
