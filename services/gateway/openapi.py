"""Completes the API document: request bodies of tasks, errors, security."""

from collections.abc import Callable
from typing import Any

from services.gateway.problems import MEDIA_TYPE
from shared.contract import Task

Spec = dict[str, Any]

PROBLEM_SCHEMA = {
    "type": "object",
    "description": "RFC 9457 problem details",
    "properties": {
        "type": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong and what to do."},
        "instance": {"type": "string"},
        "errors": {"type": "array", "items": {"type": "object"}},
        "position": {"type": "integer"},
    },
    "required": ["type", "title", "status", "detail"],
}

ERRORS = {
    "400": "Not well-formed",
    "401": "No valid key",
    "403": "The key lacks a scope",
    "404": "Unknown here",
    "413": "Too large",
    "415": "Unsupported media type",
    "422": "Does not fit",
    "429": "Too many; see Retry-After",
    "503": "Not now; see Retry-After",
    "507": "Storage trouble",
}
COMMON_ERRORS = ("400", "401", "403", "429", "503")
SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"apiKey": []}]
SCHEMES = {
    "bearer": {"type": "http", "scheme": "bearer"},
    "apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
}
PUBLIC_PATHS = ("/healthz", "/readyz")
SUBMIT_HEADERS = [
    {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "The same key and request is the same job.",
        "schema": {"type": "string", "pattern": "^[!-~]{1,200}$"},
    },
    {
        "name": "Prefer",
        "in": "header",
        "description": "`wait=N`: answer 200 with the result if it is there within N seconds.",
        "schema": {"type": "string"},
    },
]

EVENTS = """Events, each with the id of its job:

- `queued`, `running` (`attempt`)
- `progress` and `preview`: `fraction` from 0 to 1, `step` in words, `preview`: the id of a picture
- `partial`: `lines`, a part of the answer, in order; a job that lost its worker begins again, and
  so do its lines
- `succeeded`, `failed` (`error` with `code` and `detail`), `cancelled`: then the stream ends

The newest 1000 of a job are kept for those who resume.
"""


def answers(description: str, *media_types: str) -> Any:
    """The 200 of an operation that does not answer JSON, for APIFlask's `doc`."""
    return {200: {"description": description, "content": {name: {} for name in media_types}}}


def make_processor(tasks: dict[str, Task]) -> Callable[[Any], Any]:
    by_path = {task.path: task for task in tasks.values()}

    def process(spec: Spec) -> Spec:
        components = spec.setdefault("components", {})
        components["securitySchemes"] = SCHEMES
        components.setdefault("schemas", {})["Problem"] = PROBLEM_SCHEMA
        for path, methods in spec["paths"].items():
            for operation in methods.values():
                _complete(path, operation)
                if path in by_path:
                    _add_request(by_path[path], operation, components["schemas"])
        ready = spec["paths"]["/readyz"]["get"]["responses"]
        ready["503"] = {**ready["200"], "description": "Jobs are not accepted now."}
        followed = spec["paths"]["/v1/jobs/{job_id}/events"]["get"]["responses"]["200"]
        followed["description"] = EVENTS
        upload = spec["paths"]["/v1/blobs"]["post"]
        content = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
        upload["requestBody"] = {"required": True, "content": content}
        _add_errors(upload, ("413", "422", "507"))
        return spec

    return process


def _complete(path: str, operation: Spec) -> None:
    for status in ("404", "422"):  # APIFlask's own error schema is not ours
        if status in operation["responses"]:
            _add_errors(operation, (status,))
    if path in PUBLIC_PATHS:
        return
    operation["security"] = SECURITY
    _add_errors(operation, COMMON_ERRORS)


def _add_errors(operation: Spec, statuses: tuple[str, ...]) -> None:
    reference = {"schema": {"$ref": "#/components/schemas/Problem"}}
    for status in statuses:
        operation["responses"][status] = {
            "description": ERRORS[status],
            "content": {MEDIA_TYPE: reference},
        }


def _add_request(task: Task, operation: Spec, schemas: Spec) -> None:
    name = task.name.replace(".", "_")
    schemas[f"{name}_request"] = _flatten(task.request.model_json_schema(), schemas, name)
    schemas[f"{name}_result"] = _flatten(task.result.model_json_schema(), schemas, name)
    reference = {"$ref": f"#/components/schemas/{name}_request"}
    operation["requestBody"] = {
        "required": True,
        "content": {
            "application/json": {"schema": reference, "example": task.example},
            "multipart/form-data": {"schema": _as_form(task, schemas[f"{name}_request"])},
        },
    }
    operation["parameters"] = operation.get("parameters", []) + SUBMIT_HEADERS
    accepted = operation["responses"]["202"]
    operation["responses"]["200"] = {
        "description": f"It ended within the wait; `result` is a {name}_result.",
        "content": accepted["content"],
    }
    _add_errors(operation, ("413", "415", "422", "507"))


def _flatten(schema: Spec, schemas: Spec, prefix: str) -> Spec:
    """Move nested definitions to where OpenAPI keeps them."""
    for name, nested in schema.pop("$defs", {}).items():
        schemas[f"{prefix}_{name}"] = _repoint(nested, prefix)
    result: Spec = _repoint(schema, prefix)
    return result


def _repoint(node: Any, prefix: str) -> Any:
    if isinstance(node, dict):
        return {
            key: value.replace("#/$defs/", f"#/components/schemas/{prefix}_")
            if key == "$ref"
            else _repoint(value, prefix)
            for key, value in node.items()
        }
    return [_repoint(item, prefix) for item in node] if isinstance(node, list) else node


def _as_form(task: Task, schema: Spec) -> Spec:
    """The request as form fields, its files as file parts."""
    binary = {"type": "string", "format": "binary"}
    fields = dict(schema.get("properties", {}))
    for field, _, many in task.blob_fields():
        fields[field] = {"type": "array", "items": binary} if many else binary
    return {**schema, "properties": fields}
