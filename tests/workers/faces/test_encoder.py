"""Faces as points: of unit length, in order, near for one person and far for two."""

from itertools import chain

import numpy as np
import pytest
import torch

from shared.weights import locate
from workers.faces.align import align
from workers.faces.encoder import CHUNK, DlibEncoder

PEOPLE = {
    "obama": ["obama.jpg", "obama2.jpg", "obama3.jpg"],
    "biden": ["biden.jpg"],
    "collins": ["astronaut.png"],
}
PARTIAL = ["obama_partial_face.jpg", "obama_partial_face2.jpg"]


@pytest.fixture(scope="module")
def encoder(weights) -> DlibEncoder:
    return DlibEncoder(locate("dlib-face-resnet.dat", weights), torch.device("cpu"))


@pytest.fixture(scope="module")
def chips(finder, photo, encoder) -> dict[str, np.ndarray]:
    """Aligned faces by the file they come from."""
    made = {}
    for name in [*chain(*PEOPLE.values()), *PARTIAL]:
        picture = photo(name)
        face = finder.find(picture)[0]
        made[name] = align(picture, face.landmarks, encoder.template, encoder.side)
    return made


@pytest.fixture(scope="module")
def points(chips, encoder) -> dict[str, np.ndarray]:
    return dict(zip(chips, encoder.encode(list(chips.values())), strict=True))


def noise(count: int) -> list[np.ndarray]:
    return list(np.random.default_rng(0).integers(0, 256, (count, 150, 150, 3), dtype=np.uint8))


def test_points_are_one_long(points, encoder):
    found = np.stack(list(points.values()))
    assert found.dtype == np.float32
    assert found.shape == (7, encoder.dimensions)
    assert np.linalg.norm(found, axis=1) == pytest.approx(1, abs=1e-6)


def test_no_faces_are_no_points(encoder):
    assert encoder.encode([]).shape == (0, 128)


def test_more_faces_than_one_pass_takes_come_back_in_order(encoder):
    faces = noise(CHUNK + 1)
    together = encoder.encode(faces)
    for row in (0, CHUNK - 1, CHUNK):
        assert together[row] == pytest.approx(encoder.encode([faces[row]])[0], abs=1e-5)


def test_a_face_and_its_mirror_image_are_one_point(encoder):
    [face] = noise(1)
    point, mirrored = encoder.encode([face, np.ascontiguousarray(face[:, ::-1])])
    assert mirrored == pytest.approx(point, abs=1e-6)


def test_black_and_white_squares_have_points(encoder):
    flat = encoder.encode([np.full((150, 150, 3), grey, np.uint8) for grey in (0, 255)])
    assert np.isfinite(flat).all()


@pytest.mark.parametrize(
    "chip",
    [
        np.zeros((112, 112, 3), np.uint8),
        np.zeros((150, 150), np.uint8),
        np.zeros((150, 150, 4), np.uint8),
        np.zeros((150, 150, 3), np.float32),
    ],
)
def test_a_face_of_another_size_or_type_is_refused(chip, encoder):
    with pytest.raises(ValueError, match="not 150 pixels"):
        encoder.encode([chip])


def test_photos_of_one_person_are_nearer_than_any_of_two(points):
    owner = {name: person for person, names in PEOPLE.items() for name in names}
    names = list(owner)
    pairs = [(a, b) for place, a in enumerate(names) for b in names[place + 1 :]]
    same = [points[a] @ points[b] for a, b in pairs if owner[a] == owner[b]]
    different = [points[a] @ points[b] for a, b in pairs if owner[a] != owner[b]]
    assert min(same) > 0.95
    assert max(different) < 0.85


def test_a_face_cut_off_by_the_border_is_still_known(points):
    for name in PARTIAL:
        assert points[name] @ points["obama2.jpg"] > 0.95


def test_distances_as_dlib_counts_them_agree_with_its_threshold(chips, encoder):
    faces = torch.from_numpy(np.stack(list(chips.values())[:5])).permute(0, 3, 1, 2).float()
    with torch.inference_mode():
        raw = encoder.network(faces)  # obama three times, biden, collins
    distances = torch.cdist(raw, raw)
    golden = [0.348, 0.400, 0.429]
    assert distances[[0, 0, 1], [2, 1, 2]].tolist() == pytest.approx(golden, abs=0.03)
    assert distances[:3, 3:].min() > 0.6  # dlib: less is one person


def test_half_precision_costs_nothing(points):
    exact = np.stack(list(points.values()))
    stored = exact.astype(np.float16).astype(np.float32)
    assert np.abs(stored @ stored.T - exact @ exact.T).max() < 5e-4
