"""TikTok's rows of a sandbox's books: ad groups and campaigns as it tells them, and takes them.

An entity's strategy is `BID_TYPE:BILLING_EVENT:OPTIMIZATION_GOAL`, and a campaign's with a budget
that it shares out is `CBO`. Amounts are in units of the currency.
"""

from collections.abc import Mapping
from typing import Any

from engine.domain.money import MICROS, has_minor_units
from engine.platforms.port import Lever
from engine.platforms.tiktok.standing import lever_of
from engine.sandbox.http import Response
from engine.sandbox.state import Account, Books, Entity, Level
from engine.sandbox.tiktok.failures import answer_of, refuse

__all__ = ["LEVELS", "info_of", "moves_of", "row_of", "update"]

LEVELS = {"adgroup": Level.GROUP, "campaign": Level.CAMPAIGN}
_DEEP = "VO_MIN_ROAS"
_KNOWN = {"advertiser_id", "budget", "bid_price", "conversion_bid_price", "roas_bid"}
_LEAST_BUDGET_MICROS = 20 * MICROS


def info_of(account: Account) -> dict[str, Any]:
    """Return an ad account as TikTok tells it."""
    return {
        "advertiser_id": account.id,
        "name": account.name,
        "currency": account.currency,
        "timezone": "Etc/GMT-1",
        "display_timezone": account.timezone,
        "status": "STATUS_DISABLE" if account.is_suspended else "STATUS_ENABLE",
    }


def row_of(books: Books, account: Account, entity: Entity) -> dict[str, Any]:
    """Return an ad group or a campaign as TikTok tells it."""
    name = "ADGROUP" if entity.level is Level.GROUP else "CAMPAIGN"
    secondary = entity.why_not_serving or f"{name}_STATUS_{_secondary(books, account, entity)}"
    row: dict[str, Any] = {
        f"{name.lower()}_id": entity.id,
        "operation_status": "ENABLE" if entity.is_on else "DISABLE",
        "secondary_status": secondary,
        "budget": (entity.daily_budget_micros or 0) / MICROS,
        "budget_mode": _mode(entity),
    }
    if entity.level is Level.CAMPAIGN:
        return row | {"budget_optimize_on": entity.strategy == "CBO"}
    bid_type, billing, goal = _strategy(entity)
    return row | {
        "campaign_id": entity.parent,
        "bid_type": bid_type,
        "billing_event": billing,
        "optimization_goal": goal,
        "deep_bid_type": _DEEP if entity.target_roas is not None else None,
        "bid_price": (entity.bid_micros or 0) / MICROS,
        "conversion_bid_price": (entity.target_cpa_micros or 0) / MICROS,
        "roas_bid": entity.target_roas or 0.0,
    }


def update(books: Books, account: Account, name: str, body: Mapping[str, Any]) -> Response:
    """Change prices and budget of one entity. Raises Refused, as TikTok would refuse it."""
    entity = books.entity(account.id, LEVELS[name], str(body.get(f"{name}_id")))
    if entity is None or entity.is_removed:
        raise refuse(40_002, f"{name} {body.get(f'{name}_id')} doesn't exist.")
    for lever, value in moves_of(books, account, entity, body).items():
        books.move(account.id, entity.level, entity.id, lever, value)
    return answer_of({f"{name}_id": entity.id})


def moves_of(
    books: Books, account: Account, entity: Entity, body: Mapping[str, Any]
) -> dict[Lever, float]:
    """Return the levers that a request moves. Raises Refused."""
    unknown = set(body) - _KNOWN - {"adgroup_id", "campaign_id"}
    if unknown:
        raise refuse(40_002, f"Unknown field {sorted(unknown)[0]}.")
    deep = _DEEP if entity.target_roas is not None else ""
    lever, field = lever_of(*_strategy(entity), deep)
    moves: dict[Lever, float] = {}
    for name in set(body) & {"bid_price", "conversion_bid_price", "roas_bid"}:
        if name != field:
            raise refuse(40_002, f"{name} is not supported for this bid_type.")
        is_ratio = name == "roas_bid"
        moves[lever] = float(body[name]) if is_ratio else _micros(account, name, body[name])
    if "budget" in body:
        moves[Lever.DAILY_BUDGET] = _new_budget(books, account, entity, body["budget"])
    budget = moves.get(Lever.DAILY_BUDGET, entity.daily_budget_micros or 0)
    if lever in (Lever.BID, Lever.TARGET_CPA) and budget and moves.get(lever, 0) > budget:
        raise refuse(40_002, "The bid must be lower than the budget.")
    return moves


def _new_budget(books: Books, account: Account, entity: Entity, value: object) -> float:
    above = books.entity(account.id, Level.CAMPAIGN, entity.parent)
    if above is not None and above.strategy == "CBO":
        raise refuse(40_002, "budget is ignored when budget_optimize_on is true.")
    micros = _micros(account, "budget", value)
    if micros < _LEAST_BUDGET_MICROS:
        raise refuse(40_002, "The budget must be at least 20.")
    return micros


def _micros(account: Account, name: str, value: object) -> int:
    if not isinstance(value, int | float) or isinstance(value, bool) or value <= 0:
        raise refuse(40_002, f"{name}: a positive number is required.")
    micros = round(value * MICROS)
    if micros % (MICROS // 100 if has_minor_units(account.currency) else MICROS):
        raise refuse(40_002, f"{name}: too many decimal places for {account.currency}.")
    return micros


def _strategy(entity: Entity) -> tuple[str, str, str]:
    bid_type, _, rest = entity.strategy.partition(":")
    billing, _, goal = rest.partition(":")
    return bid_type, billing, goal


def _mode(entity: Entity) -> str:
    if entity.daily_budget_micros is None:
        return "BUDGET_MODE_INFINITE"
    return "BUDGET_MODE_TOTAL" if entity.is_lifetime else "BUDGET_MODE_DAY"


def _secondary(books: Books, account: Account, entity: Entity) -> str:
    above = books.entity(account.id, Level.CAMPAIGN, entity.parent)
    if above is not None and not above.is_on:
        return "CAMPAIGN_DISABLE"
    return "DELIVERY_OK" if entity.is_on else "DISABLE"
