"""Errors as RFC 9457 problem details: a type for programs, a sentence that says what to do."""

import json
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from apiflask import APIFlask, HTTPError
from flask import Response, request
from obstore.exceptions import BaseError as StoreError
from pydantic import ValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from shared.sealing import WrongMasterKey

log = structlog.get_logger()

MEDIA_TYPE = "application/problem+json"
MAX_ERRORS, MAX_SHOWN = 100, 200  # fields at fault that are listed, characters of each
TYPE_PREFIX = "urn:atelier:problem:"

ADVICE = {
    400: "The request is not well-formed HTTP or JSON.",
    404: "There is nothing at this address. /v1/tasks lists the tasks, /docs everything.",
    405: "This address does not answer that method. See /docs.",
    413: "The request is too large. Upload big files to /v1/blobs first and send their ids; a file "
    "may have ATELIER_MAX_BODY bytes, a setting of the server.",
    415: "Send application/json or multipart/form-data.",
    429: "Too many requests with this key. Wait as long as Retry-After says.",
}


SLUGS = {422: "invalid-request", 429: "rate-limited"}


class Problem(HTTPError):
    """A refusal with a type of its own, such as `unknown-blob`."""

    def __init__(
        self,
        status: int,
        slug: str,
        detail: str,
        headers: Mapping[str, str] | None = None,
        **extra: Any,
    ) -> None:
        super().__init__(detail=detail, headers=dict(headers or {}), extra_data=extra)
        self.status_code = status  # as an argument, APIFlask refuses 507
        self.slug = slug


def invalid_request(error: ValidationError) -> Problem:
    """A 422 that names each field at fault, as far as that is readable."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    errors = [
        {"field": _shorten(".".join(map(str, item["loc"]))), "message": _shorten(item["msg"])}
        for item in found[:MAX_ERRORS]
    ]
    listed = "; ".join(f"{item['field']}: {item['message']}" for item in errors[:3])
    return Problem(422, "invalid-request", f"The request does not fit: {listed}.", errors=errors)


def _shorten(text: str) -> str:
    """Names of fields are the client's, and may be megabytes."""
    shown = text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}..."
    return shown or "(whole request)"


def render(error: HTTPError) -> Response:
    """Any HTTP error as application/problem+json."""
    status = error.status_code
    title = HTTPStatus(status).phrase
    slug = getattr(error, "slug", SLUGS.get(status, title.lower().replace(" ", "-")))
    body: dict[str, Any] = {
        "type": TYPE_PREFIX + slug,
        "title": title,
        "status": status,
        "detail": _say(error),
        "instance": request.path,
        **error.extra_data,
    }
    response = Response(json.dumps(body), status, mimetype=MEDIA_TYPE)
    for name, value in dict(error.headers or {}).items():
        if name.lower() not in ("content-type", "content-length"):
            response.headers[name] = value
    return response


def _say(error: HTTPError) -> str:
    detail = error.detail
    if isinstance(detail, str) and detail:
        return detail
    if isinstance(detail, dict) and detail:  # APIFlask: {location: {field: [messages]}}
        fields = next(iter(detail.values()))
        return "; ".join(f"{_shorten(name)}: {' '.join(said)}" for name, said in fields.items())
    return ADVICE.get(error.status_code, error.message or "")


def register(app: APIFlask) -> None:
    @app.error_processor
    def process(error: HTTPError) -> Any:
        return render(error)

    @app.errorhandler(DBAPIError)
    @app.errorhandler(PoolTimeout)
    def database_away(error: Exception) -> Response:
        log.error("database error", error=str(error), path=request.path)
        return render(
            Problem(
                503,
                "database-unavailable",
                "The database does not answer. Nothing was accepted; send the request again, "
                "with the same Idempotency-Key if it had one.",
                headers={"Retry-After": "2"},
            )
        )

    @app.errorhandler(WrongMasterKey)
    def key_trouble(error: WrongMasterKey) -> Response:
        log.error("wrong master key", error=str(error), path=request.path)
        detail = "What is encrypted here cannot be opened: the operator has to set the master key."
        return render(Problem(503, "wrong-master-key", detail, headers={"Retry-After": "60"}))

    @app.errorhandler(OSError)
    @app.errorhandler(StoreError)
    def disk_trouble(error: Exception) -> Response:
        log.error("storage error", error=str(error), path=request.path)
        return render(
            Problem(
                507,
                "storage-unavailable",
                "The file could not be stored; the disk may be full. Nothing was accepted.",
                headers={"Retry-After": "30"},
            )
        )
