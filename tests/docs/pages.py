"""What the tests of pages on workers share: the commands that are shown, and those that exist."""

import re
import shlex
from typing import Any


def list_commands(group: Any, prefix: str = "") -> dict[str, Any]:
    """Every command by its words with dots between, such as vocab.rank."""
    found: dict[str, Any] = {}
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            found |= list_commands(command, f"{prefix}{name}.")
        else:
            found[prefix + name] = command
    return found


def find_lines(text: str, worker: str) -> list[str]:
    """What follows `atelier WORKER` in blocks of shell, comments and pipes cut off."""
    blocks = "\n".join(re.findall(r"```sh\n(.*?)```", text, re.DOTALL)).replace("\\\n", " ")
    return re.findall(rf"atelier {worker} ([^\n#|]+)", blocks)


def call(commands: dict[str, Any], line: str, default: str | None = None) -> None:
    """Read the words of a command as it would; raises click's UsageError. It does not run.

    `default`: the command of lines that name none.
    """
    words = shlex.split(line)
    if default is not None and words[0] not in commands:
        words.insert(0, default)
    name = words.pop(0)
    if name not in commands:
        name = f"{name}.{words.pop(0)}"
    commands[name].make_context(name, words)
