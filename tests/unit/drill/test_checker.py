"""The drill's checker sees every kind of harm, and none where there is none."""

from typing import Any

import pytest

from drill.changes import Budgets
from drill.checker import Checker, Verdict
from drill.spender import MARK
from engine.messaging.records import Columns, Decide, Keep, Record, Release, Take

BUDGET = 10_000_000
SPENT = 3 * MARK + 3  # three samples


def take(owner: str = "a", *, previous: int = 0, epoch: int = 1, **fields: Any) -> Take:  # noqa: ANN401
    positions = {"at_ms": 1, "round": 0, "metrics_sequence": 0, "campaigns_revision": 1}
    return Take(partition=0, previous=previous, epoch=epoch, owner=owner, **(positions | fields))


def decide(
    round_: int,
    *,
    previous: int,
    owner: str = "a",
    epoch: int = 1,
    settled: int = 0,
    reserved: int = 0,
    metrics: int = 0,
    revision: int = 1,
    at_ms: int | None = None,
) -> Decide:
    return Decide(
        partition=0,
        previous=previous,
        epoch=epoch,
        owner=owner,
        round=round_,
        at_ms=round_ if at_ms is None else at_ms,
        metrics_sequence=metrics,
        campaigns_revision=revision,
        decided=2,
        settled_micros=settled,
        reserved_micros=reserved,
        changed=Columns(
            campaign=["c"], settled_micros=[settled], reserved_micros=[reserved], series_count=[0]
        ),
    )


def verdict_on(
    *records: Record, fed: int = 0, samples: int = 0, budgets: dict[int, int] | None = None
) -> Verdict:
    """Return the verdict on records at sequences 1, 2, …; budgets are by revision."""
    known = Budgets()
    for revision, budget in (budgets or {1: BUDGET}).items():
        known.note("c", revision, budget)
    checker = Checker(budgets=known)
    for sequence, record in enumerate(records, 1):
        checker.add(sequence, record)
    return checker.verdict(fed_micros={"c": fed}, fed_samples={"c": samples})


SOUND = (
    take(),
    decide(1, previous=1, reserved=BUDGET),
    decide(2, previous=2, settled=SPENT, reserved=BUDGET - SPENT, metrics=7),
)


def test_a_sound_history_is_sound() -> None:
    release = Release(
        partition=0, previous=3, epoch=1, owner="a", at_ms=3, round=2, metrics_sequence=7,
        campaigns_revision=1,
    )  # fmt: skip
    found = verdict_on(
        *SOUND,
        release,
        take("b", previous=4, epoch=2, round=2, metrics_sequence=7),
        decide(3, previous=5, owner="b", epoch=2, settled=SPENT, reserved=0, metrics=7),
        fed=SPENT,
        samples=3,
    )
    assert found.is_sound
    assert found.findings == []
    assert (found.records, found.takes, found.rounds, found.accepted) == (6, 2, 3, 6)


@pytest.mark.parametrize(
    ("bad", "counts"),
    [
        (decide(3, previous=3, owner="z", settled=SPENT, metrics=7), "stale"),
        (decide(3, previous=3, epoch=2, settled=SPENT, metrics=7), "stale"),
        (take("b", previous=3, epoch=3, round=2, metrics_sequence=7), "gaps"),
        (take("b", previous=3, epoch=1, round=2, metrics_sequence=7), "stale"),
        (decide(3, previous=2, settled=SPENT, metrics=7), "gaps"),
        (decide(4, previous=3, settled=SPENT, metrics=7), "gaps"),
        (decide(2, previous=3, settled=SPENT, metrics=7), "duplicates"),
        (decide(3, previous=3, settled=SPENT, metrics=6), "gaps"),
        (decide(3, previous=3, settled=SPENT, metrics=7, at_ms=2), "gaps"),
        (decide(3, previous=3, settled=SPENT - 1, metrics=7), "gaps"),
        (decide(3, previous=3, settled=SPENT, reserved=BUDGET, metrics=7), "overspend_micros"),
    ],
)
def test_a_record_that_must_not_be_there_is_counted(bad: Record, counts: str) -> None:
    found = verdict_on(*SOUND, bad, fed=SPENT, samples=3)
    assert getattr(found, counts) > 0
    assert not found.is_sound
    assert any("sequence 4" in finding for finding in found.findings)


def test_samples_that_are_not_in_the_ledger_are_lost() -> None:
    found = verdict_on(*SOUND, fed=SPENT + 2 * (5 * MARK + 1), samples=5)
    assert (found.lost_samples, found.extra_samples) == (2, 0)


def test_samples_that_are_in_the_ledger_twice_are_extra() -> None:
    found = verdict_on(*SOUND, fed=SPENT - (MARK + 1), samples=2)
    assert (found.lost_samples, found.extra_samples) == (0, 1)


def test_spend_beyond_every_budget_is_overspent_though_the_ledger_agrees() -> None:
    late = decide(3, previous=3, settled=BUDGET + 5, metrics=8)
    found = verdict_on(*SOUND, late, fed=BUDGET + 5, samples=9)
    assert found.overspend_micros == 2 * 5  # in the ledger, and in the books


def test_a_budget_counts_from_the_revision_that_the_record_names() -> None:
    more = decide(3, previous=3, settled=SPENT, reserved=BUDGET, metrics=7, revision=1)
    budgets = {1: BUDGET, 2: 2 * BUDGET}
    assert verdict_on(*SOUND, more, fed=SPENT, samples=3, budgets=budgets).overspend_micros > 0
    known = decide(3, previous=3, settled=SPENT, reserved=BUDGET, metrics=7, revision=2)
    assert verdict_on(*SOUND, known, fed=SPENT, samples=3, budgets=budgets).is_sound


def test_a_lowered_budget_leaves_what_was_given_out_and_gives_out_no_more() -> None:
    budgets = {1: BUDGET, 2: BUDGET // 2}
    same = decide(3, previous=3, settled=SPENT, reserved=BUDGET - SPENT, metrics=7, revision=2)
    assert verdict_on(*SOUND, same, fed=SPENT, samples=3, budgets=budgets).is_sound
    more = decide(3, previous=3, settled=SPENT, reserved=BUDGET - SPENT + 1, metrics=7, revision=2)
    found = verdict_on(*SOUND, more, fed=SPENT, samples=3, budgets=budgets)
    assert found.overspend_micros == 1


def test_a_keep_is_held_to_the_budget_too() -> None:
    keep = Keep(
        partition=0, previous=3, epoch=1, owner="a", at_ms=3, round=2, metrics_sequence=7,
        campaigns_revision=1, campaign=["c"], settled_micros=[SPENT], reserved_micros=[BUDGET],
    )  # fmt: skip
    assert verdict_on(*SOUND, keep, fed=SPENT, samples=3).overspend_micros == SPENT
