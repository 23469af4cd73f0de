"""The last look at a change before it leaves."""

from typing import Any

import pytest

from engine.gateway.sanity import problem_of
from engine.messaging.changes import Change
from support.platform import LIMITS


def look(lever: str, value: float, **fields: Any) -> str:  # noqa: ANN401
    change = Change(id="c", campaign="c", entity="e", lever=lever, value=value, **fields)
    return problem_of(change, limits=LIMITS, step_micros=10_000, most_micros=5_000_000)


@pytest.mark.parametrize(
    ("lever", "value", "before", "said"),
    [
        ("bid", 800_000.0, 500_000.0, ""),
        ("bid", float("nan"), None, "a number"),
        ("bid", float("inf"), None, "a number"),
        ("bid", 805_000.0, None, "a multiple of 0.01, found 0.805"),
        ("bid", 0.0, None, "at least 0.01"),
        ("bid", -500_000.0, None, "at least 0.01"),
        ("bid", 6_000_000.0, None, "at most 5.00, found 6.00"),
        ("bid", 4_000_000.0, 100_000.0, "up to 10 times"),
        ("daily-budget", 500_000.0, None, "daily-budget: at least 1.00"),
        ("target-roas", 3.456, 3.0, ""),
        ("target-roas", 0.0, None, "0.01 to 1000"),
        ("serving", 0.0, 1.0, ""),
        ("serving", 0.5, None, "serving: 0 or 1"),
    ],
)
def test_money_out_of_range_or_far_from_what_is_in_force_does_not_leave(
    lever: str, value: float, before: float | None, said: str
) -> None:
    found = look(lever, value, before=before)
    assert said in found
    assert bool(found) == bool(said)


def test_a_person_may_order_a_jump() -> None:
    assert look("bid", 4_000_000.0, before=100_000.0, why="order") == ""
