"""Track D: the engine and the naive rule on a market that answers."""

import pytest

from bench.quality.closed_loop import Outcome, Scenario, compare
from bench.quality.closed_results import lines_of, summary_of, track_d

SMALL = Scenario(5, 60.0, 60.0, campaigns=30)


@pytest.fixture(scope="module")
def outcomes() -> dict[str, Outcome]:
    return compare(SMALL)


def test_the_engine_wins_far_more_than_the_naive_rule_and_overspends_nowhere(
    outcomes: dict[str, Outcome],
) -> None:
    engine, naive = (summary_of(outcomes[policy].flights) for policy in ("engine", "naive"))
    assert 0.4 < engine["won"] <= 1.0
    assert engine["won"] > 2 * naive["won"]
    assert engine["pace"] < 0.5 * naive["pace"]
    assert engine["over_budget"] == naive["over_budget"] == 0.0


def test_the_same_seed_gives_the_same_flights(outcomes: dict[str, Outcome]) -> None:
    again = compare(SMALL)
    for policy, first in outcomes.items():
        assert first.flights == again[policy].flights
        assert first.curve == again[policy].curve


def test_figures_come_by_scenario_with_a_paired_interval() -> None:
    results = track_d(seeds=(5, 6), scenarios=((30.0, 30.0),), campaigns=20)
    assert list(results["scenarios"]) == ["30/30"]
    one = results["scenarios"]["30/30"]
    low, high = one["ahead"]["interval"]
    assert low < one["ahead"]["by"] < high
    assert one["ahead"]["by"] == pytest.approx(one["engine"]["won"] - one["naive"]["won"], abs=1e-3)
    assert one["engine"]["spend_by_part"][0] == 0.0
    assert len([line for line in lines_of(results) if line.startswith("30/30")]) == 2
