"""The API document is valid, complete, and true of every task there is."""

import re
from typing import Any

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from services.catalog import load_tasks
from shared.contract import Task
from shared.events import TERMINAL_KINDS
from tests.services.gateway.clients import PROBLEM
from tests.services.gateway.conftest import MakeApp

NOT_IN_IT = {"/openapi.json", "/docs", "/static/{filename}"}  # pages about the API


@pytest.fixture
def document(client: FlaskClient) -> Any:
    return client.get("/openapi.json").json


@pytest.fixture
def true_document(make_app: MakeApp, sqlite_database_url: str) -> Any:
    """The document of the workers in the repository."""
    client = make_app(sqlite_database_url, tasks=load_tasks()).test_client()
    return client.get("/openapi.json").json


def list_operations(document: Any) -> list[tuple[str, str, Any]]:
    return [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
    ]


def test_it_is_valid_openapi_31(document: Any, true_document: Any):
    for candidate in (document, true_document):
        assert candidate["openapi"] == "3.1.0"
        OpenAPIV31SpecValidator(candidate).validate()


def test_every_route_is_in_it(app: APIFlask, document: Any):
    routes = {
        (method.lower(), re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule))
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
    }
    documented = {(method, path) for method, path, _ in list_operations(document)}
    assert {route for route in routes if route[1] not in NOT_IN_IT} == documented


def test_every_kind_of_event_is_described(document: Any):
    followed = document["paths"]["/v1/jobs/{job_id}/events"]["get"]
    for kind in (*TERMINAL_KINDS, "queued", "running", "progress", "preview", "partial"):
        assert f"`{kind}`" in followed["responses"]["200"]["description"]


def test_every_operation_has_a_name_a_summary_and_a_tag(document: Any):
    operations = [operation for _, _, operation in list_operations(document)]
    names = [operation["operationId"] for operation in operations]
    assert len(set(names)) == len(names)
    assert all(operation["summary"] and operation["tags"] for operation in operations)


def test_every_error_is_a_problem(document: Any):
    for _, path, operation in list_operations(document):
        for status, answer in operation["responses"].items():
            if int(status) >= 400 and "content" in answer and path != "/readyz":
                assert list(answer["content"]) == [PROBLEM], (path, status)


def test_protected_operations_say_so(document: Any):
    for _, path, operation in list_operations(document):
        assert ("security" in operation) == (path not in ("/healthz", "/readyz")), path
        assert ("401" in operation["responses"]) == ("security" in operation), path


def test_a_task_is_described_as_json_and_as_a_form(document: Any):
    content = document["paths"]["/v1/shop/mix"]["post"]["requestBody"]["content"]
    assert content["application/json"]["example"] == {"text": "hello"}
    form = content["multipart/form-data"]["schema"]["properties"]
    binary = {"type": "string", "format": "binary"}
    assert form["cover"] == binary
    assert form["pages"] == form["files"] == {"type": "array", "items": binary}
    assert form["text"]["type"] == "string"


@pytest.mark.parametrize("task", load_tasks().values(), ids=lambda task: task.name)
def test_every_task_has_an_example_that_validates(task: Task, true_document: Any):
    task.request.model_validate(task.example)
    operation = true_document["paths"][task.path]["post"]
    schema = operation["requestBody"]["content"]["application/json"]["schema"]
    whole = {**schema, "components": true_document["components"]}
    Draft202012Validator(whole).validate(task.example)


def test_every_example_is_accepted_as_a_job(client: FlaskClient):
    for task in client.get("/v1/tasks").json["items"]:
        assert client.post(task["path"], json=task["example"]).status_code == 202
