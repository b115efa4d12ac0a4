"""Jobs are listed page by page, shown with their place in line, and cancelled."""

import threading
from datetime import UTC, datetime

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient

from tests.services.gateway.clients import check_problem, context_of, read_events, submit
from tests.services.gateway.conftest import MakeClient
from tests.services.gateway.stand_in import StandIn

SEND = {"path": "/v1/mail/send", "json": {"file": "data:,x"}}


def list_ids(client: FlaskClient, query: str = "") -> list[str]:
    """Every id, page by page."""
    ids, cursor = [], ""
    while cursor is not None:
        page = client.get(f"/v1/jobs?{query}{cursor and '&cursor='}{cursor}").json
        ids += [job["id"] for job in page["items"]]
        cursor = page["next"]
    return ids


@pytest.mark.parametrize("limit", [1, 2, 3, 7, 8, 9, 200])
def test_pages_have_neither_gaps_nor_repeats(client: FlaskClient, limit: int):
    jobs = [submit(client) for _ in range(8)]
    assert sorted(list_ids(client, f"limit={limit}")) == sorted(jobs)
    assert list_ids(client, f"limit={limit}") == sorted(jobs, reverse=True)


def test_the_last_page_has_no_next(client: FlaskClient):
    assert client.get("/v1/jobs").json == {"items": [], "next": None}
    for _ in range(3):
        submit(client)
    page = client.get("/v1/jobs?limit=3").json
    assert (len(page["items"]), page["next"]) == (3, None)


def test_jobs_submitted_while_paging_change_no_later_page(client: FlaskClient):
    jobs = sorted((submit(client) for _ in range(6)), reverse=True)
    first = client.get("/v1/jobs?limit=3").json
    for _ in range(4):
        submit(client)
    second = client.get(f"/v1/jobs?limit=3&cursor={first['next']}").json
    assert [job["id"] for job in first["items"] + second["items"]] == jobs


def test_pages_are_complete_under_racing_submits(each_app: APIFlask, make_client: MakeClient):
    client, other = make_client(each_app), make_client(each_app)
    before = {submit(client) for _ in range(30)}
    racing = threading.Thread(target=lambda: [submit(other) for _ in range(30)])
    racing.start()
    listed = list_ids(client, "limit=4")
    racing.join()
    assert len(listed) == len(set(listed))
    assert before <= set(listed)


def test_filters_by_state_and_task(client: FlaskClient, worker: StandIn):
    queued, running, done, failed, cancelled = (submit(client) for _ in range(5))
    sent = submit(client, **SEND)
    worker.start(running)
    worker.work(done)
    worker.finish(worker.start(failed), error_code="odd")
    client.post(f"/v1/jobs/{cancelled}/cancel")
    for query, expected in {
        "state=queued": {queued, sent},
        "state=running": {running},
        "state=succeeded": {done},
        "state=failed": {failed},
        "state=cancelled": {cancelled},
        "task=mail.send": {sent},
        "task=shop.mix&state=queued": {queued},
        "task=mail.send&state=failed": set(),
        "task=no.such": set(),
    }.items():
        assert set(list_ids(client, query)) == expected, query
        assert set(list_ids(client, f"{query}&limit=1")) == expected, query


@pytest.mark.parametrize(
    "query",
    [
        "state=done",
        "state=",
        "limit=0",
        "limit=201",
        "limit=-1",
        "limit=many",
        "limit=" + "9" * 5000,
        "cursor=1",
        "cursor=" + "g" * 32,
        "task=" + "x" * 101,
        "task=%00",
        "other=1",
    ],
)
def test_odd_filters_are_refused(client: FlaskClient, query: str):
    check_problem(client.get(f"/v1/jobs?{query}"), 422, "invalid-request")


def test_the_position_counts_the_jobs_of_the_task_ahead(
    app: APIFlask, client: FlaskClient, make_client: MakeClient, worker: StandIn
):
    jobs = sorted([submit(client) for _ in range(3)] + [submit(make_client(app, "bob"))])
    submit(client, **SEND)
    own = {job["id"] for job in client.get("/v1/jobs").json["items"]}

    def positions() -> list[int | None]:
        return [client.get(f"/v1/jobs/{job}").json["position"] for job in jobs if job in own]

    places = [place for place, job in enumerate(jobs) if job in own]
    assert positions() == places
    worker.start(jobs[0])
    shown = positions()
    assert [place for place in shown if place is not None] == [p - 1 for p in places if p]


def test_times_are_iso_8601_in_utc(client: FlaskClient, worker: StandIn):
    before = datetime.now(UTC)
    job = submit(client)
    worker.work(job)
    shown = client.get(f"/v1/jobs/{job}").json
    names = ["created_at", "started_at", "finished_at", "expires_at"]
    times = [datetime.fromisoformat(shown[name]) for name in names]
    assert all(time.utcoffset().total_seconds() == 0 for time in times)
    assert times == sorted(times)
    assert abs((times[0] - before).total_seconds()) < 5
    assert (times[3] - times[2]).total_seconds() == pytest.approx(7 * 24 * 3600, abs=0.01)


def test_an_outcome_is_shown(client: FlaskClient, worker: StandIn):
    good, bad = submit(client), submit(client)
    worker.work(good, {"text": "done"})
    worker.finish(worker.start(bad), error_code="invalid_input")
    shown = client.get(f"/v1/jobs/{good}").json
    assert (shown["state"], shown["result"], shown["error"]) == (
        "succeeded",
        {"text": "done"},
        None,
    )
    shown = client.get(f"/v1/jobs/{bad}").json
    assert (shown["state"], shown["result"]) == ("failed", None)
    assert shown["error"] == {"code": "invalid_input", "detail": "invalid_input"}
    assert client.get("/v1/jobs").json["items"][0]["id"] == max(good, bad)


def test_a_queued_job_is_cancelled_at_once(client: FlaskClient):
    job = submit(client)
    answer = client.post(f"/v1/jobs/{job}/cancel")
    assert answer.status_code == 200
    assert answer.json["state"] == "cancelled"
    assert answer.json["finished_at"]
    kinds = [event.kind for event in read_events(client.get(f"/v1/jobs/{job}/events"))]
    assert kinds == ["queued", "cancelled"]


def test_a_running_job_is_asked_to_stop(client: FlaskClient, worker: StandIn):
    job = submit(client)
    claim = worker.start(job)
    for _ in range(2):
        answer = client.post(f"/v1/jobs/{job}/cancel")
        assert answer.status_code == 200
        assert (answer.json["state"], answer.json["cancel_requested"]) == ("running", True)
    worker.finish(claim, {"text": "too late to stop"})
    assert client.get(f"/v1/jobs/{job}").json["state"] == "succeeded"


def test_a_finished_job_stays_as_it_is(client: FlaskClient, worker: StandIn):
    job = submit(client)
    worker.work(job)
    before = client.get(f"/v1/jobs/{job}").json
    answer = client.post(f"/v1/jobs/{job}/cancel")
    assert (answer.status_code, answer.json) == (200, before)


def test_of_a_cancel_and_a_worker_that_race_one_wins(each_app: APIFlask, make_client: MakeClient):
    client, ctx = make_client(each_app), context_of(each_app)
    worker = StandIn(ctx)
    for _ in range(20):
        job = submit(client)
        started = []

        def start(job: str = job, started: list = started) -> None:
            try:
                started.append(worker.start(job))
            except AssertionError:  # cancelled first: there was nothing to announce
                started.append(None)
            except ValueError:  # cancelled after it was announced
                started.append(None)

        racing = threading.Thread(target=start)
        racing.start()
        answer = client.post(f"/v1/jobs/{job}/cancel").json
        racing.join()
        shown = client.get(f"/v1/jobs/{job}").json
        assert (started[0] is None) == (shown["state"] == "cancelled")
        assert answer["state"] == "cancelled" or answer["cancel_requested"]


def test_tasks_are_listed_with_their_schemas(client: FlaskClient):
    items = client.get("/v1/tasks").json["items"]
    assert [(item["name"], item["path"]) for item in items] == [
        ("shop.mix", "/v1/shop/mix"),
        ("mail.send", "/v1/mail/send"),
    ]
    assert set(items[1]["request"]["properties"]) == {"file"}
    assert items[0]["max_batch"] == 4
    assert items[0]["example"] == {"text": "hello"}
