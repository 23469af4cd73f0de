"""How entities stand at TikTok: ad groups and campaigns of its answers as the engine's `Standing`s.

Which price counts is a matter of the bid type, of what is paid for and of what is optimised for.
Where a campaign optimises its budget, those of its ad groups are ignored: it shares its own out.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.platforms.amounts import micros_of
from engine.platforms.port import Lever, Standing, Target

__all__ = ["ADGROUP_FIELDS", "CAMPAIGN_FIELDS", "Found", "found_of", "lever_of"]

ADGROUP_FIELDS = [
    "adgroup_id",
    "campaign_id",
    "operation_status",
    "secondary_status",
    "bid_type",
    "bid_price",
    "conversion_bid_price",
    "roas_bid",
    "deep_bid_type",
    "billing_event",
    "optimization_goal",
    "budget",
    "budget_mode",
]
CAMPAIGN_FIELDS = [
    "campaign_id",
    "operation_status",
    "secondary_status",
    "budget",
    "budget_mode",
    "budget_optimize_on",
]
_CONVERSIONS = {"CONVERT", "INSTALL", "IN_APP_EVENT", "LEAD_GENERATION", "VALUE"}
_DAILY = {"BUDGET_MODE_DAY", "BUDGET_MODE_DYNAMIC_DAILY_BUDGET"}
_WITHOUT = {"BUDGET_MODE_INFINITE", ""}
_FINE = ("DELIVERY_OK", "_DISABLE", "_ENABLE", "NOT_DELETE")


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entity as it was found: its standing, and what is needed to change it."""

    standing: Standing
    strategy: str  # how it bids, for messages
    bid_field: str = ""  # where the price that counts is written; "": it has none
    is_lifetime: bool = False  # its budget is so much in all, not a day


def found_of(
    kind: str,
    row: Mapping[str, Any],
    ad_account: str,
    *,
    campaigns: Mapping[str, Mapping[str, Any]],
) -> Found:
    """Return what a row tells of an entity. `campaigns`: of ad groups, by id."""
    if kind == "campaigns":
        return _campaign(row, ad_account)
    return _adgroup(row, ad_account, campaigns.get(str(row.get("campaign_id")), {}))


def lever_of(bid_type: str, billing: str, goal: str, deep: str) -> tuple[Lever, str]:
    """Return which bid lever counts, and the field it is kept in; DAILY_BUDGET: none."""
    if goal == "VALUE" and deep == "VO_MIN_ROAS":
        return Lever.TARGET_ROAS, "roas_bid"
    if bid_type == "BID_TYPE_CUSTOM" and billing == "CPC":
        return Lever.BID, "bid_price"
    if bid_type == "BID_TYPE_CUSTOM" and billing == "OCPM" and goal in _CONVERSIONS:
        return Lever.TARGET_CPA, "conversion_bid_price"
    return Lever.DAILY_BUDGET, ""


def _adgroup(row: Mapping[str, Any], ad_account: str, above: Mapping[str, Any]) -> Found:
    names = ("bid_type", "billing_event", "optimization_goal", "deep_bid_type")
    bid_type, billing, goal, deep = (str(row.get(name) or "") for name in names)
    lever, field = lever_of(bid_type, billing, goal, deep)
    is_shared = bool(above.get("budget_optimize_on"))
    return Found(
        standing=Standing(
            target=Target(ad_account, f"adgroups/{row['adgroup_id']}"),
            is_serving=row.get("operation_status") == "ENABLE",
            steered_by=lever,
            **_values(lever, row.get(field)),
            daily_budget_micros=_daily(above if is_shared else row),
            is_budget_shared=is_shared,
            why_not_serving=_why(row, above),
        ),
        strategy=f"{bid_type or 'no bid type'}, {billing or 'nothing'} for {goal or 'no goal'}",
        bid_field=field,
        is_lifetime=_is_lifetime(row) and not is_shared,
    )


def _campaign(row: Mapping[str, Any], ad_account: str) -> Found:
    return Found(
        standing=Standing(
            target=Target(ad_account, f"campaigns/{row['campaign_id']}"),
            is_serving=row.get("operation_status") == "ENABLE",
            steered_by=Lever.DAILY_BUDGET,  # bids are its ad groups'
            daily_budget_micros=_daily(row),
            why_not_serving=_why(row, {}),
        ),
        strategy="a campaign",
        is_lifetime=_is_lifetime(row),
    )


def _values(lever: Lever, value: object) -> Mapping[str, Any]:
    amount = micros_of(value)
    if amount <= 0:
        return {}
    match lever:
        case Lever.BID:
            return {"bid_micros": amount}
        case Lever.TARGET_CPA:
            return {"target_cpa_micros": amount}
        case Lever.TARGET_ROAS:
            return {"target_roas": amount / 1e6}
        case _:
            return {}


def _daily(row: Mapping[str, Any]) -> int | None:
    return micros_of(row.get("budget")) or None if row.get("budget_mode") in _DAILY else None


def _is_lifetime(row: Mapping[str, Any]) -> bool:
    return str(row.get("budget_mode") or "") not in _DAILY | _WITHOUT


def _why(row: Mapping[str, Any], above: Mapping[str, Any]) -> str:
    if above and above.get("operation_status") != "ENABLE":
        return "campaign paused"
    status = str(row.get("secondary_status") or "")
    return "" if not status or status.endswith(_FINE) else status.lower().replace("_", " ")
