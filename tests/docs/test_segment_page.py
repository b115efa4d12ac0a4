"""The page about segmentation names what the code has, and its commands exist."""

import json
import re
from pathlib import Path

import pytest
from typer.main import get_command

from services.client.segment_commands import app
from tests.docs.pages import call, find_lines, list_commands
from workers.runtime.onnx_export import NotEqual
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.trained import UnknownModel
from workers.segment import model_contract, pixels_contract, training_contract
from workers.segment.classes import read_classes
from workers.segment.fcn_config import SHAPES

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/segment.md").read_text()
README = (ROOT / "README.md").read_text()
TASKS = [*pixels_contract.TASKS, *training_contract.TASKS, *model_contract.TASKS]
COMMANDS = list_commands(get_command(app))


def list_heads(prefix: str) -> set[str]:
    """The names of all rows of tables that begin with it."""
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return {name for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("line", find_lines(PAGE, "segment") + find_lines(README, "segment"))
def test_every_command_that_is_shown_can_be_called_so(line: str) -> None:
    call(COMMANDS, line, default="pixels")


def test_every_task_is_explained_and_has_a_command() -> None:
    names = {task.name for task in TASKS}
    assert list_heads("segment.") == names
    assert {name.removeprefix("segment.") for name in names} == set(COMMANDS)


def test_every_scope_is_explained() -> None:
    assert list_heads("segment:") == {task.needed_scope for task in TASKS}
    assert "`segment:train`" in (ROOT / "docs/problems.md").read_text()


def test_every_field_of_an_answer_and_every_encoder_is_explained() -> None:
    shown = {"mask", "areas", "seen", "overlay", "heat_maps", "shapes"}
    assert shown == set(pixels_contract.PixelsResult.model_fields) - {"width", "height", "model"}
    assert shown | set(SHAPES) <= list_heads("")


def test_every_code_of_a_refusal_is_explained() -> None:
    kinds = (InvalidInput, TooLarge, UnknownModel, MissingPretrained, NotEqual)
    assert {kind.code for kind in kinds} | {"time_limit"} <= list_heads("")


def test_the_file_of_classes_that_is_shown_can_be_read() -> None:
    [shown] = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    classes = read_classes(shown.encode(), "classes.json")
    assert classes.names == ("wheat", "path")
    assert classes.void == {*json.loads(shown)["void"], 255}
