"""Fail-over as the drill counts it: from the fault to the next owner's round, as stored."""

from typing import Any

import msgspec

from drill.faults import Fault
from drill.history import History, Run, Spread, Stored, figures_of
from drill.picture import picture
from engine.messaging.records import Decide, Record, Release, Take


def stored(at: float, kind: type[Record], owner: str, *, partition: int = 0) -> Stored:
    fields: dict[str, Any] = (
        {"decided": 3, "settled_micros": 0, "reserved_micros": 0} if kind is Decide else {}
    )
    record = kind(
        partition=partition,
        previous=0,
        epoch=1,
        owner=owner,
        at_ms=0,
        round=1,
        metrics_sequence=0,
        campaigns_revision=0,
        **fields,
    )
    return Stored(1, at, record)


def history(*records: Stored) -> History:
    found = History()
    for record in records:
        found.add(record)
    return found


TAKEN_OVER = history(
    stored(1.0, Take, "a"),
    stored(1.1, Decide, "a"),
    stored(1.9, Take, "b"),
    stored(2.0, Decide, "b"),
    stored(0.5, Take, "b", partition=1),
    stored(2.0, Decide, "b", partition=1),
)


def test_a_failover_ends_with_the_next_owners_first_round() -> None:
    fault = Fault(kind="worker_kill", at=1.5, over_at=2.5, target="a")
    assert TAKEN_OVER.failovers(fault) == [0.5]  # of partition 0 alone


def test_a_partition_that_its_owner_goes_on_with_is_no_failover() -> None:
    goes_on = history(stored(1.0, Take, "a"), stored(3.6, Decide, "a"), stored(9.0, Decide, "b"))
    fault = Fault(kind="worker_stop", at=1.5, over_at=2.5, target="a")
    assert goes_on.failovers(fault) == []


def test_a_partition_given_back_belongs_to_nobody() -> None:
    given = history(stored(1.0, Take, "a"), stored(1.2, Release, "a"))
    assert (given.owner(0, 1.1), given.owner(0, 1.3), given.owner(0, 0.9)) == ("a", "", "")


def test_the_figures_leave_a_graceful_handover_out_of_failover() -> None:
    term = Fault(kind="worker_term", at=1.5, over_at=1.6, target="a")
    figures = figures_of([Run(1, 0.2, TAKEN_OVER, [term])])
    assert figures.failover_p50_s is None
    assert figures.failover_by_kind == {"worker_term": Spread(1, 0.5, 0.5, 0.5)}


def test_the_broker_is_back_with_each_partitions_next_round() -> None:
    killed = Fault(kind="broker_kill", at=1.2, over_at=1.75, target="drill")
    figures = figures_of([Run(1, 0.2, TAKEN_OVER, [killed])])
    assert (figures.broker_back_p50_s, figures.broker_back_max_s) == (0.25, 0.25)
    figures = figures_of([Run(3, 0.2, TAKEN_OVER, [killed])])
    assert (figures.server_lost_p50_s, figures.server_lost_max_s) == (0.8, 0.8)
    assert figures.broker_back_p50_s is None


def test_the_picture_has_a_curve_and_a_bar_for_each_fault() -> None:
    faults = [Fault(kind="worker_kill", at=1.5, over_at=1.6, target="<a>")]
    drawn = picture(TAKEN_OVER, faults, title="a & b")
    assert drawn.count("<polyline") == 1
    assert "worker_kill &lt;a&gt;" in drawn
    assert "a &amp; b" in drawn


def test_rounds_that_were_due_and_not_decided_are_counted_as_skipped() -> None:
    found = History()
    for number, due_ms in enumerate((1_000, 1_200, 1_400, 2_000, 2_200)):
        record = stored(due_ms / 1000, Decide, "a").record
        found.add(Stored(number, due_ms / 1000, msgspec.structs.replace(record, at_ms=due_ms)))
    restart = Fault(kind="rolling_restart", at=1.1, over_at=2.1, target="all")
    figures = figures_of([Run(1, 0.2, found, [restart])])
    assert (figures.rolling_restarts, figures.rolling_skipped_rounds) == (1, 2)
    late = Fault(kind="rolling_restart", at=2.1, over_at=2.3, target="all")
    assert found.skipped(late, interval_s=0.2) == 0


def test_a_long_run_is_drawn_in_rows() -> None:
    found = history(*(stored(float(at), Decide, "a") for at in range(0, 700, 10)))
    drawn = picture(found, [Fault(kind="broker_kill", at=200.0, over_at=650.0)], title="long")
    assert drawn.count("<polyline") == 3
    assert drawn.count("<title>broker_kill") == 3
