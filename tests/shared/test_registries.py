"""The user's own pip and npm settings decide where archives come from."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests
from pypi_simple import PYPI_SIMPLE_ENDPOINT

from shared.downloads import Downloads
from shared.registries import Archive, Logins, Registries, Unavailable, read_pip_settings
from tests.package_index import PackageIndex, run_package_index

PIP_VARIABLES = ("PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_CERT", "PIP_PROXY")


@pytest.fixture(autouse=True)
def pip_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The only settings pip sees in these tests."""
    path = tmp_path / "pip.conf"
    path.write_text("[global]\nextra-index-url =\nindex-url = https://main.example/simple\n")
    for name in PIP_VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PIP_CONFIG_FILE", str(path))
    monkeypatch.setenv("HOME", str(tmp_path))
    read_pip_settings.cache_clear()
    yield path
    read_pip_settings.cache_clear()


@pytest.fixture
def index() -> Iterator[PackageIndex]:
    with run_package_index() as running:
        yield running


def test_pips_file_is_read():
    assert Registries().indexes == ["https://main.example/simple"]


def test_pips_variables_win_over_its_file(monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", "https://other.example/simple")
    assert Registries().indexes == ["https://other.example/simple"]


def test_without_settings_the_public_index_is_used(pip_file):
    pip_file.write_text("")
    assert Registries().indexes[0] == PYPI_SIMPLE_ENDPOINT


def test_pips_certificates_and_proxy_are_used(pip_file):
    pip_file.write_text("[global]\ncert = /etc/our-ca.pem\nproxy = http://proxy.example:8080\n")
    session = Registries().session
    assert session.verify == "/etc/our-ca.pem"
    assert session.proxies["https"] == "http://proxy.example:8080"


def test_extra_indexes_are_asked_when_the_main_one_has_no_such_file(index, monkeypatch):
    archive = index.add("demo-1.0.whl", b"wheel")
    with run_package_index() as empty:
        monkeypatch.setenv("PIP_INDEX_URL", empty.url)
        monkeypatch.setenv("PIP_EXTRA_INDEX_URL", f"file:///nowhere {index.url}")
        assert Registries().locate(archive).endswith("/files/demo-1.0.whl")


def test_an_index_that_asks_for_a_login_gets_the_one_in_its_url(index, monkeypatch, tmp_path):
    index.login = ("ann", "p@ss")
    archive = index.add("demo-1.0.whl", b"wheel")
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//ann:p%40ss@"))
    with Downloads(tmp_path) as downloads:
        assert downloads.archive(archive, lambda *_: None).read_bytes() == b"wheel"


def test_a_login_is_in_no_error_message(index, monkeypatch):
    index.login = ("ann", "right")
    archive = index.add("demo-1.0.whl", b"wheel")
    monkeypatch.setenv("PIP_INDEX_URL", index.url.replace("//", "//ann:wrong@"))
    with pytest.raises(Unavailable) as failure:
        Registries().locate(archive)
    assert "401" in str(failure.value)
    assert "wrong" not in str(failure.value)


def test_a_login_goes_to_no_other_host():
    logins = Logins()
    assert logins.take_from("https://ann:secret@our.example/simple") == "https://our.example/simple"
    for url, expected in (("https://our.example/x", True), ("https://files.example/x", False)):
        request = logins(requests.Request("GET", url).prepare())
        assert ("Authorization" in request.headers) is expected


def test_an_unknown_package_is_unavailable(index, monkeypatch):
    monkeypatch.setenv("PIP_INDEX_URL", index.url)
    archive = index.add("demo-1.0.whl", b"wheel").model_copy(update={"package": "other"})
    with pytest.raises(Unavailable, match="gave no page"):
        Registries().locate(archive)


def write_npm(folder: Path, program: str) -> None:
    """Put an npm on the PATH that runs this Python program."""
    folder.mkdir()
    command = folder / "npm"
    command.write_text(f"#!{sys.executable}\nimport sys\n{program}\n")
    command.chmod(0o755)


NPM_ARCHIVE = Archive(
    registry="npm",
    package="@demo/net",
    version="1.2.3",
    file="net-1.2.3.tgz",
    sha256="0" * 64,
    bytes=1,
)


def test_npm_itself_is_asked_for_the_address_of_its_archives(tmp_path, monkeypatch):
    write_npm(tmp_path / "bin", "print('\"https://npm.example/' + sys.argv[2] + '.tgz\"')")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    assert Registries().locate(NPM_ARCHIVE) == "https://npm.example/@demo/net@1.2.3.tgz"


def test_a_missing_npm_is_said(tmp_path, monkeypatch):
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(Unavailable, match="npm is needed"):
        Registries().locate(NPM_ARCHIVE)


def test_an_npm_that_fails_is_unavailable(tmp_path, monkeypatch):
    write_npm(tmp_path / "bin", "sys.exit(1)")
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    with pytest.raises(Unavailable, match="npm did not find"):
        Registries().locate(NPM_ARCHIVE)
