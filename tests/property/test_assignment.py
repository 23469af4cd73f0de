"""Assignment: every partition has one owner, shares are fair, and few move."""

from hypothesis import given
from hypothesis import strategies as st

from engine.domain.ids import PARTITIONS
from engine.fleet.assignment import assign

names = st.text("abcdefghijklmnopqrstuvwxyz0123456789-_", min_size=1, max_size=12)
fleets = st.sets(names, min_size=1, max_size=12)


def moved(before: dict[int, str], after: dict[int, str]) -> int:
    return sum(before[partition] != after[partition] for partition in before)


@given(fleets)
def test_every_partition_has_one_owner_of_the_fleet(workers: set[str]) -> None:
    owners = assign(workers)
    assert sorted(owners) == list(range(PARTITIONS))
    assert set(owners.values()) <= workers


@given(fleets)
def test_nobody_has_more_than_the_fair_share_rounded_up(workers: set[str]) -> None:
    owners = list(assign(workers).values())
    assert max(owners.count(worker) for worker in workers) <= -(-PARTITIONS // len(workers))


@given(fleets)
def test_everybody_computes_the_same(workers: set[str]) -> None:
    assert assign(workers) == assign(sorted(workers, reverse=True))


@given(st.sets(names, min_size=2, max_size=12), st.data())
def test_few_partitions_move_when_a_worker_leaves(workers: set[str], data: st.DataObject) -> None:
    leaver = data.draw(st.sampled_from(sorted(workers)))
    before, after = assign(workers), assign(workers - {leaver})
    orphans = sum(owner == leaver for owner in before.values())
    # Its own must move; the bound makes some others follow, never more than as many again.
    assert orphans <= moved(before, after) <= 3 * -(-PARTITIONS // (len(workers) - 1))


def test_a_fleet_of_none_owns_nothing() -> None:
    assert assign(set()) == {}
