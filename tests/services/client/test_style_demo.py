"""The demo of style, and the picture that it draws."""

import zipfile
import zlib
from io import BytesIO
from pathlib import Path

import pytest

from services.client import Client
from services.client.demo import run_demos
from services.client.demos import style as style_demo
from services.client.demos.panes import DARK, GLASS, SIDE, draw_panes
from services.client.demos.scene import DemoFailed, Scene
from services.client.demos.style import FILES, PHOTOS
from tests.services.client.fake_api import FakeApi
from tests.services.client.fake_style import DEMO_FILES, START, FakeStyle, show_previews


@pytest.fixture
def scene(client: Client, style: FakeStyle, tmp_path: Path) -> Scene:
    files, folder = tmp_path / "files", tmp_path / "demo"
    files.mkdir()
    folder.mkdir()
    for name in FILES:
        (files / name).write_bytes(name.encode())
    show_previews(style.api, 3)
    return Scene(client, files, folder)


def test_photographs_are_painted_and_no_network_stays(scene: Scene, style: FakeStyle) -> None:
    for _ in range(2):
        rows = {row.what: row.result for _, row in run_demos((style_demo.DEMO,), scene)}
        assert len(rows) == style_demo.DEMO.jobs
        painted = rows["china.jpg as drawn glass"]
        assert painted == "40 steps, 3 previews, style 1 -> 0.25"
        assert rows["obama.jpg, stained-glass"] == "64 x 48 pixels"
        assert rows["train on 8 photographs"] == "demo-panes@1: loss 1.19 -> 0.531"
        assert rows["china.jpg, demo-panes@1"] == "64 x 48 pixels"
        assert [model["model"] for model in style.models] == ["stained-glass"]
    assert sorted(file.name for file in scene.folder.iterdir()) == sorted(DEMO_FILES)
    assert not style.requests("promote")
    train, _ = style.requests("train")
    with zipfile.ZipFile(BytesIO(style.api.blobs[train["data"]])) as archive:
        assert {name: archive.read(name) for name in archive.namelist()} == {
            name: (scene.files / name).read_bytes() for name in PHOTOS
        }


def test_a_style_that_is_hardly_met_fails_the_demo(scene: Scene, style: FakeStyle) -> None:
    style.losses["style"] = 0.51 * START["style"]
    with pytest.raises(DemoFailed, match=r"only fell from 1 to 0\.51\."):
        run_demos((style_demo.DEMO,), scene)


def test_a_painting_that_shows_nothing_on_its_way_fails_the_demo(
    scene: Scene, api: FakeApi
) -> None:
    api.events.clear()
    with pytest.raises(DemoFailed, match="No preview"):
        run_demos((style_demo.DEMO,), scene)


def test_a_photo_that_comes_back_as_it_was_fails_the_demo(scene: Scene, style: FakeStyle) -> None:
    style.at_once = b"obama.jpg"
    with pytest.raises(DemoFailed, match=r"obama\.jpg was not painted by stained-glass"):
        run_demos((style_demo.DEMO,), scene)


def test_a_network_that_learned_nothing_fails_the_demo_and_is_not_kept(
    scene: Scene, style: FakeStyle
) -> None:
    style.losses["total"] = 0.95 * START["total"]
    with pytest.raises(DemoFailed, match="The loss of demo-panes@1 went from"):
        run_demos((style_demo.DEMO,), scene)
    assert [model["model"] for model in style.models] == ["stained-glass"]


def test_a_failed_job_fails_the_demo_with_its_reason(scene: Scene, api: FakeApi) -> None:
    (scene.files / "china.jpg").write_bytes(b"broken")
    with pytest.raises(DemoFailed, match=r"style\.transfer: invalid_input: The picture is damaged"):
        run_demos((style_demo.DEMO,), scene)
    assert len(api.jobs) == 1


def test_ctrl_c_while_previews_come_cancels_the_job(
    scene: Scene, api: FakeApi, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(scene.client, "events", interrupt)
    with pytest.raises(KeyboardInterrupt):
        run_demos((style_demo.DEMO,), scene)
    assert [job["state"] for job in api.jobs.values()] == ["cancelled"]


def test_the_drawn_picture_has_glass_of_many_colours_and_dark_lead() -> None:
    drawn = draw_panes(style_demo.SEED)
    start = drawn.index(b"IDAT") + 4
    length = int.from_bytes(drawn[start - 8 : start - 4])
    content, width = zlib.decompress(drawn[start : start + length]), 1 + 3 * SIDE
    rows = [content[place + 1 : place + width] for place in range(0, len(content), width)]
    pixels = [row[place : place + 3] for row in rows for place in range(0, len(row), 3)]
    assert len(pixels) == SIDE**2
    assert set(pixels) == {DARK, *map(bytes, GLASS)}
    assert 0.1 < pixels.count(DARK) / SIDE**2 < 0.4
    assert drawn == draw_panes(style_demo.SEED) != draw_panes(style_demo.SEED + 1)
