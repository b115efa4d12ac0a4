"""Upload and download files by the sha256 of their content."""

import re
from itertools import chain

from apiflask import APIBlueprint
from flask import Response, jsonify, request, url_for

from services.gateway.auth import caller, requires
from services.gateway.context import context
from services.gateway.inputs import read_chunks, refusing_big_files
from services.gateway.openapi import answers
from services.gateway.problems import Problem
from services.gateway.views import BlobView
from shared.contract import BLOB_PATTERN

EXTENSIONS = {"image/jpeg": ".jpg", "image/png": ".png", "image/webp": ".webp"}


def make_blueprint() -> APIBlueprint:
    bp = APIBlueprint("blobs", __name__, url_prefix="/v1/blobs", tag="Files")

    @bp.post("")
    @bp.doc(operation_id="upload_blob")
    @bp.output(BlobView, status_code=201, description="Stored.")
    @requires("blobs:write")
    def upload() -> Response:
        """Store a file: its bytes are the request body, whatever the Content-Type says."""
        chunks = read_chunks(request.stream)
        first = next(chunks, None)
        if first is None:
            raise Problem(
                422, "empty-file", "The body is empty: send the file's bytes as the body."
            )
        ctx, tenant = context(), caller().tenant
        with refusing_big_files():
            keep, limit = ctx.settings.result_ttl, ctx.settings.max_body
            info = ctx.blobs.add(tenant, chain([first], chunks), keep, limit)
        response = jsonify(id=info.id, size=info.size, media_type=info.media_type)
        response.status_code = 201
        response.headers["Location"] = url_for("blobs.download", blob_id=info.id)
        return response

    @bp.get("/<blob_id>")
    @bp.doc(
        operation_id="download_blob",
        responses=answers("The file", "application/octet-stream", *EXTENSIONS),
    )
    @requires("blobs:read")
    def download(blob_id: str) -> Response:
        """The bytes of a file."""
        ctx, tenant = context(), caller().tenant
        known = ctx.blobs.find(tenant, [blob_id]) if re.fullmatch(BLOB_PATTERN, blob_id) else {}
        try:
            info = known[blob_id]
            content = ctx.blobs.stream(tenant, blob_id)
        except KeyError as error:
            gone = "There is no such file, or it has expired."
            raise Problem(404, "unknown-blob", gone) from error
        extension = EXTENSIONS.get(info.media_type)
        # Only pictures are shown in place; a page or script uploaded by somebody never runs here.
        media_type = info.media_type if extension else "application/octet-stream"
        shown = "inline" if extension else "attachment"
        return Response(
            content,
            mimetype=media_type,
            headers={
                "Content-Length": str(info.size),
                "Content-Disposition": f'{shown}; filename="{blob_id[:16]}{extension or ".bin"}"',
                "ETag": f'"{blob_id}"',
                "Cache-Control": "private, max-age=31536000, immutable",
            },
        )

    return bp
