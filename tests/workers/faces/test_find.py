"""Finding faces: in photographs, in none, in pictures of any shape, and the cascade's parts."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps
from torchvision.ops import box_iou

from workers.faces.find import (
    FIRST_PIXELS,
    WINDOW,
    Finder,
    Found,
    Halves,
    area,
    drop_nested,
    list_sizes,
    make_square,
    shift,
)

# What facenet-pytorch 2.6.0 finds with min_face_size=20: its box and landmarks.
GOLDEN = {
    "astronaut.png": (
        [181.1, 62.2, 267.7, 172.1],
        [[205.0, 101.7], [246.8, 103.7], [224.7, 129.0], [201.7, 139.2], [245.3, 141.9]],
    ),
    "biden.jpg": (
        [427.1, 167.0, 713.6, 560.4],
        [[535.2, 319.3], [655.4, 344.9], [597.8, 407.1], [518.9, 461.9], [625.0, 480.3]],
    ),
    "obama.jpg": (
        [367.5, 79.0, 616.4, 428.3],
        [[445.3, 214.7], [551.7, 214.2], [497.7, 277.7], [435.6, 324.8], [557.1, 320.5]],
    ),
    "obama2.jpg": (
        [190.2, 213.3, 472.5, 638.7],
        [[251.4, 364.0], [374.9, 382.0], [285.2, 447.0], [247.4, 521.7], [351.0, 528.7]],
    ),
    "obama3.jpg": (
        [634.1, 249.3, 914.1, 612.5],
        [[738.0, 384.1], [860.9, 401.1], [810.7, 440.8], [733.4, 510.6], [845.3, 528.8]],
    ),
}
NOBODY = ["chelsea.png", "china.jpg", "coffee.png", "motorcycle_left.png", "rocket.jpg"]


def iou(one: tuple[float, ...], other: tuple[float, ...]) -> float:
    return box_iou(torch.tensor([one]), torch.tensor([other])).item()


@pytest.mark.parametrize("name", GOLDEN)
def test_the_face_of_a_portrait_is_where_the_published_code_finds_it(name, finder, photo):
    box, landmarks = GOLDEN[name]
    [face] = finder.find(photo(name))
    assert face.score > 0.99
    assert iou(face.xyxy, box) > 0.85  # it samples the windows in another way
    assert face.landmarks.shape == (5, 2)
    assert face.landmarks.dtype == np.float32
    assert np.abs(face.landmarks - landmarks).max() < 0.03 * (box[2] - box[0])


@pytest.mark.parametrize("name", NOBODY)
def test_a_picture_without_people_has_no_faces(name, finder, photo):
    assert finder.find(photo(name)) == []


@pytest.mark.parametrize("name", ["obama_partial_face.jpg", "obama_partial_face2.jpg"])
def test_a_face_cut_off_by_the_border_is_found_and_its_box_ends_there(name, finder, photo):
    picture = photo(name)
    [face] = finder.find(picture)
    assert min(face.xyxy) >= 0
    assert face.xyxy[2] <= picture.width
    assert face.xyxy[0] == 0 or face.xyxy[2] == picture.width


def test_a_mirrored_picture_has_mirrored_faces(finder, photo):
    picture = photo("astronaut.png")
    [face], [mirrored] = finder.find(picture), finder.find(ImageOps.mirror(picture))
    left, top, right, bottom = face.xyxy
    expected = (picture.width - right, top, picture.width - left, bottom)
    assert iou(mirrored.xyxy, expected) > 0.85
    points = mirrored.landmarks[[1, 0, 2, 4, 3]] * [-1, 1] + [picture.width, 0]
    assert np.abs(points - face.landmarks).max() < 0.04 * (right - left)


@pytest.mark.parametrize("scale", [0.5, 1.7, 3.5])
def test_a_larger_picture_has_larger_faces(scale, finder, photo):
    picture = photo("astronaut.png")
    larger = picture.resize([round(side * scale) for side in picture.size])
    [face], [scaled] = finder.find(picture), finder.find(larger)
    assert iou([value / scale for value in scaled.xyxy], face.xyxy) > 0.85
    gap = np.abs(scaled.landmarks / scale - face.landmarks).max()
    assert gap < 0.04 * (face.xyxy[2] - face.xyxy[0])


def test_two_faces_come_the_larger_first_and_the_limit_keeps_it(finder, photo):
    canvas = Image.new("RGB", (1100, 700), "grey")
    canvas.paste(photo("astronaut.png").crop((100, 0, 400, 300)), (0, 0))
    canvas.paste(photo("obama.jpg").crop((200, 0, 800, 600)), (400, 50))
    large, small = finder.find(canvas)
    assert area(large) > area(small)
    assert large.xyxy[0] > 400 > small.xyxy[2]
    [only] = finder.find(canvas, limit=1)
    assert only.xyxy == large.xyxy


def test_however_many_faces_there_are_the_work_is_bounded(finder, photo, monkeypatch):
    wall = Image.new("RGB", (600, 440))
    for x, y in np.ndindex(6, 4):
        wall.paste(photo("astronaut.png").crop((170, 50, 270, 160)), (x * 100, y * 110))
    assert len(finder.find(wall, min_size=40)) == 24
    monkeypatch.setattr("workers.faces.find.WINDOWS", 5)
    assert 1 <= len(finder.find(wall, min_size=40)) <= 5


def test_a_face_smaller_than_asked_for_is_not_found(finder, photo):
    assert finder.find(photo("astronaut.png"), min_size=200) == []


def test_only_scores_from_the_threshold_up_come_back(finder, photo):
    picture = photo("china.jpg")
    scores = [face.score for face in finder.find(picture, score_threshold=0.0)]
    assert scores
    assert all(0 <= score < 0.9 for score in scores)


def test_the_same_picture_gives_the_same_answer(finder, photo):
    one, other = (finder.find(photo("biden.jpg"), min_size=60)[0] for _ in range(2))
    assert one.xyxy == other.xyxy
    assert one.score == other.score
    assert (one.landmarks == other.landmarks).all()


@pytest.mark.parametrize("size", [(1, 1), (1, 10_000), (10_000, 1), (11, 12), (19, 21), (13, 4000)])
def test_a_picture_of_any_shape_is_answered(size, finder):
    noise = np.random.default_rng(0).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
    faces = finder.find(Image.fromarray(noise), min_size=12, score_threshold=0.0)
    assert all(isinstance(face, Found) for face in faces)


@given(width=st.integers(1, 40_000), height=st.integers(1, 40_000), min_size=st.integers(12, 1000))
def test_the_sizes_looked_at_are_bounded_and_never_under_a_window(width, height, min_size):
    sizes = list(list_sizes((width, height), min_size))
    assert bool(sizes) == (min(width, height) >= min_size) or width * height > FIRST_PIXELS
    for w, h in sizes:
        assert min(w, h) >= WINDOW
        assert (w - 1) * (h - 1) <= FIRST_PIXELS  # each side is rounded up
        assert w <= width
        assert h <= height
    assert sizes == sorted(sizes, reverse=True)


def test_a_cut_window_is_the_picture_and_black_outside():
    pixels = np.random.default_rng(0).integers(1, 256, (60, 60, 3), dtype=np.uint8)
    halves = Halves(Image.fromarray(pixels))
    inside, outside = halves.cut(torch.tensor([[5.0, 9, 29, 33], [-12, 48, 12, 72]]), 24)
    assert (inside == pixels[9:33, 5:29]).all()
    assert (outside[:12, 12:] == pixels[48:, :12]).all()
    assert (outside[12:] == 0).all()
    assert (outside[:, :12] == 0).all()


@pytest.mark.parametrize("size", [(512, 512), (331, 487), (1000, 40)])
def test_windows_of_every_size_show_the_same_place(size):
    x, y = np.meshgrid(np.arange(size[0]) + 0.5, np.arange(size[1]) + 0.5)
    ramp = np.stack([x / size[0] * 250, y / size[1] * 250, 0 * x], axis=2)
    halves = Halves(Image.fromarray(ramp.round().astype(np.uint8)))
    for side in (12.0, 31.0, 150.0, 300.0):
        half = min(side, *size) / 2 - 1
        middle = np.array([size[0] / 2, size[1] / 2])
        box = torch.tensor([[*(middle - half), *(middle + half)]])
        [cut] = halves.cut(box, 24)
        assert cut.mean(axis=(0, 1))[:2] == pytest.approx([125, 125], abs=1.5)


def test_a_shift_is_in_widths_and_heights():
    moved = shift(torch.tensor([[10.0, 20, 30, 60]]), torch.tensor([[0.1, 0.1, -0.1, 0.5]]))
    assert moved.tolist() == [[12, 24, 28, 80]]


def test_a_square_has_the_longer_side_and_the_same_centre():
    squares = make_square(torch.tensor([[10.0, 20, 30, 60], [0, 0, 9, 3]]))
    assert squares.tolist() == [[0, 20, 40, 60], [0, -3, 9, 6]]


def test_a_box_inside_a_better_one_is_dropped_and_a_neighbour_kept():
    boxes = torch.tensor([[0.0, 0, 100, 100], [30, 30, 60, 60], [90, 0, 190, 100], [1, 1, 99, 99]])
    scores = torch.tensor([0.8, 0.7, 0.9, 0.95])
    assert drop_nested(boxes, scores, 0.7).tolist() == [3, 2]
    assert drop_nested(boxes[:0], scores[:0], 0.7).tolist() == []


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_a_gpu_finds_what_the_cpu_finds(weights, finder, photo):
    [expected] = finder.find(photo("obama.jpg"))
    [face] = Finder(weights, torch.device("cuda")).find(photo("obama.jpg"))
    assert iou(face.xyxy, expected.xyxy) > 0.99
