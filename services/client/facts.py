"""Shows what commands are answered with, value by value."""

from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

from services.catalog import load_tasks
from services.client.console import write_json, write_table

DAY = 86_400.0  # seconds


def show_facts(task: str, facts: dict[str, Any], as_json: bool) -> None:
    """A task's result: a row for each value that is known, in the order of the contract."""
    if as_json:
        write_json(facts)
        return
    order = list(load_tasks()[task].result.model_fields)
    names = sorted(facts, key=lambda name: order.index(name) if name in order else len(order))
    write_table(("what", "value"), [row for name in names for row in _make_rows(name, facts[name])])


def show_rows(
    columns: Sequence[str],
    items: Iterable[dict[str, Any]],
    make_row: Callable[[dict[str, Any]], Sequence[str]],
    as_json: bool,
) -> None:
    """A row for each item of a list, or a JSON object on a line of its own."""
    if as_json:
        for item in items:
            write_json(item)
    else:
        write_table(columns, map(make_row, items))


def _make_rows(name: str, value: Any) -> list[tuple[str, str]]:
    """No row for what is not known, one for each item of an object."""
    if isinstance(value, dict):
        return [row for key in value for row in _make_rows(f"{name} {key}", value[key])]
    text = _describe(name, value)
    return [(name.replace("_", " "), text)] if text else []


def _describe(name: str, value: Any) -> str:
    """A value in words; empty for nothing."""
    if value is None:
        return ""
    if name.endswith("_at"):
        return format_time(value)
    if name == "retention":
        return f"{value / DAY:g} days"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return f"{value:.6g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def format_time(seconds: float) -> str:
    """Local time, from seconds since 1970."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
