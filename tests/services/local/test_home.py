"""The state folder is private, checked, locked and remembered."""

import shutil
import stat
from collections import namedtuple
from pathlib import Path

import pytest

from services.local.errors import FolderBusy, StackError
from services.local.home import (
    State,
    is_locked,
    lock_home,
    prepare_home,
    read_state,
    write_private,
    write_state,
)

Usage = namedtuple("Usage", "total used free")


def test_the_folder_is_private(tmp_path: Path):
    home = prepare_home(tmp_path / "home")
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_a_folder_that_cannot_be_written_is_an_error_that_says_what_to_do(tmp_path: Path):
    (tmp_path / "file").touch()
    with pytest.raises(StackError, match=r"cannot be written.*ATELIER_HOME"):
        prepare_home(tmp_path / "file" / "home")


def test_a_nearly_full_disk_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**12, 10**12, 100 * 2**20))
    with pytest.raises(StackError, match="nearly full: 100 MB are free, 500 MB are needed"):
        prepare_home(tmp_path)


def test_what_was_written_is_remembered(tmp_path: Path):
    state = State(port=20_001, broker_port=20_002, session=42)
    write_state(tmp_path, state)
    assert read_state(tmp_path) == state


def test_state_that_cannot_be_read_names_the_file_to_delete(tmp_path: Path):
    (tmp_path / "state.json").write_text("{")
    with pytest.raises(StackError, match=r"state\.json is damaged"):
        read_state(tmp_path)


def test_private_files_are_for_the_owner_only_also_when_replaced(tmp_path: Path):
    path = tmp_path / "secret"
    path.write_text("old")
    path.chmod(0o644)
    write_private(path, "new")
    assert (path.read_text(), stat.S_IMODE(path.stat().st_mode)) == ("new", 0o600)


def test_a_folder_has_one_user_at_a_time(tmp_path: Path):
    with lock_home(tmp_path):
        assert is_locked(tmp_path)
        with pytest.raises(FolderBusy, match="Another stack"), lock_home(tmp_path, patience=0.1):
            pass
    assert not is_locked(tmp_path)


def test_looking_at_the_lock_makes_no_folder(tmp_path: Path):
    assert not is_locked(tmp_path / "absent")
    assert not (tmp_path / "absent").exists()
