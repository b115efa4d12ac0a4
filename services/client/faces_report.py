"""Shows what `atelier faces` commands are answered with."""

from datetime import datetime
from typing import Any

from services.client.console import write_json, write_table

DAY = 86_400.0  # seconds


def show_facts(facts: dict[str, Any], as_json: bool) -> None:
    """One thing: a row for each value that is known."""
    if as_json:
        write_json(facts)
        return
    rows = [(name.replace("_", " "), _describe(name, value)) for name, value in facts.items()]
    write_table(("what", "value"), [row for row in rows if row[1]])


def _describe(name: str, value: Any) -> str:
    """A value in words; empty for nothing."""
    if value is None:
        return ""
    if name.endswith("_at"):
        return format_time(value)
    if name == "retention":
        return f"{value / DAY:g} days"
    if isinstance(value, dict):
        return ", ".join(f"{key} {item}" for key, item in value.items())
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(value) if isinstance(value, list) else str(value)


def format_time(seconds: float) -> str:
    """Local time, from seconds since 1970."""
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")
