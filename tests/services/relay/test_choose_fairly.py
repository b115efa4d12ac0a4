"""Tenants take turns, whatever they sent."""

from collections import Counter

from hypothesis import assume, given
from hypothesis import strategies as st

from services.relay.dispatch import choose_fairly

Waiting = dict[str, list[tuple[int, str]]]

tenants = st.sampled_from("abcdef")
counts = st.dictionaries(tenants, st.integers(0, 8))
free_places = st.integers(0, 30)


@st.composite
def lines(draw: st.DrawFn) -> Waiting:
    """Every tenant's waiting jobs in its own order; ids are unique, as they are in the table."""
    priorities = draw(st.dictionaries(tenants, st.lists(st.integers(0, 2), max_size=12)))
    numbers = draw(st.permutations(range(sum(map(len, priorities.values())))))
    ids = iter(numbers)
    return {
        tenant: sorted((priority, f"{next(ids):032x}") for priority in values)
        for tenant, values in priorities.items()
    }


def turn_of(waiting: Waiting, in_flight: dict[str, int]) -> dict[str, tuple[str, int]]:
    """Job -> its tenant and turn."""
    return {
        job: (tenant, in_flight.get(tenant, 0) + place)
        for tenant, line in waiting.items()
        for place, (_, job) in enumerate(line)
    }


@given(lines(), counts, free_places)
def test_free_places_are_filled_without_repeats(
    waiting: Waiting, in_flight: dict[str, int], free: int
):
    chosen = choose_fairly(waiting, in_flight, free)
    everything = {job for line in waiting.values() for _, job in line}
    assert len(chosen) == len(set(chosen)) == min(free, len(everything))
    assert set(chosen) <= everything


@given(lines(), counts, free_places)
def test_a_tenants_jobs_leave_by_priority_then_age(
    waiting: Waiting, in_flight: dict[str, int], free: int
):
    chosen = choose_fairly(waiting, in_flight, free)
    for line in waiting.values():
        own = [job for _, job in line]
        taken = [job for job in chosen if job in own]
        assert taken == own[: len(taken)]


@given(lines(), counts, free_places)
def test_nobody_goes_twice_while_another_waits_for_a_turn(
    waiting: Waiting, in_flight: dict[str, int], free: int
):
    chosen = choose_fairly(waiting, in_flight, free)
    turns = turn_of(waiting, in_flight)
    left = [turn for job, (_, turn) in turns.items() if job not in chosen]
    if chosen and left:
        assert max(turns[job][1] for job in chosen) <= min(left)


@given(lines(), counts, free_places, tenants, st.lists(st.integers(0, 2), min_size=1, max_size=20))
def test_extra_jobs_of_a_tenant_take_nobody_elses_turn(
    waiting: Waiting, in_flight: dict[str, int], free: int, flooder: str, extra: list[int]
):
    before = choose_fairly(waiting, in_flight, free)
    own = waiting.get(flooder, [])
    flood = sorted([*own, *((p, f"{2**64 + n:032x}") for n, p in enumerate(extra))])
    after = choose_fairly({**waiting, flooder: flood}, in_flight, free)
    turns = turn_of(waiting, in_flight)
    first_new = in_flight.get(flooder, 0) + len(own)  # the flood only adds turns from here on
    # Within the last turn that goes, priority decides, and the flood may raise the flooder's.
    last = max((turns[job][1] for job in before), default=0)
    for job in set(before) - set(after):
        tenant, turn = turns[job]
        assert tenant == flooder or turn >= min(first_new, last)


@given(lines(), free_places)
def test_with_nothing_in_flight_shares_differ_by_one_at_most(waiting: Waiting, free: int):
    chosen = set(choose_fairly(waiting, {}, free))
    shares = Counter(dict.fromkeys(waiting, 0))
    for tenant, line in waiting.items():
        shares[tenant] = sum(job in chosen for _, job in line)
    for tenant, line in waiting.items():
        if shares[tenant] < len(line):  # it would have had more to send
            assert shares[tenant] >= max(shares.values()) - 1


@given(st.integers(1, 50), st.integers(1, 5), st.integers(1, 20))
def test_a_small_tenant_is_served_at_once_behind_a_flood(flood: int, small: int, free: int):
    assume(free >= 2 * small)
    waiting = {
        "flood": [(0, f"{n:032x}") for n in range(flood)],
        "small": [(2, f"{1000 + n:032x}") for n in range(small)],
    }
    chosen = choose_fairly(waiting, {"flood": 3}, free)
    assert {job for _, job in waiting["small"]} <= set(chosen)
