"""A policy through one campaign's day: rounds in order, platforms in a random order, one budget."""

import time
import zlib
from collections.abc import Sequence

import msgspec
import numpy as np
from numpy.typing import NDArray

from bench.quality.auction import Chances, hold
from bench.quality.days import CampaignDay
from bench.quality.seen import Brief, Platform, Policy, Seen, Shown, copied

Floats = NDArray[np.float64]
LEAST_REMAINING = 0.01  # money; below it there is nothing left to bid with


class Outcome(msgspec.Struct, frozen=True, eq=False):
    """A day's end: expected conversions, drawn conversions, money, and money per round."""

    value: float
    conversions: int
    cost: float
    cost_by_round: Floats
    decisions: int
    seconds_deciding: float


class Chance(msgspec.Struct, frozen=True, eq=False):
    """All that is left to chance on a campaign's day: fixed by the seed, shared by all policies."""

    lines: tuple[Chances, ...]
    orders: NDArray[np.int64]  # (rounds, platforms)


def chance_of(lines: Sequence[CampaignDay], seed: int) -> Chance:
    """Draws the chances of a campaign on its platforms; the same for the same names and seed."""
    draws = []
    for line in lines:
        key = zlib.crc32(f"{line.market}/{line.campaign}/{seed}".encode())
        numbers = np.random.default_rng(key).random((4, len(line.p)))
        draws.append(Chances(*numbers))
    order = np.random.default_rng(seed)
    orders = np.array([order.permutation(len(lines)) for _ in range(lines[0].rounds)])
    return Chance(lines=tuple(draws), orders=orders)


def brief_of(lines: Sequence[CampaignDay], expected: Sequence[float]) -> Brief:
    """What the advertiser asks for: the platforms' budgets together, under one target."""
    return Brief(
        budget=sum(line.budget for line in lines),
        target_cpa=lines[0].target,
        rounds=lines[0].rounds,
        platforms=tuple(
            Platform(campaign=line.campaign, expected_opportunities=n)
            for line, n in zip(lines, expected, strict=True)
        ),
    )


def replay(
    lines: Sequence[CampaignDay],
    policy: Policy,
    brief: Brief,
    chance: Chance,
    *,
    first_price: bool,
) -> Outcome:
    """Runs a policy through the day of one campaign on `lines`, one per platform.

    Raises:
        ValueError: if the policy returns bids of another shape, or that are no numbers.
    """
    policy.start(brief)
    remaining = brief.budget
    by_round = np.zeros(brief.rounds)
    value, conversions = 0.0, 0
    decisions, seconds = 0, 0.0
    for t in range(brief.rounds):
        spans = [(int(line.bounds[t]), int(line.bounds[t + 1])) for line in lines]
        seen = [
            Seen(p=copied(line.p, *span), sigma=copied(line.sigma, *span))
            for line, span in zip(lines, spans, strict=True)
        ]
        if remaining > LEAST_REMAINING:
            began = time.thread_time()
            bids = policy.decide(t, seen, remaining)
            seconds += time.thread_time() - began
            decisions += len(lines)
            bids = [_checked(bid, one, t) for bid, one in zip(bids, seen, strict=True)]
        else:
            bids = [np.zeros(len(s.p)) for s in seen]
        for k in chance.orders[t].tolist():
            line, (start, end) = lines[k], spans[k]
            result = hold(
                bids[k],
                line.others[start:end],
                line.true_value[start:end],
                remaining,
                chance.lines[k].between(start, end),
                first_price=first_price,
            )
            remaining -= result.cost
            by_round[t] += result.cost
            value += result.value
            conversions += int(result.converted.sum())
            shown = Shown(
                p=seen[k].p,
                least_winning=np.array(line.others[start:end, 2]),
                bid=result.bid,
                won=result.won,
                slot=result.slot,
                price=result.price,
                exposed=result.exposed,
                converted=result.converted,
                cost=result.cost,
            )
            policy.observe(t, k, shown)
    return Outcome(
        value=value,
        conversions=conversions,
        cost=float(by_round.sum()),
        cost_by_round=by_round,
        decisions=decisions,
        seconds_deciding=seconds,
    )


def _checked(bids: Floats, seen: Seen, t: int) -> Floats:
    bids = np.asarray(bids, float)
    if bids.shape != seen.p.shape:
        raise ValueError(f"round {t}: {seen.p.shape} bids are wanted, found {bids.shape}")
    if not np.isfinite(bids).all() or (bids < 0).any():
        raise ValueError(f"round {t}: bids must be finite and at least 0")
    return bids
