"""A long job finds its checkpoints again; those nobody can go on from are cleared away."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from shared.contract import Message
from shared.db import Sessions
from shared.settings import Settings
from workers.runtime.checkpoints import drop_checkpoints, open_checkpoints
from workers.runtime.run import InvalidInput, Run


def test_a_job_that_is_claimed_again_finds_its_folder(tmp_path: Path):
    settings = Settings(home=tmp_path)
    (open_checkpoints(settings, "a") / "file").write_text("kept")
    assert (open_checkpoints(settings, "a") / "file").read_text() == "kept"
    assert open_checkpoints(settings, "b") != open_checkpoints(settings, "a")


def test_a_folder_older_than_any_deadline_goes(tmp_path: Path):
    settings = Settings(home=tmp_path, max_deadline=60)
    old, new = open_checkpoints(settings, "old"), open_checkpoints(settings, "new")
    os.utime(old, (time.time() - 61,) * 2)
    open_checkpoints(settings, "other")
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_another_process_clears_away_meanwhile_is_no_trouble(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = Path.iterdir

    def list_then_remove(folder: Path) -> Iterator[Path]:
        for path in list(listed(folder)):
            if path.name == "old":
                path.rmdir()
            yield path

    settings = Settings(home=tmp_path)
    old = open_checkpoints(settings, "old")
    monkeypatch.setattr(Path, "iterdir", list_then_remove)
    assert open_checkpoints(settings, "new").is_dir()
    assert not old.exists()


def test_checkpoints_go_once_the_outcome_is_committed_and_not_before(
    sessions: Sessions, tmp_path: Path
):
    folder = open_checkpoints(Settings(home=tmp_path), "a")
    run: Run[Message] = Run("a", "ann", Message(), bytes.fromhex, bytes.hex, print, bool)
    drop_checkpoints(run, folder)
    [effect] = run.effects
    with suppress(InvalidInput), sessions.begin() as session:
        effect(session)
        raise InvalidInput("another effect refuses")
    assert folder.exists()
    with sessions.begin() as session:
        effect(session)
        assert folder.exists()
    assert not folder.exists()
