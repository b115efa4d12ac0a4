"""The API does what its document says, whatever is sent to it."""

import os
from collections import Counter
from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, given, seed, settings
from hypothesis import strategies as st
from schemathesis import Case, GenerationMode, checks

from tests.services.gateway.clients import PNG
from tests.services.gateway.live import Live

FULL = os.environ.get("ATELIER_FULL") == "1"
CASES = 170 if FULL else 24  # of each operation that takes any input
CHECKS = [
    checks.not_a_server_error,
    checks.status_code_conformance,
    checks.content_type_conformance,
    checks.response_schema_conformance,
]


@pytest.fixture(scope="module")
def known(live: Live) -> dict[str, list[str]]:
    """Ids that exist; a random one never does."""
    with live.open() as client:
        blobs = [client.post("/v1/blobs", content=c).json()["id"] for c in (b"known", PNG)]
        job = client.post("/v1/echo/say", json={"text": "hi"}).json()["id"]
        while client.get(f"/v1/jobs/{job}").json()["state"] != "succeeded":
            client.get(f"/v1/jobs/{job}", headers={"Prefer": "wait=2"})
    return {"job_id": [job], "blob_id": blobs}


def test_every_answer_is_as_documented(
    live: Live, known: dict[str, list[str]], subtests: pytest.Subtests
):
    document = schemathesis.openapi.from_url(f"{live.url}/openapi.json")
    statuses: Counter[int] = Counter()
    for result in document.get_all_operations():
        operation = result.ok()
        with subtests.test(operation.label):
            check_cases(live, make_cases(operation, known), statuses)
    print(f"{statuses.total()} cases: {dict(sorted(statuses.items()))}")  # noqa: T201
    assert {200, 201, 202, 404, 422} <= set(statuses)


def make_cases(operation: Any, known: dict[str, list[str]]) -> st.SearchStrategy[Case]:
    """Requests as documented, broken ones, and ones for what exists."""
    kinds = [operation.as_strategy()]
    for parameter in operation.path_parameters:
        for value in known[parameter.name]:
            kinds.append(operation.as_strategy(path_parameters={parameter.name: value}))
    if takes_input(operation):
        kinds.append(operation.as_strategy(generation_mode=GenerationMode.NEGATIVE))
    return st.one_of(kinds)


def takes_input(operation: Any) -> bool:
    return bool(operation.body or operation.query or operation.headers)


def check_cases(live: Live, cases: st.SearchStrategy[Case], statuses: Counter[int]) -> None:
    headers = {"Authorization": f"Bearer {live.key}"}

    @seed(1)  # of all tests on one machine the same, or a nightly failure is gone by day
    @settings(max_examples=CASES, suppress_health_check=list(HealthCheck))
    @given(cases)
    def check(case: Case) -> None:
        response = case.call(headers=headers, timeout=30)
        statuses[response.status_code] += 1
        case.validate_response(response, checks=CHECKS)

    check()
