"""The page about text names what the code has, and its commands exist."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
from typer.main import get_command

from services.catalog import load_tasks
from services.client.text_commands import app
from workers.runtime.run import JobError
from workers.text import refusals

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/text.md").read_text()
README = (ROOT / "README.md").read_text()
TASKS = [task for task in load_tasks().values() if task.worker == "text"]
OTHERWISE = {"remove": "vocab.remove"}  # tasks that people look for among the vocabularies


def list_commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by its words with dots between, such as vocab.rank."""
    found = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= list_commands(command, f"{prefix}{name}.")
        else:
            found[prefix + name] = command
    return found


COMMANDS = list_commands(get_command(app))


def find_lines(text: str) -> list[str]:
    """What follows `atelier text` in blocks of shell, comments and pipes cut off."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return re.findall(r"atelier text ([^\n#|]+)", blocks)


@pytest.mark.parametrize("line", find_lines(PAGE) + find_lines(README))
def test_every_command_that_is_shown_can_be_called_so(line: str) -> None:
    words = shlex.split(line)
    name = words.pop(0)
    if name not in COMMANDS:
        name = f"{name}.{words.pop(0)}"
    COMMANDS[name].make_context(name, words)


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
