"""Every task there is, found by looking in the workers' folders."""

from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pkgutil import iter_modules

from shared.contract import Task


def find_workers() -> list[str]:
    """The names of the folders workers/<name> that have a contract."""
    package = import_module("workers")
    names = sorted(module.name for module in iter_modules(package.__path__) if module.ispkg)
    return [name for name in names if find_spec(f"workers.{name}.contract")]


@lru_cache
def load_tasks() -> dict[str, Task]:
    """Task by name, from each workers/<name>/contract.py."""
    contracts = [import_module(f"workers.{name}.contract") for name in find_workers()]
    return {task.name: task for contract in contracts for task in contract.TASKS}
