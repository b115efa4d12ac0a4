"""What the fake servers of all workers that keep models have in common."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from tests.services.client.checked import check
from tests.services.client.fake_api import Answer, FakeApi, JobFailed


@dataclass
class FakeModels:
    """Models of the fake server; tests read them."""

    worker: ClassVar[str]  # its name, before the names of its tasks

    api: FakeApi
    models: list[dict[str, Any]] = field(default_factory=list)
    asked: list[tuple[str, dict[str, Any]]] = field(default_factory=list)  # (task, request)

    def answer(self, methods: Mapping[str, Answer]) -> None:
        """Let methods answer the tasks of these names, besides those that are answered here."""
        own = {"models": self.list_all, "promote": self.promote, "forget": self.forget}
        for name, method in {**own, **methods}.items():
            task = f"{self.worker}.{name}"
            self.api.answers[task] = check(task, method, self.asked)

    def requests(self, name: str) -> list[dict[str, Any]]:
        return [request for task, request in self.asked if task == f"{self.worker}.{name}"]

    def find(self, name: str) -> str:
        for model in self.models:
            if name in (model["model"], model["model"].split("@")[0]):
                return str(model["model"])
        raise JobFailed("unknown_model", f"There is no model {name!r}.")

    def list_all(self, _: dict[str, Any]) -> dict[str, Any]:
        return {"models": self.models}

    def promote(self, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = self.find(asked["model"])
        for model in self.models:
            model["in_use"] = model["model"] == chosen
        return self.list_all({})

    def forget(self, asked: dict[str, Any]) -> dict[str, Any]:
        chosen = self.find(asked["model"])
        self.models = [model for model in self.models if model["model"] != chosen]
        return self.list_all({})
