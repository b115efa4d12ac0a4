"""The `atelier` command as a whole."""

import subprocess
import sys
from importlib.metadata import version

import pytest
from typer.testing import CliRunner

from services.client.cli import COMMANDS, app, load_command

HEAVY = ("httpx2", "sqlalchemy", "pydantic_settings", "celery", "flask", "torch", "rich.progress")


def test_help_names_every_command() -> None:
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert all(name in result.output for name in COMMANDS)


def test_help_loads_nothing_heavy() -> None:
    code = (
        "import sys, services.client.cli as cli\n"
        "try:\n    cli.app(['--help'])\n"
        "except SystemExit:\n    pass\n"
        f"sys.exit(','.join(name for name in {HEAVY!r} if name in sys.modules) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_can_be_loaded(name: str) -> None:
    assert load_command(name).name == name


def test_a_mistyped_command_is_a_usage_error_with_a_hint() -> None:
    result = CliRunner().invoke(app, ["detct"])
    assert result.exit_code == 2
    assert "detect" in result.stderr


def test_the_version_is_printed_without_a_command() -> None:
    result = CliRunner().invoke(app, ["--version"])
    assert result.exit_code == 0
    assert result.stdout.strip() == version("atelier")
