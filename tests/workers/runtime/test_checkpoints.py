"""A long job finds its checkpoints again; those nobody can go on from are cleared away."""

import os
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.contract import Message
from shared.db import Sessions
from shared.jobs.machine import State
from shared.settings import Settings
from tests.rows import make_job
from workers.runtime.checkpoints import drop_checkpoints, learn_on, open_checkpoints
from workers.runtime.run import InvalidInput, JobError, Run, TooLarge


def make_run() -> Run[Message]:
    return Run("a", "ann", Message(), bytes.fromhex, bytes.hex, print, print, bool, print)


def test_a_job_that_is_claimed_again_finds_its_folder(sessions: Sessions, tmp_path: Path):
    settings = Settings(home=tmp_path)
    (open_checkpoints(settings, sessions, "a") / "file").write_text("kept")
    assert (open_checkpoints(settings, sessions, "a") / "file").read_text() == "kept"
    assert open_checkpoints(settings, sessions, "b").name == "b"


def test_folders_of_jobs_that_have_ended_go(sessions: Sessions, tmp_path: Path):
    settings = Settings(home=tmp_path)
    ends: dict[str, dict[str, Any]] = {
        "cancelled": {"state": State.CANCELLED, "finished_at": time.time()},
        "late": {"state": State.FAILED, "finished_at": time.time()},
        "running": {"state": State.RUNNING},
        "again": {"state": State.QUEUED},  # its worker was killed
    }
    folders = {name: open_checkpoints(settings, sessions, name) for name in ends}
    with sessions.begin() as session:
        session.add_all(make_job(id=name, **values) for name, values in ends.items())
    open_checkpoints(settings, sessions, "new")
    assert [name for name, folder in folders.items() if folder.exists()] == ["running", "again"]


def test_a_folder_older_than_any_deadline_goes(sessions: Sessions, tmp_path: Path):
    settings = Settings(home=tmp_path, max_deadline=60)
    old, new = (open_checkpoints(settings, sessions, name) for name in ("old", "new"))
    os.utime(old, (time.time() - 61,) * 2)
    open_checkpoints(settings, sessions, "other")
    assert not old.exists()
    assert new.exists()


def test_a_folder_that_another_process_clears_away_meanwhile_is_no_trouble(
    sessions: Sessions, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    listed = Path.iterdir

    def list_then_remove(folder: Path) -> Iterator[Path]:
        for path in list(listed(folder)):
            if path.name == "old":
                path.rmdir()
            yield path

    settings = Settings(home=tmp_path)
    old = open_checkpoints(settings, sessions, "old")
    monkeypatch.setattr(Path, "iterdir", list_then_remove)
    assert open_checkpoints(settings, sessions, "new").is_dir()
    assert not old.exists()


def test_checkpoints_go_once_the_outcome_is_committed_and_not_before(
    sessions: Sessions, tmp_path: Path
):
    folder = open_checkpoints(Settings(home=tmp_path), sessions, "a")
    run = make_run()
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


@pytest.mark.parametrize("refusal", [InvalidInput, TooLarge, JobError])
def test_checkpoints_of_what_is_refused_go_at_once(
    refusal: type[JobError], sessions: Sessions, tmp_path: Path
):
    folder = open_checkpoints(Settings(home=tmp_path), sessions, "a")

    def learn() -> None:
        raise refusal("It learned nothing.")

    with pytest.raises(refusal):
        learn_on(make_run(), folder, learn)
    assert not folder.exists()
