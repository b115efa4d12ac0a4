"""Which segments are merged, and how many candidates are fetched."""

from hypothesis import given
from hypothesis import strategies as st

from workers.faces.index.policy import GROWTH, choose_fetch, choose_policy, plan_merges

sizes = st.lists(st.integers(0, 100_000), min_size=1, max_size=12)


@given(sizes)
def test_every_segment_is_in_one_run_and_the_order_stays(sizes):
    assert [i for run in plan_merges(sizes) for i in run] == list(range(len(sizes)))


@given(sizes)
def test_every_segment_ends_at_least_twice_as_large_as_all_newer_ones(sizes):
    after = [sum(sizes[i] for i in run) for run in plan_merges(sizes)]
    assert all(size >= GROWTH * sum(after[i + 1 :]) for i, size in enumerate(after[:-1]))


def test_a_segment_that_is_large_enough_is_not_written_again():
    assert plan_merges([900, 300, 100]) == [range(1), range(1, 2), range(2, 3)]


def test_the_newest_are_merged_as_far_as_they_are_too_many():
    assert plan_merges([900, 100, 60]) == [range(1), range(1, 3)]


def test_a_million_faces_added_bit_by_bit_are_in_few_segments_and_seldom_rewritten():
    held, written, most = [], 0, 0
    for _ in range(250):
        before = [*held, 4096]
        runs = plan_merges(before)
        held = [sum(before[i] for i in run) for run in runs]
        written += held[-1] if len(runs[-1]) > 1 else 4096
        most = max(most, len(held))
    assert sum(held) == 250 * 4096
    assert most <= 6
    assert written <= 7 * sum(held)


@given(st.integers(1, 10_000))
def test_more_is_fetched_than_asked_for(count):
    assert choose_fetch(count) >= max(64, 4 * count)


def test_the_exact_search_is_for_twenty_thousand_long_vectors():
    assert 19_000 < choose_policy(512).flat < 20_000
    assert choose_policy(128).flat == 4 * choose_policy(512).flat + 1
