"""A measurement as a table for people, and as a file with everything needed to judge it."""

import json
import os
import platform
import subprocess
import sys
from dataclasses import dataclass, field
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import psutil
from rich.console import Console
from rich.table import Table

ROOT = Path(__file__).parents[1]


@dataclass
class Report:
    """What a measurement found."""

    name: str
    columns: tuple[str, ...]  # the keys of `rows` that the table shows
    rows: list[dict[str, Any]]  # medians
    notes: list[str] = field(default_factory=list)  # targets met and missed, doubts
    cells: list[dict[str, Any]] = field(default_factory=list)  # every single measurement


def tell(met: bool) -> str:
    """The verdict on a target, as notes begin."""
    return "met" if met else "MISSED"


def read_machine() -> dict[str, Any]:
    """Where and on what this runs, and how busy others kept it."""
    return {
        "cpu": _read_cpu_model(),
        "cores": os.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30, 1),
        "system": platform.platform(),
        "python": platform.python_version(),
        "torch": version("torch"),
        "load_average": [round(load, 2) for load in os.getloadavg()],
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "commit": _read_commit(),
    }


def _read_cpu_model() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:  # not Linux
        return platform.processor()
    models = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return models[0] if models else platform.processor()


def _read_commit() -> str:
    """The commit, with + if files differ from it; empty outside a checkout."""
    git = ["git", "-C", str(ROOT), "describe", "--always", "--abbrev=12", "--dirty=+"]
    try:
        return subprocess.run(git, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return ""


def show(report: Report) -> None:
    table = Table(title=report.name)
    for column in report.columns:
        table.add_column(column, justify="left" if _is_text(report, column) else "right")
    for row in report.rows:
        table.add_row(*(_write(row.get(column)) for column in report.columns))
    console = Console(width=None if sys.stdout.isatty() else 140)
    console.print(table)
    for note in report.notes:
        console.print(f"- {note}", highlight=False, markup=False)


def _is_text(report: Report, column: str) -> bool:
    return any(isinstance(row.get(column), str) for row in report.rows)


def _write(value: Any) -> str:
    if value is None:
        return "-"
    if not isinstance(value, float):
        return str(value)
    return f"{value:.0f}" if abs(value) >= 100 else f"{value:.3g}"


def write_report(report: Report, machine: dict[str, Any], folder: Path, quick: bool) -> Path:
    """Write `<name>.json`; a quick look goes to a file of its own, for it proves nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{report.name}{'-quick' if quick else ''}.json"
    content = {
        "name": report.name,
        "command": _write_command(sys.argv[1:]),
        "machine": machine,
        "rows": report.rows,
        "notes": report.notes,
        "cells": report.cells,
    }
    path.write_text(json.dumps(_round(content), indent=1) + "\n", encoding="utf-8")
    return path


def _write_command(arguments: list[str]) -> str:
    """As others can repeat it: where the data lies is this machine's own."""
    words = ["python -m bench", *arguments]
    if "--data" in words:
        words[words.index("--data") + 1] = "DIR"
    return " ".join(words)


def _round(value: Any) -> Any:
    """Four digits are more than a measurement has."""
    if isinstance(value, float):
        return float(f"{value:.4g}")
    if isinstance(value, dict):
        return {key: _round(item) for key, item in value.items()}
    return [_round(item) for item in value] if isinstance(value, list) else value
