"""Meta's nodes of a sandbox's books: ad sets and campaigns as it tells them, and takes them.

An entity's strategy is `BID_STRATEGY:OPTIMIZATION_GOAL`. Amounts are in smallest units, as texts
where Meta has texts and as numbers where it has numbers.
"""

import json
from collections.abc import Mapping
from typing import Any

import msgspec

from engine.platforms.meta.money import step_micros
from engine.platforms.meta.standing import ROAS_SCALE, lever_of
from engine.platforms.port import Lever
from engine.sandbox.meta.failures import refuse
from engine.sandbox.state import Account, Books, Entity, Level

__all__ = ["LEVELS", "Move", "account_node", "moves_of", "node_of"]

LEVELS = {"adsets": Level.GROUP, "campaigns": Level.CAMPAIGN}
_LEAST_BUDGET = 100  # smallest units
_KNOWN = {"status", "daily_budget", "bid_amount", "bid_constraints", "execution_options"}


class Move(msgspec.Struct, frozen=True):
    """A lever that a request moves."""

    lever: Lever
    value: float


def account_node(account: Account) -> dict[str, Any]:
    """Return an ad account as Meta tells it."""
    return {
        "id": account.id,
        "account_id": account.id.removeprefix("act_"),
        "name": account.name,
        "currency": account.currency,
        "timezone_name": account.timezone,
        "account_status": 2 if account.is_suspended else 1,
    }


def node_of(books: Books, account: Account, entity: Entity) -> dict[str, Any]:
    """Return an ad set or a campaign as Meta tells it."""
    step = step_micros(account.currency)
    strategy, _, goal = entity.strategy.partition(":")
    above = books.entity(account.id, Level.CAMPAIGN, entity.parent)
    node: dict[str, Any] = {
        "id": entity.id,
        "name": entity.name,
        "status": "ACTIVE" if entity.is_on else "PAUSED",
        "effective_status": _effective(entity, above),
    }
    node |= _budget(entity, step)
    if strategy:
        node["bid_strategy"] = strategy
    if entity.why_not_serving:
        node["issues_info"] = [{"level": "AD_SET", "error_summary": entity.why_not_serving}]
    if entity.level is Level.CAMPAIGN:
        return node
    amount = entity.bid_micros or entity.target_cpa_micros
    node |= {"optimization_goal": goal, "billing_event": "IMPRESSIONS"}
    node["learning_stage_info"] = {"status": "LEARNING" if entity.is_learning else "SUCCESS"}
    if amount:
        node["bid_amount"] = amount // step
    if entity.target_roas:
        node["bid_constraints"] = {"roas_average_floor": round(entity.target_roas * ROAS_SCALE)}
    if above is not None:
        node["campaign"] = node_of(books, account, above)
    return node


def moves_of(books: Books, account: Account, entity: Entity, form: Mapping[str, str]) -> list[Move]:
    """Return the levers that a form moves. Raises Refused, as Meta would refuse it."""
    unknown = set(form) - _KNOWN
    if unknown:
        raise refuse(100, f"Invalid parameter: {sorted(unknown)[0]}")
    step = step_micros(account.currency)
    moves: list[Move] = []
    if "status" in form:
        if form["status"] not in {"ACTIVE", "PAUSED"}:
            raise refuse(100, "Param status must be one of {ACTIVE, PAUSED, DELETED, ARCHIVED}")
        moves.append(Move(Lever.SERVING, float(form["status"] == "ACTIVE")))
    if "daily_budget" in form:
        moves.append(Move(Lever.DAILY_BUDGET, _new_budget(books, account, entity, form) * step))
    strategy, _, goal = entity.strategy.partition(":")
    lever = lever_of(strategy, goal)
    if "bid_amount" in form:
        if strategy not in {"LOWEST_COST_WITH_BID_CAP", "COST_CAP"}:
            raise refuse(100, f"Bid amount is not allowed for {strategy}", subcode=1_815_857)
        moves.append(Move(lever, _whole(form["bid_amount"]) * step))
    if "bid_constraints" in form:
        if lever is not Lever.TARGET_ROAS:
            raise refuse(100, f"Bid constraints are not allowed for {strategy}", subcode=1_815_857)
        floor = json.loads(form["bid_constraints"])["roas_average_floor"]
        moves.append(Move(lever, floor / ROAS_SCALE))
    return moves


def _effective(entity: Entity, above: Entity | None) -> str:
    if entity.is_removed:
        return "DELETED"
    if not entity.is_on:
        return "PAUSED"
    if above is not None and not above.is_on:
        return "CAMPAIGN_PAUSED"
    return "WITH_ISSUES" if entity.why_not_serving else "ACTIVE"


def _budget(entity: Entity, step: int) -> dict[str, str]:
    """Return the two budgets: what is not set is told as 0."""
    own = f"{(entity.daily_budget_micros or 0) // step}"
    if entity.is_lifetime:
        return {"daily_budget": "0", "lifetime_budget": own}
    return {"daily_budget": own, "lifetime_budget": "0"}


def _new_budget(books: Books, account: Account, entity: Entity, form: Mapping[str, str]) -> int:
    above = books.entity(account.id, Level.CAMPAIGN, entity.parent)
    if above is not None and above.daily_budget_micros:
        raise refuse(100, "The campaign of this ad set holds the budget", subcode=1_885_621)
    amount = _whole(form["daily_budget"])
    if amount < _LEAST_BUDGET:
        raise refuse(100, "Your budget is too low", subcode=1_885_272)
    return amount


def _whole(text: str) -> int:
    if not (text.isascii() and text.isdigit()) or int(text) == 0:
        raise refuse(100, f"Param must be a positive integer, got {text}")
    return int(text)
