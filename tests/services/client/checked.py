"""Answers of the fake server behind the contract: what goes in and out has to fit it."""

from typing import Any

from services.catalog import load_tasks
from tests.services.client.fake_api import Answer


def check(name: str, method: Answer, asked: list[tuple[str, dict[str, Any]]]) -> Answer:
    """The method for a task's requests, which are noted in `asked` as they came."""
    task = load_tasks()[name]

    def answer(request: dict[str, Any]) -> dict[str, Any]:
        complete = task.request.model_validate(request).model_dump()  # an error fails the test
        asked.append((name, request))
        return task.result.model_validate(method(complete)).model_dump()

    return answer
