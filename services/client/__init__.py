"""The Python client of Atelier, and its command line."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from services.client.client import Client
    from services.client.job import Job, JobEvent
    from services.client.problems import ClientError, NotConfigured, Problem, Unreachable

__all__ = ["Client", "ClientError", "Job", "JobEvent", "NotConfigured", "Problem", "Unreachable"]


def __getattr__(name: str) -> Any:
    # Loaded on first use: `atelier --help` needs none of it and should answer at once.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    for module in ("client", "job", "problems"):
        names = vars(import_module(f"services.client.{module}"))
        if name in names:
            return names[name]
    raise AttributeError(name)
