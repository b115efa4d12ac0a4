"""The documentation names what the code has."""

import ast
import re
from pathlib import Path

import pytest

from services.catalog import load_tasks
from services.gateway.auth import PUBLIC
from shared.settings import Settings

ROOT = Path(__file__).parents[2]
SOURCES = [p for folder in ("services", "workers", "shared") for p in (ROOT / folder).rglob("*.py")]


@pytest.mark.parametrize("name", Settings.model_fields)
def test_every_setting_is_documented(name):
    variable = Settings.model_fields[name].validation_alias or f"ATELIER_{name.upper()}"
    assert f"| `{variable}` |" in (ROOT / "docs/settings.md").read_text()


def test_every_documented_setting_exists():
    page = (ROOT / "docs/settings.md").read_text()
    documented = set(re.findall(r"^\| `([A-Z_]+)` \|", page, re.MULTILINE))
    known = {f.validation_alias or f"ATELIER_{n.upper()}" for n, f in Settings.model_fields.items()}
    assert documented == known


def test_every_problem_is_documented():
    page = (ROOT / "docs/problems.md").read_text()
    raised = set()
    for path in (ROOT / "services/gateway").glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "Problem":
                raised.add(node.args[1].value)
    assert raised
    assert [slug for slug in sorted(raised) if f"`{slug}`" not in page] == []


def test_every_scope_is_documented():
    page = (ROOT / "docs/problems.md").read_text()
    scopes = set()
    for path in (ROOT / "services/gateway").glob("*.py"):
        scopes |= set(re.findall(r'@requires\("([^"]+)"\)', path.read_text()))
    assert PUBLIC not in scopes
    assert [scope for scope in sorted(scopes) if f"`{scope}`" not in page] == []


def test_every_task_of_this_repository_is_in_a_readme():
    for task in load_tasks().values():
        folder = ROOT / "workers" / task.worker
        if folder.exists():
            assert task.name in (folder / "README.md").read_text()


def test_links_lead_somewhere():
    broken = []
    for page in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) < 80


@pytest.mark.parametrize("path", SOURCES, ids=lambda p: str(p.relative_to(ROOT)))
def test_every_file_says_what_it_is_for(path):
    if "migrations/versions" in str(path):
        return
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring
    assert docstring.splitlines()[0].endswith((".", ":", ";", ","))
