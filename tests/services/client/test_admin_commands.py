"""`atelier keys` on a real database."""

import json

import pytest
from typer.testing import CliRunner

from services.client.cli import app
from shared.db import open_db
from shared.keys import find_key
from shared.settings import read_settings


@pytest.fixture
def run(database_url: str, monkeypatch: pytest.MonkeyPatch) -> CliRunner:
    monkeypatch.setenv("DATABASE_URL", database_url)
    read_settings.cache_clear()
    return CliRunner()


def works(key: str) -> bool:
    sessions = open_db(read_settings().database)
    with sessions.read() as session:
        found = find_key(session, key) is not None
    sessions.engine.dispose()
    return found


def create(run: CliRunner, *options: str) -> str:
    result = run.invoke(app, ["keys", "create", "camera", *options])
    assert result.exit_code == 0, result.output
    assert result.stdout.count("\n") == 1  # a script can take the key from here
    return result.stdout.strip()


def list_keys(run: CliRunner) -> list[dict[str, object]]:
    result = run.invoke(app, ["keys", "list", "--json"])
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def test_a_key_is_made_listed_and_revoked(run: CliRunner) -> None:
    key = create(run, "--tenant", "lab", "--scope", "detect:run", "--scope", "jobs:read")
    assert works(key)
    (listed,) = list_keys(run)
    assert listed["tenant"] == "lab"
    assert listed["scopes"] == ["detect:run", "jobs:read"]
    assert listed["revoked_at"] is None
    assert key not in json.dumps(listed)
    assert run.invoke(app, ["keys", "revoke", str(listed["id"])]).exit_code == 0
    assert not works(key)
    assert "revoked" in run.invoke(app, ["keys", "list"]).stdout


def test_a_key_can_expire(run: CliRunner) -> None:
    assert not works(create(run, "--days", "0"))
    assert works(create(run, "--days", "1"))
    assert [bool(key["expires_at"]) for key in list_keys(run)] == [True, True]


def test_a_rotated_key_works_through_its_grace_time(run: CliRunner) -> None:
    old = create(run)
    result = run.invoke(app, ["keys", "rotate", str(list_keys(run)[0]["id"])])
    assert works(old)
    assert works(result.stdout.strip())
    result = run.invoke(app, ["keys", "rotate", str(list_keys(run)[0]["id"]), "--grace", "0"])
    assert not works(old)
    assert works(result.stdout.strip())


@pytest.mark.parametrize("command", ["revoke", "rotate"])
def test_an_unknown_key_is_said(run: CliRunner, command: str) -> None:
    result = run.invoke(app, ["keys", command, "99"])
    assert result.exit_code == 1
    assert "There is no key 99 in use." in result.stderr


def test_a_machine_without_a_database_names_the_next_step() -> None:
    result = CliRunner().invoke(app, ["keys", "list"])
    assert result.exit_code == 1
    assert "atelier up" in result.stderr
