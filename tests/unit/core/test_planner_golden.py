"""The planner against the numpy policy that it follows, decision by decision.

`tests/data/planner_golden.json`: a small synthetic market (three past days, five days of up to
three platforms) with what the policy decided and saw, round by round. Worths and sigmas are in
units of 2^-20 and prices of 2^-12, so that both read the same numbers.
"""

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from engine.core.planner import History, PastCampaign, Planner

GOLDEN = json.loads((Path(__file__).parents[2] / "data" / "planner_golden.json").read_text())
CASES = GOLDEN["cases"]
TOLERANCE = 1e-9  # sums in another order, and another exp and log; bids are kept to 12 digits


def scaled(integers: list[int], power: int) -> NDArray[np.float64]:
    found: NDArray[np.float64] = np.array(integers, np.float64) / 2**power
    return found


def flags(text: str) -> NDArray[np.bool_]:
    return np.array([flag == "1" for flag in text], np.bool_)


def history() -> History:
    history = History()
    for day in GOLDEN["history"]:
        history.add_day(
            [
                PastCampaign(
                    identity=past["identity"],
                    worths=scaled(past["worths"], 20).astype(np.float32),
                    prices=scaled(past["prices"], 12).reshape(-1, 3),
                    bounds=np.array(past["bounds"], np.uint32),
                )
                for past in day
            ]
        )
    return history


def planner_of(case: dict[str, Any], past: History) -> Planner:
    return Planner(
        past,
        budget_micros=case["budget_micros"],
        target_micros=case["target_micros"],
        platforms=[tuple(platform) for platform in case["platforms"]],
        goal=case["goal"],
        first_price=case["first_price"],
        pacing=None if case["pacing"] is None else tuple(case["pacing"]),
    )


def observe(planner: Planner, number: int, platform: int, found: dict[str, Any]) -> None:
    seen = found["seen"][platform]
    bids = np.array(found["bids"][platform])
    won = flags(seen["won"])
    planner.observe(
        number,
        platform,
        prices=scaled(seen["prices"], 12),
        worths=scaled(found["worths"][platform], 20),
        bids=np.where(won, bids, 0.0),
        paid=bids if seen["paid"] is None else scaled(seen["paid"], 12),
        won=won,
        exposed=flags(seen["exposed"]),
        cost_micros=seen["cost_micros"],
    )


def test_the_dayparts_are_those_of_the_policy() -> None:
    assert history().dayparts == GOLDEN["dayparts"]


@pytest.mark.parametrize("case", CASES, ids=[case["name"] for case in CASES])
def test_every_round_is_decided_as_the_policy_does(case: dict[str, Any]) -> None:
    planner = planner_of(case, history())
    bounds = set()
    for number, found in enumerate(case["rounds"]):
        sigmas = found["sigmas"]
        plan = planner.decide(
            number,
            [scaled(worths, 20) for worths in found["worths"]],
            None if sigmas is None else [scaled(sigma, 20) for sigma in sigmas],
        )
        assert plan.shadow_price == pytest.approx(found["m"], rel=TOLERANCE)
        for bids, wanted in zip(plan.bids, found["bids"], strict=True):
            np.testing.assert_allclose(bids, wanted, rtol=TOLERANCE, atol=1e-12)
        if found["bound"] == "target-cpa":  # it says "budget" too where neither of them binds
            assert plan.bound in ("target-cpa", "pacing")
        bounds.add(plan.bound)
        for platform in range(len(plan.bids)):
            observe(planner, number, platform, found)
    assert ("pacing" in bounds) == (case["pacing"] is not None)


def test_a_restart_in_the_middle_of_a_day_changes_no_bit() -> None:
    case = CASES[2]
    past = history()
    straight, restarted = planner_of(case, past), planner_of(case, past)
    for number, found in enumerate(case["rounds"]):
        past = History.restore(past.snapshot())
        restarted = Planner.restore(past, restarted.snapshot())
        worths = [scaled(worths, 20) for worths in found["worths"]]
        plans = [planner.decide(number, worths) for planner in (straight, restarted)]
        assert plans[0].shadow_price == plans[1].shadow_price
        assert [bids.tobytes() for bids in plans[0].bids] == [b.tobytes() for b in plans[1].bids]
        for platform in range(len(worths)):
            observe(straight, number, platform, found)
            observe(restarted, number, platform, found)
    assert straight.snapshot() == restarted.snapshot()
