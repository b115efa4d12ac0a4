"""The page about faces names what the code has, and its commands exist."""

import re
from pathlib import Path

import pytest
from typer.main import get_command

from services.catalog import load_tasks
from services.client.faces_commands import app
from tests.docs.pages import call, find_lines, list_commands
from workers.faces import refusals
from workers.runtime.run import JobError

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/faces.md").read_text()
README = (ROOT / "README.md").read_text()
COMMANDS = list_commands(get_command(app))
TASKS = [task for task in load_tasks().values() if task.worker == "faces"]


@pytest.mark.parametrize("line", find_lines(PAGE, "faces") + find_lines(README, "faces"))
def test_every_command_that_is_shown_can_be_called_so(line: str) -> None:
    call(COMMANDS, line)


def test_every_code_of_a_refusal_is_explained() -> None:
    codes = {kind.code for kind in vars(refusals).values() if isinstance(kind, type)}
    assert len(codes) > 5
    assert {code for code in codes - {JobError.code} if f"| `{code}` |" not in PAGE} == set()


def test_every_scope_is_explained_where_it_belongs() -> None:
    scopes = {task.needed_scope for task in TASKS}
    scopes |= {scope for task in TASKS for _, scope, _ in task.needs()}
    assert set(re.findall(r"^\| `(faces:\w+)` \|", PAGE, re.MULTILINE)) == scopes
    problems = (ROOT / "docs/problems.md").read_text()
    assert {scope for scope in scopes if f"`{scope}`" not in problems} == set()


def test_every_task_but_encoding_has_a_command() -> None:
    """Embeddings are for programs."""
    assert {task.name for task in TASKS} - {f"faces.{name}" for name in COMMANDS} == {
        "faces.encode"
    }
