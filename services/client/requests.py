"""Looks at a request as the server will, before the files it names are sent."""

import json
from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from services.catalog import load_tasks
from services.client.console import USAGE, leave

SOME_BLOB = "0" * 64  # for files that have no id yet


def check_request(task: str, options: Mapping[str, Any]) -> None:
    """Ends the command with the field that the server would refuse; None is for its default."""
    known = load_tasks()[task]
    files = {name: [SOME_BLOB] if many else SOME_BLOB for name, _, many in known.blob_fields()}
    given = {name: value for name, value in options.items() if value is not None}
    try:
        known.request.model_validate_json(json.dumps(files | given))
    except ValidationError as error:
        wrong = error.errors(include_url=False)[0]
        field = ".".join(map(str, wrong["loc"]))
        raise leave(f"{field}: {wrong['msg']}.", USAGE) from error
