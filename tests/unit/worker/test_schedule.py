"""When rounds are due."""

import itertools

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.ids import PARTITIONS
from engine.worker.schedule import Schedule

intervals = st.integers(20, 3_600_000)
partitions = st.integers(0, PARTITIONS - 1)
times = st.integers(1_600_000_000_000, 2_000_000_000_000)


@given(intervals, partitions, times)
def test_the_newest_due_time_is_within_an_interval(interval: int, number: int, now: int) -> None:
    schedule = Schedule(interval_ms=interval, partition=number)
    assert 0 <= now - schedule.latest(now) < interval


@given(intervals, partitions, times, st.integers(-10_000_000, 10_000_000))
def test_the_next_round_is_always_later_and_never_two_behind(
    interval: int, number: int, last: int, passed: int
) -> None:
    schedule = Schedule(interval_ms=interval, partition=number)
    now = last + passed
    due = schedule.due(last, now)
    assert due > last
    assert schedule.latest(due) == due
    assert now - due < interval


@given(intervals, times)
def test_partitions_spread_over_the_interval(interval: int, now: int) -> None:
    schedules = [Schedule(interval_ms=interval, partition=p) for p in range(PARTITIONS)]
    dues = sorted(schedule.due(now, now) - now for schedule in schedules)
    assert max(b - a for a, b in itertools.pairwise(dues)) <= interval // PARTITIONS + 1
