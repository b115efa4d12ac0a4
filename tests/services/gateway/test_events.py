"""The events of a job arrive in order, each once, whatever happened to the stream."""

import threading
import time

import pytest
from apiflask import APIFlask
from flask.testing import FlaskClient
from redis import Redis
from sqlalchemy import delete

from services.gateway import follow
from services.gateway.hub import Hub
from shared.events import Event
from shared.tables import Job
from tests.services.gateway.clients import follow_job, parse_events, read_events, submit
from tests.services.gateway.conftest import MakeClient
from tests.services.gateway.stand_in import StandIn

KINDS = ["queued", "running", "progress", "progress", "progress", "succeeded"]


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Followers look at the job row every 50 ms, not every 15 s."""
    monkeypatch.setattr(Hub, "patience", 0.05)


def live(client: FlaskClient, worker: StandIn) -> str:
    """A finished job with events of every kind."""
    job = submit(client)
    claim = worker.start(job)
    for step in (0.25, 0.5, 0.75):
        worker.report(job, step)
    worker.finish(claim, {"text": "done"})
    return job


def test_events_arrive_in_order_as_they_happen(client: FlaskClient, worker: StandIn):
    job = submit(client)
    response = follow_job(client, job, buffered=False)
    chunks = response.iter_encoded()
    assert next(chunks) == b": following\n\n"
    assert b"event: queued\n" in next(chunks)
    claim = worker.start(job)
    assert b"event: running\n" in next(chunks)
    for step in (0.25, 0.5):
        worker.report(job, step)
        assert f'"fraction": {step}' in next(chunks).decode()
    worker.finish(claim, {"text": "done"})
    assert b"event: succeeded\n" in next(chunks)
    assert list(chunks) == []
    assert response.headers["Cache-Control"] == "no-store"
    response.close()


def test_events_name_the_job_and_have_rising_ids(client: FlaskClient, worker: StandIn):
    job = live(client, worker)
    events = read_events(follow_job(client, job))
    assert [event.kind for event in events] == KINDS
    assert {event.data["job"] for event in events} == {job}
    ids = [tuple(map(int, event.id.split("-"))) for event in events]
    assert ids == sorted(set(ids))


def test_a_failure_says_why(client: FlaskClient, worker: StandIn):
    job = submit(client)
    worker.finish(worker.start(job), error_code="too_large")
    last = read_events(follow_job(client, job))[-1]
    assert (last.kind, last.data["error"]["code"]) == ("failed", "too_large")


def test_resuming_misses_nothing_and_repeats_nothing(client: FlaskClient, worker: StandIn):
    job = live(client, worker)
    events = read_events(follow_job(client, job))
    for seen in range(1, len(events)):
        rest = read_events(follow_job(client, job, events[seen - 1].id))
        assert rest == events[seen:]


def test_parts_of_an_answer_arrive_in_order_and_can_be_resumed(
    client: FlaskClient, worker: StandIn
):
    job = submit(client)
    claim = worker.start(job)
    parts = [[{"frame": number}, {"frame": number + 1}] for number in (0, 2, 4)]
    for lines in parts:
        worker.tell(job, lines)
        worker.report(job, 0.5)
    worker.finish(claim, {"text": "done"})
    events = read_events(follow_job(client, job))
    told = [event for event in events if event.kind == "partial"]
    assert [event.data["lines"] for event in told] == parts
    rest = read_events(follow_job(client, job, told[0].id))
    assert rest == events[events.index(told[0]) + 1 :]


def test_a_client_cut_off_after_every_event_sees_each_once(
    client: FlaskClient, app: APIFlask, make_client: MakeClient, worker: StandIn
):
    job, steps = submit(client), 30
    working = threading.Thread(target=run_slowly, args=[worker, job, steps])
    working.start()
    seen: list[tuple[str, object]] = []
    last_id = ""
    reader = make_client(app)
    while not seen or seen[-1][0] != "succeeded":
        response = follow_job(reader, job, last_id, buffered=False)
        for chunk in response.iter_encoded():
            if events := parse_events(chunk.decode()):
                last_id = events[0].id
                seen.append((events[0].kind, events[0].data.get("fraction")))
                break
        response.close()
    working.join()
    steps_seen = [("progress", step / steps) for step in range(steps)]
    assert seen == [("queued", None), ("running", None), *steps_seen, ("succeeded", None)]


def run_slowly(worker: StandIn, job: str, steps: int) -> None:
    claim = worker.start(job)
    for step in range(steps):
        worker.report(job, step / steps)
        time.sleep(0.005)
    worker.finish(claim, {"text": "done"})


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("resumed", [False, True])
def test_without_its_stream_a_finished_job_is_told_from_the_row(
    client: FlaskClient, worker: StandIn, redis_url: str, resumed: bool
):
    job = live(client, worker)
    last_id = read_events(follow_job(client, job))[2].id if resumed else ""
    flush(redis_url)
    (event,) = read_events(follow_job(client, job, last_id))
    assert (event.kind, event.id) == ("succeeded", "")


def test_a_job_that_ended_before_a_resume_is_told_at_once(
    client: FlaskClient, worker: StandIn, redis_url: str
):
    job = live(client, worker)
    last_id = read_events(follow_job(client, job))[2].id
    flush(redis_url)
    started = time.monotonic()
    assert [event.kind for event in read_events(follow_job(client, job, last_id))] == ["succeeded"]
    assert time.monotonic() - started < 2


@pytest.mark.usefixtures("impatient")
def test_a_stream_lost_on_the_way_goes_on_with_what_follows(
    client: FlaskClient, worker: StandIn, redis_url: str
):
    job = submit(client)
    response = follow_job(client, job, buffered=False)
    chunks = response.iter_encoded()
    assert [next(chunks), next(chunks)][0] == b": following\n\n"
    claim = worker.start(job)
    assert b"event: running\n" in next(chunks)
    flush(redis_url)
    worker.report(job, 0.5)
    assert b"event: progress\n" in next(chunks)
    flush(redis_url)
    worker.finish(claim, {"text": "done"}, publish=False)
    assert b"event: succeeded\n" in next(chunks)
    assert list(chunks) == []
    response.close()


def test_a_flushed_running_job_begins_with_a_snapshot(
    client: FlaskClient, worker: StandIn, redis_url: str
):
    job = submit(client)
    claim = worker.start(job)
    flush(redis_url)
    response = follow_job(client, job, buffered=False)
    chunks = response.iter_encoded()
    assert next(chunks) == b": following\n\n"
    (snapshot,) = parse_events(next(chunks).decode())
    assert (snapshot.kind, snapshot.id) == ("running", "")
    worker.finish(claim, {"text": "done"})
    assert b"event: succeeded\n" in next(chunks)
    response.close()


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("error_code", [None, "odd"])
def test_an_end_that_was_never_published_is_told_from_the_row(
    client: FlaskClient, worker: StandIn, error_code: str | None
):
    job = submit(client)
    claim = worker.start(job)
    ending = threading.Timer(0.2, worker.finish, [claim, None, error_code, False])
    ending.start()
    events = read_events(follow_job(client, job))
    ending.join()
    assert [event.kind for event in events[:2]] == ["queued", "running"]
    (last,) = events[2:]
    assert (last.kind, last.id) == ("failed" if error_code else "succeeded", "")
    assert last.data.get("error") == (error_code and {"code": "odd", "detail": "odd"})


def test_what_was_published_before_an_unpublished_end_comes_first(
    client: FlaskClient, worker: StandIn, monkeypatch: pytest.MonkeyPatch
):
    job = submit(client)
    claim = worker.start(job)
    last_id = worker.ctx.events.read_after(job, "")[-1].id
    read_job = follow.read_job

    def end_meanwhile(ctx: object, job_id: str) -> Job | None:
        monkeypatch.setattr(follow, "read_job", read_job)
        worker.report(job, 0.9)
        worker.finish(claim, {"text": "done"}, publish=False)
        return read_job(ctx, job_id)

    monkeypatch.setattr(follow, "read_job", end_meanwhile)
    monkeypatch.setattr(Hub, "patience", 0.05)
    kinds = [event.kind for event in read_events(follow_job(client, job, last_id))]
    assert kinds == ["progress", "succeeded"]


def test_nothing_follows_the_end(client: FlaskClient, worker: StandIn):
    job = live(client, worker)
    worker.report(job, 0.99)  # a late report of a worker that lost the job
    assert [event.kind for event in read_events(follow_job(client, job))] == KINDS


@pytest.mark.usefixtures("impatient")
def test_a_job_that_expires_while_followed_ends_the_stream(client: FlaskClient, worker: StandIn):
    job = submit(client)
    worker.start(job)

    def expire() -> None:
        with worker.ctx.sessions.begin() as session:
            session.execute(delete(Job).where(Job.id == job))

    ending = threading.Timer(0.2, expire)
    ending.start()
    last = read_events(follow_job(client, job))[-1]
    ending.join()
    assert (last.kind, last.data["error"]["code"]) == ("failed", "expired")


@pytest.mark.parametrize(
    "last_id",
    [
        "nonsense",
        "1",
        "-",
        "1-",
        "-1",
        "1-2-3",
        "$",
        "+",
        "0x1-0",
        " 1-1",
        "9" * 20 + "-0",
        "9" * 99,
    ],
)
def test_an_invalid_last_event_id_begins_anew(client: FlaskClient, worker: StandIn, last_id: str):
    job = live(client, worker)
    kinds = [event.kind for event in read_events(follow_job(client, job, last_id))]
    assert kinds == KINDS


def test_last_event_id_zero_sends_everything(client: FlaskClient, worker: StandIn):
    job = live(client, worker)
    assert [event.kind for event in read_events(follow_job(client, job, "0-0"))] == KINDS


def test_a_quiet_stream_is_kept_open_by_comments(
    client: FlaskClient, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(follow, "PING_EVERY", 0.1)
    monkeypatch.setattr(Hub, "patience", 0.05)
    response = follow_job(client, submit(client), buffered=False)
    chunks = response.iter_encoded()
    first = [next(chunks) for _ in range(4)]
    assert first[0] == b": following\n\n"
    assert first[2:] == [b": ping\n\n"] * 2
    response.close()


def test_a_job_in_a_stream_of_many_jobs_gets_only_its_own_events(
    client: FlaskClient, worker: StandIn
):
    jobs = [live(client, worker) for _ in range(3)]
    worker.ctx.events.publish([Event("0" * 32, "progress")])
    for job in jobs:
        assert {event.data["job"] for event in read_events(follow_job(client, job))} == {job}


def flush(redis_url: str) -> None:
    with Redis.from_url(redis_url) as redis:
        redis.flushall()
