"""The page about text names what the code has, and its commands exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from services.catalog import load_tasks
from services.client.text_commands import app
from tests.docs.pages import call, find_lines, list_commands
from workers.runtime.run import JobError
from workers.text import refusals

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/text.md").read_text()
README = (ROOT / "README.md").read_text()
TASKS = [task for task in load_tasks().values() if task.worker == "text"]
OTHERWISE = {"remove": "vocab.remove"}  # tasks that people look for among the vocabularies
COMMANDS = list_commands(get_command(app))


@pytest.mark.parametrize("line", find_lines(PAGE, "text") + find_lines(README, "text"))
def test_every_command_that_is_shown_can_be_called_so(line: str) -> None:
    call(COMMANDS, line)


def test_every_code_of_a_refusal_is_explained() -> None:
    codes = {kind.code for kind in vars(refusals).values() if isinstance(kind, type)}
    assert len(codes) > 5
    assert {code for code in codes - {JobError.code} if f"| `{code}` |" not in PAGE} == set()


def test_every_scope_is_explained_where_it_belongs() -> None:
    scopes = {task.needed_scope for task in TASKS}
    assert set(re.findall(r"^\| `(text:\w+)` \|", PAGE, re.MULTILINE)) == scopes
    assert "`text:train`" in (ROOT / "docs/problems.md").read_text()


def test_every_task_has_a_command() -> None:
    names = {task.name.removeprefix("text.") for task in TASKS}
    assert {OTHERWISE.get(name, name) for name in names} - set(COMMANDS) == set()
