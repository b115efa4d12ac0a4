"""The page about style names what the code has, its commands exist, and its pictures are small."""

import re
from pathlib import Path
from typing import get_args

import pytest
from PIL import Image
from typer.main import get_command

from services.client.style_commands import app
from tests.docs.pages import call, find_lines, list_commands
from workers.runtime.onnx_export import NotEqual
from workers.runtime.pretrained import MissingPretrained
from workers.runtime.run import InvalidInput, TooLarge
from workers.runtime.trained import UnknownModel
from workers.style import model_contract, training_contract, transfer_contract
from workers.style.recipe import PRESETS
from workers.style.transfer_contract import Preset, TransferRequest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/style.md").read_text()
README = (ROOT / "README.md").read_text()
TASKS = [*transfer_contract.TASKS, *training_contract.TASKS, *model_contract.TASKS]
COMMANDS = list_commands(get_command(app))
MAX_BYTES = 150_000  # of a picture


def list_heads(prefix: str) -> set[str]:
    """The names of all rows of tables that begin with it."""
    rows = re.findall(r"^\| (`[^|]+) \|", PAGE, re.MULTILINE)
    names = {name for row in rows for name in re.findall(r"`([^`]+)`", row)}
    return {name for name in names if name.startswith(prefix)}


@pytest.mark.parametrize("line", find_lines(PAGE, "style") + find_lines(README, "style"))
def test_every_command_that_is_shown_can_be_called_so(line: str) -> None:
    call(COMMANDS, line, default="transfer")


def test_every_task_is_explained_and_has_a_command() -> None:
    names = {task.name for task in TASKS}
    assert list_heads("style.") == names
    assert {name.removeprefix("style.") for name in names} == set(COMMANDS)


def test_every_scope_is_explained() -> None:
    assert list_heads("style:") == {task.needed_scope for task in TASKS}
    assert "`style:train`" in (ROOT / "docs/problems.md").read_text()


def test_every_field_of_a_painting_and_every_preset_is_explained() -> None:
    fields = set(TransferRequest.model_fields) - {"content", "preset", "format"}
    assert fields <= set(re.findall(r"`([a-z_]+)`", PAGE))
    assert set(get_args(Preset)) <= list_heads("")


@pytest.mark.parametrize("name", get_args(Preset))
def test_what_is_told_of_a_preset_is_what_the_code_has(name: Preset) -> None:
    [row] = re.findall(rf"^\| `{name}`[^|]*\|(.*)\|$", PAGE, re.MULTILINE)
    layers, weights, cost, _, shown, _ = (part.strip() for part in row.split("|"))
    preset = PRESETS[name]
    own = ", ".join(preset.content_layers["vgg16"]), ", ".join(preset.style_layers)
    assert layers == "; ".join(own)
    assert [float(one) for one in weights.split(",")] == [
        preset.content_weight,
        preset.style_weight,
        preset.tv_weight,
    ]
    sizes, steps = ([int(one) for one in re.findall(r"\d+", part)] for part in shown.split(";"))
    assert cost == preset.cost
    assert (len(sizes), max(sizes), sum(steps)) == (preset.scales, preset.size, preset.steps)


def test_every_code_of_a_refusal_is_explained() -> None:
    kinds = (InvalidInput, TooLarge, UnknownModel, MissingPretrained, NotEqual)
    assert {kind.code for kind in kinds} | {"time_limit"} <= list_heads("")


def test_its_pictures_are_there_and_small() -> None:
    paths = [ROOT / "docs" / one for one in re.findall(r"!\[[^]]+]\(([^)]+)\)", PAGE)]
    assert paths
    for path in paths:
        assert path.stat().st_size <= MAX_BYTES
        with Image.open(path) as picture:
            picture.load()
