"""Every direct dependency has its reason written down."""

import re
import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def named(requirements: list[str]) -> set[str]:
    return {re.split(r"[\[<>=!~; ]", text)[0] for text in requirements} - {PROJECT["name"]}


def test_docs_list_exactly_the_direct_dependencies():
    extras = [text for group in PROJECT["optional-dependencies"].values() for text in group]
    listed = re.findall(r"^\| \*\*([\w.-]+)\*\*", (ROOT / "docs/dependencies.md").read_text(), re.M)
    assert sorted(listed) == sorted(named(PROJECT["dependencies"]) | named(extras))
