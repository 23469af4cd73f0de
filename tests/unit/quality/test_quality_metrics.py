"""Scores, Q and intervals on cases worked by hand."""

import numpy as np
import pytest

from bench.quality.metrics import Best, Cases, Score, components, gather, quality, score_of
from bench.quality.optimum import Frontier
from bench.quality.replay import Outcome
from bench.quality.results import resampled
from bench.quality.seen import Brief

BRIEF = Brief(budget=100.0, target_cpa=10.0, rounds=4, platforms=())
EVEN = np.array([0.25, 0.5, 0.75, 1.0])
BEST = Best(Frontier(value=np.array([5.0, 10.0]), cost=np.array([20.0, 60.0])), soft=10, hard=10)


def ended(value: float, *spend: float) -> Score:
    by_round = np.array(spend)
    outcome = Outcome(
        value=value,
        conversions=0,
        cost=float(by_round.sum()),
        cost_by_round=by_round,
        decisions=0,
        seconds_deciding=0.0,
    )
    return score_of(outcome, BRIEF, BEST, EVEN)


def test_within_the_target_both_scores_are_the_value() -> None:
    score = ended(5.0, 10, 10, 10, 10)
    assert (score.soft, score.hard, score.violated) == (5.0, 5.0, 0.0)
    assert score.cpa == pytest.approx(0.8)
    assert score.spend == pytest.approx(0.4)


def test_above_the_target_the_soft_score_falls_with_the_square_and_the_hard_one_at_once() -> None:
    score = ended(4.0, 20, 20, 20, 20)
    assert score.soft == pytest.approx(4.0 / 4)
    assert (score.hard, score.violated) == (0.0, 1.0)


def test_five_percent_over_the_target_is_no_violation_yet() -> None:
    assert ended(4.0, 10.5, 10.5, 10.5, 10.5).violated == 0
    assert ended(4.0, 10.6, 10.5, 10.5, 10.5).violated == 1


def test_waste_is_what_the_same_value_would_have_cost_less() -> None:
    assert ended(5.0, 10, 10, 10, 10).waste == pytest.approx(0.5)
    assert ended(10.0, 20, 20, 10, 10).waste == 0
    assert ended(0.0, 0, 0, 0, 0).waste == 0


def test_pace_is_zero_with_the_traffic_and_grows_away_from_it() -> None:
    assert ended(5.0, 10, 10, 10, 10).pace == pytest.approx(0)
    away = np.array([0.75, 0.5, 0.25, 0.0])
    assert ended(5.0, 40, 0, 0, 0).pace == pytest.approx(np.sqrt((away**2).mean()))


def test_early_is_the_traffic_that_was_left_when_the_budget_was_gone() -> None:
    assert ended(9.0, 50, 49.5, 0, 0).early == pytest.approx(0.5)
    assert ended(9.0, 50, 40, 0, 0).early == 0


def test_nothing_won_for_money_is_a_violation_with_no_score() -> None:
    score = ended(0.0, 10, 0, 0, 0)
    assert (score.soft, score.hard, score.violated, score.cpa) == (0.0, 0.0, 1.0, 0.0)


def cases(*hard: tuple[float, float], feasible: tuple[bool, ...] | None = None) -> Cases:
    """Cases from (value, violated); each with an optimum of 10, one seed."""
    scores = [
        [Score(v if not x else 0.0, v if not x else 0.0, x, 1.0, 1.0, 0.1, 0.2, 0.0)]
        for v, x in hard
    ]
    return gather(scores, [(10.0, 10.0)] * len(hard), feasible or (True,) * len(hard))


def test_shares_are_ratios_of_sums_and_weights_count_cases() -> None:
    own = cases((5, 0), (10, 0))
    weights = np.array([[1.0, 1.0], [2.0, 0.0]])
    assert own.share("hard", weights).tolist() == [0.75, 0.5]


def test_feasible_shares_leave_the_others_out_and_none_feasible_is_unknown() -> None:
    own = cases((5, 0), (10, 0), feasible=(False, True))
    assert own.share("soft", np.ones((1, 2)), feasible=True).tolist() == [1.0]
    none = cases((5, 0), feasible=(False,))
    assert np.isnan(none.share("soft", np.ones((1, 1)), feasible=True)).all()


def test_q_is_the_formula_with_its_three_penalties() -> None:
    parts = {
        name: np.array([value])
        for name, value in {
            "s_hard_a": 0.8,
            "s_hard_b": 0.9,
            "s_soft_a_feasible": 0.85,
            "r_f": 0.4,
            "violations": 0.04,
            "pace": 0.30,
            "early": 0.20,
        }.items()
    }
    gain = 100 * (0.35 * 0.8 + 0.35 * 0.9 + 0.15 * 0.85 + 0.15 * 0.6)
    assert quality(parts)[0] == pytest.approx(gain - 1 - 1 - 1)
    calm = parts | {name: np.zeros(1) for name in ("violations", "pace", "early")}
    assert quality(calm)[0] == pytest.approx(gain)


def test_violations_are_counted_over_the_feasible_of_a_and_b_together() -> None:
    a = cases((5, 1), (5, 0), (5, 1), feasible=(True, True, False))
    b = cases((5, 0), (5, 1))
    parts = components(a, a, b, 0.5, np.ones((1, 3)), np.ones((1, 2)))
    assert parts["violations"].tolist() == [0.5]


def test_a_policy_is_never_ahead_of_itself_in_any_draw() -> None:
    weights = resampled(3, 0)
    own = cases((5, 0), (8, 0), (2, 0)).share("hard", weights.a)
    same = cases((5, 0), (8, 0), (2, 0)).share("hard", weights.a)
    assert (own == same).all()
    assert own[0] == pytest.approx(0.5)
    assert own.std() > 0
