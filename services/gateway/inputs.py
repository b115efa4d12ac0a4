"""Reads a task's request from JSON or multipart, and puts its files into the blob store."""

import base64
import binascii
import json
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import UnionType
from typing import IO, Any, Union, get_args, get_origin
from urllib.parse import unquote_to_bytes

from flask import request
from pydantic import ValidationError

from services.gateway.context import context
from services.gateway.problems import Problem, invalid_request
from shared.blobs import CHUNK, TooBig, Upload
from shared.contract import BLOB_PATTERN, Message, Task

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")
DATA_URI = re.compile(r"data:[^,]*?(?P<base64>;base64)?,(?P<data>.*)", re.DOTALL)


def read_request(task: Task, tenant: str, uploads: list[Upload]) -> Message:
    """The validated request, with every file replaced by its blob id. Raises Problem.

    The bytes of files in it are stored and noted in `uploads`, also when the request is refused.
    """
    if request.mimetype == "multipart/form-data":
        body = _read_form(task, tenant, uploads)
    elif request.mimetype == "application/json":
        body = _read_json()
    else:
        raise Problem(
            415, "unsupported-media-type", "Send application/json or multipart/form-data."
        )
    for field, _, many in task.blob_fields():
        body[field] = _store_inline(body.get(field), many, tenant, uploads)
        if body[field] is None:
            del body[field]
    try:
        message = task.request.model_validate(body)
    except ValidationError as error:
        raise invalid_request(error) from error
    _check_blobs(task, tenant, message, uploads)
    return message


def read_chunks(stream: IO[bytes]) -> Iterator[bytes]:
    while chunk := stream.read(CHUNK):
        yield chunk


@contextmanager
def refusing_big_files() -> Iterator[None]:
    """Raises Problem 413 for a file over the limit."""
    try:
        yield
    except TooBig as error:
        advice = "Send a smaller file, or have ATELIER_MAX_BODY raised."
        raise Problem(413, "too-large", f"{error} {advice}") from error


def _store(tenant: str, content: Iterable[bytes], uploads: list[Upload]) -> str:
    """The blob id of a file in the request."""
    ctx = context()
    with refusing_big_files():
        upload = ctx.blobs.put(tenant, content, ctx.settings.max_body)
    uploads.append(upload)
    return upload.info.id


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


def _read_form(task: Task, tenant: str, uploads: list[Upload]) -> dict[str, Any]:
    body: dict[str, Any] = {}
    for name in request.form:
        values = request.form.getlist(name)
        body[name] = _read_field(task, name, values)
    lists = {field: many for field, _, many in task.blob_fields()}
    for name in request.files:
        if name not in lists:
            raise Problem(422, "invalid-request", f"{task.name} takes no file named {name[:80]!r}.")
        files = request.files.getlist(name)
        ids = [_store(tenant, read_chunks(file.stream), uploads) for file in files]
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


def _store_inline(value: Any, many: bool, tenant: str, uploads: list[Upload]) -> Any:
    if many and isinstance(value, list):
        return [_store_inline(item, False, tenant, uploads) for item in value]
    if not isinstance(value, str) or not value.startswith("data:"):
        return value
    limit = context().settings.max_inline
    content = _decode_data_uri(value)
    if len(content) > limit:
        detail = f"A data URI may hold {limit} bytes. Upload the file to /v1/blobs and send its id."
        raise Problem(413, "too-large", detail)
    return _store(tenant, [content], uploads)


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


def _check_blobs(task: Task, tenant: str, message: Message, uploads: list[Upload]) -> None:
    known = {upload.info.id: upload.info for upload in uploads}
    wanted = task.list_blobs(message)
    ids = {blob_id for _, _, blob_id in wanted if re.fullmatch(BLOB_PATTERN, blob_id)}
    if ids - known.keys():
        known |= context().blobs.find(tenant, ids - known.keys())
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
