"""Scores of days: soft and hard against the optimum, violations, waste, pace, early, and Q.

All shares are ratios of sums, so each is kept as a numerator and a denominator per case (a
campaign-day, mean over seeds): weighting the cases anew is all that a bootstrap needs.
"""

from collections.abc import Sequence

import msgspec
import numpy as np

from bench.quality.days import CampaignDay
from bench.quality.optimum import Frontier
from bench.quality.replay import Outcome
from bench.quality.seen import Brief, Floats

TOLERANCE = 1.05  # a CPA is violated above this multiple of its target
FEASIBLE = 0.95  # of the soft optimum that a feasible campaign's hard optimum reaches
SPENT = 0.99  # of the budget: the day is over early
VIOLATIONS_FREE, PACE_FREE, EARLY_FREE = 0.02, 0.25, 0.15
Q_PARTS = ("s_hard_a", "s_hard_b", "s_soft_a_feasible", "r_f", "violations", "pace", "early")


class Best(msgspec.Struct, frozen=True, eq=False):
    """What hindsight says of a case: the frontier, and the optimum of both goals."""

    frontier: Frontier
    soft: float
    hard: float

    @property
    def is_feasible(self) -> bool:
        return self.hard >= FEASIBLE * self.soft and self.hard > 0


class Score(msgspec.Struct, frozen=True):
    """One policy on one case and seed."""

    soft: float
    hard: float
    violated: float
    spend: float  # share of the budget
    cpa: float  # over the target; 0 where nothing was won
    waste: float
    pace: float
    early: float


class Summary(msgspec.Struct, frozen=True):
    """One policy on a track for a goal, over all cases; `feasible` ones are said so."""

    s_soft: float
    s_hard: float
    s_soft_feasible: float | None
    s_hard_feasible: float | None
    violations: float | None
    violations_of_all: float
    waste: float
    pace: float
    early: float
    spend: float


class Cases(msgspec.Struct, frozen=True, eq=False):
    """One policy on a track for a goal: scores (cases, seeds) by name, and each case's optimum."""

    scores: dict[str, Floats]
    soft_best: Floats
    hard_best: Floats
    feasible: np.ndarray[tuple[int], np.dtype[np.bool_]]

    def mean(self, name: str, weights: Floats, *, feasible: bool = False) -> Floats:
        """Weighted mean over cases for every row of `weights` (draws, cases)."""
        return self._ratio(self.scores[name], np.ones(len(self.feasible)), weights, feasible)

    def share(self, name: str, weights: Floats, *, feasible: bool = False) -> Floats:
        """Sum of `soft` or `hard` over the sum of its optimum."""
        best = self.soft_best if name == "soft" else self.hard_best
        return self._ratio(self.scores[name], best, weights, feasible)

    def _ratio(self, scores: Floats, best: Floats, weights: Floats, feasible: bool) -> Floats:
        used = weights * self.feasible if feasible else weights
        below = used @ best
        with np.errstate(invalid="ignore", divide="ignore"):
            return np.asarray(np.where(below > 0, used @ scores.mean(axis=1) / below, np.nan))


def traffic_of(lines: Sequence[CampaignDay]) -> Floats:
    """Cumulative share of the day's traffic at the end of each round, mean of the platforms."""
    return np.cumsum(np.mean([np.diff(line.bounds) / len(line.p) for line in lines], axis=0))


def score_of(outcome: Outcome, brief: Brief, best: Best, traffic: Floats) -> Score:
    """Scores a day. Waste: spend above the cheapest that brings the same value, over spend.

    Pace: root mean square of cumulative spend share less cumulative traffic share, over rounds.
    Early: share of the day's traffic still to come when 99 % of the budget was spent.
    """
    value, cost = outcome.value, outcome.cost
    ratio = cost / max(value, 1e-12) / brief.target_cpa
    cumulative = np.cumsum(outcome.cost_by_round)
    spent = np.flatnonzero(cumulative >= SPENT * brief.budget)
    away = cumulative / max(cost, 1e-9) - traffic
    return Score(
        soft=value * min(1.0, 1 / max(ratio, 1e-12)) ** 2,
        hard=value if ratio <= TOLERANCE else 0.0,
        violated=float(ratio > TOLERANCE),
        spend=cost / brief.budget,
        cpa=ratio if value > 0 else 0.0,
        waste=max(0.0, 1 - best.frontier.cheapest(value) / cost) if cost > 0 else 0.0,
        pace=float(np.sqrt(np.mean(away**2))),
        early=max(0.0, float(1 - traffic[spent[0]])) if len(spent) else 0.0,
    )


def gather(
    scores: Sequence[Sequence[Score]],
    bests: Sequence[tuple[float, float]],
    feasible: Sequence[bool],
) -> Cases:
    """Puts the scores (cases, seeds) of a policy beside the (soft, hard) optimum of each case."""
    names = Score.__struct_fields__
    seeds_each = len(scores[0]) if scores else 1
    return Cases(
        scores={
            name: np.array(
                [getattr(one, name) for seeds in scores for one in seeds], float
            ).reshape(len(scores), seeds_each)
            for name in names
        },
        soft_best=np.array([soft for soft, _ in bests]),
        hard_best=np.array([hard for _, hard in bests]),
        feasible=np.array(feasible),
    )


def summary_of(cases: Cases) -> Summary:
    one = np.ones((1, len(cases.feasible)))

    def known(values: Floats) -> float | None:
        return float(values[0]) if np.isfinite(values[0]) else None

    return Summary(
        s_soft=float(cases.share("soft", one)[0]),
        s_hard=float(cases.share("hard", one)[0]),
        s_soft_feasible=known(cases.share("soft", one, feasible=True)),
        s_hard_feasible=known(cases.share("hard", one, feasible=True)),
        violations=known(cases.mean("violated", one, feasible=True)),
        violations_of_all=float(cases.mean("violated", one)[0]),
        waste=float(cases.mean("waste", one)[0]),
        pace=float(cases.mean("pace", one)[0]),
        early=float(cases.mean("early", one)[0]),
        spend=float(cases.mean("spend", one)[0]),
    )


def components(
    a_hard: Cases,
    a_soft: Cases,
    b_hard: Cases,
    r_f: Floats | float,
    weights_a: Floats,
    weights_b: Floats,
) -> dict[str, Floats]:
    """The parts of Q for every row of weights; violations over the feasible of A and B together."""
    feasible_a, feasible_b = weights_a @ a_hard.feasible, weights_b @ b_hard.feasible
    broken = (weights_a * a_hard.feasible) @ a_hard.scores["violated"].mean(axis=1)
    broken += (weights_b * b_hard.feasible) @ b_hard.scores["violated"].mean(axis=1)
    draws = len(weights_a)
    return {
        "s_hard_a": a_hard.share("hard", weights_a),
        "s_hard_b": b_hard.share("hard", weights_b),
        "s_soft_a_feasible": a_soft.share("soft", weights_a, feasible=True),
        "r_f": np.broadcast_to(np.asarray(r_f, float), (draws,)),
        "violations": broken / np.maximum(feasible_a + feasible_b, 1),
        "pace": a_hard.mean("pace", weights_a),
        "early": a_hard.mean("early", weights_a),
        "waste": a_hard.mean("waste", weights_a),
    }


def quality(parts: dict[str, Floats]) -> Floats:
    """Q of the benchmark, a number up to 100."""
    gain = 0.35 * parts["s_hard_a"] + 0.35 * parts["s_hard_b"]
    gain = gain + 0.15 * parts["s_soft_a_feasible"] + 0.15 * (1 - parts["r_f"])
    lost = 50 * np.maximum(0, parts["violations"] - VIOLATIONS_FREE)
    lost = lost + 20 * np.maximum(0, parts["pace"] - PACE_FREE)
    lost = lost + 20 * np.maximum(0, parts["early"] - EARLY_FREE)
    return np.asarray(100 * gain - lost)
