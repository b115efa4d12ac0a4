"""What `atelier demo` runs, and how it fails."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from services.catalog import find_workers
from services.client import Client
from services.client.cli import app
from services.client.demo import run_demos
from services.client.demos import DEMOS, PHOTOS, PLAIN_TO_SEE, DemoFailed, Scene
from shared.weights import load_catalog
from tests.services.client.fake_api import DRAWN, FakeApi


@pytest.fixture
def scene(client: Client, api: FakeApi, tmp_path: Path) -> Scene:
    files, folder = tmp_path / "files", tmp_path / "demo"
    files.mkdir()
    folder.mkdir()
    for name in PHOTOS:
        (files / name).write_bytes(name.encode())
    api.labels = {name.encode(): label for name, label in PLAIN_TO_SEE.items()}
    return Scene(client, files, folder)


def test_every_worker_has_a_demo_and_its_files_are_pinned() -> None:
    assert [demo.worker for demo in DEMOS] == find_workers()
    for demo in DEMOS:
        assert all(load_catalog().find(name) for name in demo.files)


def test_the_pictures_and_a_row_for_each_job_come_out(scene: Scene) -> None:
    rows = run_demos(DEMOS, scene)
    assert len(rows) == sum(demo.jobs for demo in DEMOS)
    assert {row.what for worker, row in rows if worker == "detect"} == set(PHOTOS)
    assert {file.read_bytes() for file in scene.folder.iterdir()} == {DRAWN}
    assert len(list(scene.folder.iterdir())) == len(PHOTOS)


def test_an_object_that_is_plain_to_see_must_be_found(scene: Scene, api: FakeApi) -> None:
    del api.labels[b"coffee.png"]
    with pytest.raises(DemoFailed, match=r"the cup in coffee\.png"):
        run_demos(DEMOS, scene)


def test_a_failed_job_fails_the_demo_with_its_reason(scene: Scene) -> None:
    (scene.files / "rocket.jpg").write_bytes(b"broken")
    with pytest.raises(DemoFailed, match=r"rocket\.jpg: invalid_input: The picture is damaged"):
        run_demos(DEMOS, scene)


def test_no_network_and_no_files_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        from shared.weights import PullFailed

        raise PullFailed("No source gave it.")

    monkeypatch.setattr("services.client.weights_commands.pull", refuse)
    result = CliRunner().invoke(app, ["demo"])
    assert result.exit_code == 1
    assert "No source gave it." in result.stderr
