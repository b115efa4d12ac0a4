"""The demo of segment, and the pictures that it draws."""

import zipfile
import zlib
from io import BytesIO
from pathlib import Path
from random import Random

import pytest

from services.client import Client
from services.client.demo import run_demos
from services.client.demos import segment as segment_demo
from services.client.demos.coloured_shapes import COLOURS, NAMES, SIDE, draw_shapes, pack_shapes
from services.client.demos.scene import DemoFailed, Scene
from services.client.demos.segment import FILES, PICTURES, UNSEEN
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_segment import DEMO_FILES, FakeSegment, show_demo

GROUND = (0, 0, 0)  # what a pixel without a shape is called here


@pytest.fixture
def scene(client: Client, segment: FakeSegment, tmp_path: Path) -> Scene:
    files, folder = tmp_path / "files", tmp_path / "demo"
    files.mkdir()
    folder.mkdir()
    for name in FILES:
        (files / name).write_bytes(name.encode())
    show_demo(segment, files)
    return Scene(client, files, folder)


def test_photographs_and_drawn_pictures_are_segmented_and_no_network_stays(
    scene: Scene, segment: FakeSegment
) -> None:
    for _ in range(2):
        rows = {row.what: row.result for _, row in run_demos((segment_demo.DEMO,), scene)}
        assert len(rows) == segment_demo.DEMO.jobs
        assert rows["china.jpg, fcn-8s-camvid"] == "Sky 33%, Building 33%, Tree 33%"
        assert rows["obama.jpg, selfie"] == "person 100%"
        assert rows["heat maps of china.jpg"] == "Sky up to 0.90, Tree up to 0.90"
        assert rows["train on 8 drawn pictures"].endswith("mean IoU 0.75 on 2 it never saw")
        assert [model["model"] for model in segment.models] == ["fcn-8s-camvid", "selfie"]
    assert sorted(file.name for file in scene.folder.iterdir()) == sorted(DEMO_FILES)
    assert not segment.requests("promote")


@pytest.mark.parametrize(
    ("photo", "found", "reason"),
    [
        ("china.jpg", ["Sky", "Building"], r"in china\.jpg was not found: Tree"),
        ("obama.jpg", ["background"], r"in obama\.jpg was not found: person"),
    ],
)
def test_what_is_plain_to_see_must_be_found(
    scene: Scene, segment: FakeSegment, photo: str, found: list[str], reason: str
) -> None:
    segment.shown[(scene.files / photo).read_bytes()] = found
    with pytest.raises(DemoFailed, match=reason):
        run_demos((segment_demo.DEMO,), scene)


@pytest.mark.parametrize(
    ("change", "reason"),
    [("iou", r"mean IoU of demo-shapes@1 is 0\.30"), ("shapes", r"was found, but: ground\.")],
)
def test_a_network_that_finds_too_little_fails_the_demo_and_is_not_kept(
    scene: Scene, segment: FakeSegment, change: str, reason: str
) -> None:
    if change == "iou":
        segment.mean_iou = 0.3
    else:
        segment.shown[draw_shapes(Random(UNSEEN)).picture] = ["ground"]
    with pytest.raises(DemoFailed, match=reason):
        run_demos((segment_demo.DEMO,), scene)
    assert [model["model"] for model in segment.models] == ["fcn-8s-camvid", "selfie"]


def test_a_failed_job_fails_the_demo_with_its_reason(scene: Scene, api: FakeApi) -> None:
    (scene.files / "china.jpg").write_bytes(b"broken")
    with pytest.raises(DemoFailed, match=r"segment\.pixels: invalid_input: The picture is damaged"):
        run_demos((segment_demo.DEMO,), scene)
    assert len(api.jobs) == 1


def read_rows(png: bytes, channels: int) -> list[bytes]:
    """The pixels of a PNG whose content is in one chunk, and whose rows are not filtered."""
    start = png.index(b"IDAT") + 4
    length = int.from_bytes(png[start - 8 : start - 4])
    content, width = zlib.decompress(png[start : start + length]), 1 + channels * SIDE
    return [content[place + 1 : place + width] for place in range(0, len(content), width)]


def test_the_masks_of_the_drawn_pictures_tell_their_colours() -> None:
    with zipfile.ZipFile(BytesIO(pack_shapes(PICTURES, seed=1))) as archive:
        for number in range(PICTURES):
            picture = read_rows(archive.read(f"images/{number:03}.png"), 3)
            mask = read_rows(archive.read(f"masks/{number:03}.png"), 1)
            for row, truth in zip(picture, mask, strict=True):
                colours = [tuple(row[3 * x : 3 * x + 3]) for x in range(SIDE)]
                plain = [COLOURS.get(NAMES[index], GROUND) for index in truth]
                named = [colour if colour in COLOURS.values() else GROUND for colour in colours]
                assert named == plain
        assert len(archive.namelist()) == 2 * PICTURES + 1


def test_the_pictures_of_a_seed_are_always_the_same_and_no_other_shows_the_unseen_one() -> None:
    packed = pack_shapes(PICTURES, seed=1)
    assert packed == pack_shapes(PICTURES, seed=1) != pack_shapes(PICTURES, seed=2)
    unseen = draw_shapes(Random(UNSEEN))
    with zipfile.ZipFile(BytesIO(packed)) as archive:
        assert all(archive.read(name) != unseen.picture for name in archive.namelist())
    assert sum(map(unseen.measure, NAMES)) == 1.0
