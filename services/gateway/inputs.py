"""Reads a task's request from JSON or multipart, and puts its files into the blob store."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from types import UnionType
from typing import IO, Any, Union, get_args, get_origin
from urllib.parse import unquote_to_bytes

from flask import request
from pydantic import ValidationError

from services.gateway.context import context
from services.gateway.problems import Problem, invalid_request
from shared.blobs import CHUNK, TooBig
from shared.contract import BLOB_PATTERN, Blob, Message, Task

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
DATA_URI = re.compile(r"data:[^,]*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL)


def read_request(task: Task, tenant: str, keep: float) -> Message:
    """The validated request, with every file replaced by its blob id. Raises Problem."""
    if request.mimetype == "multipart/form-data":
        body = _read_form(task, tenant, keep)
    elif request.mimetype == "application/json":
        body = _read_json()
    else:
        raise Problem(
            415, "unsupported-media-type", "Send application/json or multipart/form-data."
        )
    for field, _, many in task.blob_fields():
        body[field] = _store_inline(body.get(field), many, tenant, keep)
        if body[field] is None:
            del body[field]
    try:
        message = task.request.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error) from error
    _check_blobs(task, tenant, message)
    return message


def list_blobs(task: Task, message: Message) -> list[tuple[str, Blob, str]]:
    """(field, what it accepts, blob id) for every file a request names."""
    found = []
    for field, marker, many in task.blob_fields():
        value = getattr(message, field)
        ids = value if many else [value]
        found += [(field, marker, blob_id) for blob_id in ids or () if blob_id is not None]
    return found


def read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


def add_blob(tenant: str, content: Iterable[bytes], keep: float) -> Any:
    """Store a file of the request. Raises Problem 413."""
    ctx = context()
    try:
        return ctx.blobs.add(tenant, content, keep, ctx.settings.max_body)
    except TooBig as error:
        raise Problem(413, "too-large", f"{error} Send a smaller file.") from error


def parse_json(text: str) -> Any:
    """Raises ValueError if it is not JSON or not Unicode, RecursionError if it is too deep."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is not JSON")

    value = json.loads(text, parse_constant=refuse)
    if SURROGATE.search(text):  # half a character: no file, hash or model could take it
        json.dumps(value, ensure_ascii=False).encode()
    return value


def _read_json() -> dict[str, Any]:
    try:
        body = parse_json(request.get_data(cache=False).decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise Problem(400, "not-json", f"The body is not valid JSON: {error}.") from error
    if not isinstance(body, dict):
        raise Problem(422, "invalid-request", "The body has to be a JSON object.")
    return body


def _read_form(task: Task, tenant: str, keep: float) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in request.form:
        values = request.form.getlist(name)
        body[name] = _read_field(task, name, values)
    lists = {field: many for field, _, many in task.blob_fields()}
    for name in request.files:
        if name not in lists:
            raise Problem(422, "invalid-request", f"{task.name} takes no file named {name[:80]!r}.")
        ids = [
            add_blob(tenant, read_chunks(f.stream), keep).id for f in request.files.getlist(name)
        ]
        body[name] = ids if lists[name] else ids[-1]
    return body


def _read_field(task: Task, name: str, values: list[str]) -> Any:
    """A form field as the contract wants it: repeated or JSON for a list, JSON for an object."""
    field = task.request.model_fields.get(name)
    annotation = field.annotation if field else None
    either = get_origin(annotation) in (Union, UnionType)
    kinds = get_args(annotation) if either else (annotation,)  # of `list[str] | None`, say
    is_list = any(get_origin(kind) is list for kind in kinds)
    text = values[-1]
    if text[:1] in ("[", "{") and str not in kinds:
        try:
            return parse_json(text)
        except (ValueError, RecursionError):
            return text  # the contract will say what is wrong with it
    return values if is_list else text


def _store_inline(value: Any, many: bool, tenant: str, keep: float) -> Any:
    if many and isinstance(value, list):
        return [_store_inline(item, False, tenant, keep) for item in value]
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    limit = context().settings.max_inline
    content = _decode_data_uri(value)
    if len(content) > limit:
        detail = f"A data URI may hold {limit} bytes. Upload the file to /v1/blobs and send its id."
        raise Problem(413, "too-large", detail)
    return add_blob(tenant, [content], keep).id


def _decode_data_uri(uri: str) -> bytes:
    match = DATA_URI.fullmatch(uri)
    if not match:
        raise Problem(422, "invalid-request", "A data URI looks like data:image/png;base64,....")
    try:
        if match["base64"]:
            return base64.b64decode(unquote_to_bytes(match["data"]), validate=True)
        return unquote_to_bytes(match["data"])
    except (binascii.Error, ValueError) as error:
        raise Problem(422, "invalid-request", f"The data URI is broken: {error}.") from error


def _check_blobs(task: Task, tenant: str, message: Message) -> None:
    wanted = list_blobs(task, message)
    if not wanted:
        return
    ids = {blob_id for _, _, blob_id in wanted if re.fullmatch(BLOB_PATTERN, blob_id)}
    known = context().blobs.find(tenant, ids)
    for field, marker, blob_id in wanted:
        info = known.get(blob_id)
        if info is None:
            raise Problem(
                422,
                "unknown-blob",
                f"{field}: there is no file {blob_id[:80]!r}. "
                "Upload it to /v1/blobs first, or send a data URI.",
            )
        if marker.accept and info.media_type not in marker.accept:
            accepted = ", ".join(marker.accept)
            raise Problem(
                422,
                "wrong-media-type",
                f"{field}: the file is {info.media_type}; this task takes {accepted}.",
            )
