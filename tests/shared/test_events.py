"""Followers get each event in order; a Redis that is down delays nobody and is found again."""

import time

import pytest
from redis import Redis
from redis.exceptions import RedisError

from shared.events import (
    CHANNEL,
    KEEP_ENTRIES,
    KEEP_SECONDS,
    NEW_JOBS,
    READ_ENTRIES,
    ROOM,
    Event,
    Events,
)
from tests.servers import run_valkey

SOON = 2.5  # seconds; far below what a client waits for


@pytest.fixture
def events(redis_url):
    opened = Events(redis_url)
    yield opened
    opened.redis.close()


@pytest.fixture
def own_valkey():
    """A server that a test may stop."""
    with run_valkey() as server:
        yield server


@pytest.fixture
def own_events(own_valkey):
    opened = Events(own_valkey.url)
    assert opened.publish([Event("a", "queued")])
    yield opened
    opened.redis.close()


def publish_later(events, event):
    """Publish as soon as it works again; how many seconds that took."""
    started = time.monotonic()
    while not events.publish([event]):
        assert time.monotonic() - started < 10
        time.sleep(0.05)
    return time.monotonic() - started


def measure(step, *arguments):
    started = time.monotonic()
    result = step(*arguments)
    return result, time.monotonic() - started


def test_events_are_read_in_order_with_their_data(events):
    sent = [Event("a", "queued"), Event("a", "progress", {"fraction": 0.5, "step": "grün"})]
    assert events.publish(sent)
    read = events.read_after("a", "")
    assert [(event.job_id, event.kind, event.data) for event in read] == [
        (event.job_id, event.kind, event.data) for event in sent
    ]
    assert len({event.id for event in read}) == 2


def test_each_job_has_its_own_stream(events):
    assert events.publish([Event("a", "queued"), Event("b", "queued"), Event("a", "running")])
    assert [event.kind for event in events.read_after("a", "")] == ["queued", "running"]
    assert [event.kind for event in events.read_after("b", "")] == ["queued"]
    assert events.read_after("c", "") == []


def test_reading_resumes_after_the_last_event_seen(events):
    events.publish([Event("a", kind) for kind in ("queued", "running", "succeeded")])
    queued, running, succeeded = events.read_after("a", "0")
    assert events.read_after("a", queued.id) == [running, succeeded]
    assert events.read_after("a", succeeded.id) == []


def test_followers_and_the_relay_are_woken(events):
    with events.redis.pubsub(ignore_subscribe_messages=True) as followed:
        followed.subscribe(CHANNEL, NEW_JOBS, ROOM)
        for _ in range(3):
            followed.get_message(timeout=5)
        events.publish([Event("a", "queued")], new_jobs="detect.objects", room="detect.act")
        messages = [followed.get_message(timeout=5) for _ in range(3)]
    assert [(message["channel"], message["data"]) for message in messages] == [
        (CHANNEL, "a queued"),
        (NEW_JOBS, "detect.objects"),
        (ROOM, "detect.act"),
    ]


def test_publishing_nothing_is_allowed(events):
    assert events.publish([])


def test_a_stream_keeps_the_newest_events_and_then_goes(events):
    count = 2 * KEEP_ENTRIES
    for start in range(0, count, 500):
        events.publish(
            [Event("a", "progress", {"n": n}) for n in range(start, min(start + 500, count))]
        )
    kept, last = list[int](), ""
    while read := events.read_after("a", last):
        assert len(read) <= READ_ENTRIES
        kept += [event.data["n"] for event in read]
        last = read[-1].id
    assert kept == list(range(count))[-len(kept) :]
    assert KEEP_ENTRIES <= len(kept) < KEEP_ENTRIES + 200  # whole blocks are trimmed
    assert 0 < events.redis.ttl("events:a") <= KEEP_SECONDS


def test_publishing_to_a_stopped_redis_fails_fast_and_recovers(own_events, own_valkey):
    own_valkey.stop()
    published, seconds = measure(own_events.publish, [Event("a", "running")])
    assert not published
    assert seconds < SOON
    published, seconds = measure(own_events.publish, [Event("a", "running")])
    assert not published
    assert seconds < 0.1  # it is not even tried
    own_valkey.start()
    assert publish_later(own_events, Event("a", "succeeded")) < SOON
    assert [event.kind for event in own_events.read_after("a", "")] == ["succeeded"]


def test_publishing_to_a_frozen_redis_fails_fast_and_recovers(own_events, own_valkey):
    own_valkey.freeze()
    published, seconds = measure(own_events.publish, [Event("a", "running")])
    own_valkey.thaw()
    assert not published
    assert seconds < SOON
    assert publish_later(own_events, Event("a", "succeeded")) < SOON


def test_a_restart_of_redis_is_not_noticed(own_events, own_valkey):
    own_valkey.stop()
    own_valkey.start()
    assert own_events.publish([Event("a", "running")])


def test_reading_says_that_redis_is_down(own_events, own_valkey):
    own_valkey.stop()
    started = time.monotonic()
    with pytest.raises(RedisError):
        own_events.read_after("a", "")
    assert time.monotonic() - started < SOON


def test_each_test_gets_an_empty_redis(redis_url):
    with Redis.from_url(redis_url) as redis:
        assert redis.dbsize() == 0
