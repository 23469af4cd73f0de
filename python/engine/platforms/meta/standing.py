"""How entities stand at Meta: nodes of its answers as the engine's `Standing`s.

What a bid amount means is a matter of the bid strategy and of what is optimised for: the most, or
the average, of what a link click or a conversion costs; for other goals it is none of the levers.
A campaign that has a budget shares it out among its ad sets.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.platforms.meta.money import from_minor
from engine.platforms.port import Lever, Standing, Target

__all__ = ["ADSET_FIELDS", "CAMPAIGN_FIELDS", "Found", "account_trouble", "found_of", "lever_of"]

CAMPAIGN_FIELDS = "id,status,effective_status,bid_strategy,daily_budget,lifetime_budget,issues_info"
ADSET_FIELDS = (
    "id,status,effective_status,bid_strategy,bid_amount,bid_constraints,optimization_goal,"
    "daily_budget,lifetime_budget,learning_stage_info,issues_info,"
    "campaign{id,status,bid_strategy,daily_budget,lifetime_budget}"
)
ROAS_SCALE = 10_000  # a floor of 3.5 is told as 35000

_CAPPED = {"LOWEST_COST_WITH_BID_CAP", "COST_CAP", "TARGET_COST"}
_CLICKS = {"LINK_CLICKS"}
_CONVERSIONS = {
    "APP_INSTALLS",
    "APP_INSTALLS_AND_OFFSITE_CONVERSIONS",
    "LEAD_GENERATION",
    "OFFSITE_CONVERSIONS",
    "ONSITE_CONVERSIONS",
    "QUALITY_LEAD",
    "VALUE",
}
_DOES_SERVE = {"ACTIVE", "PAUSED", "IN_PROCESS", ""}
_ACCOUNT_STATUS = {
    2: "disabled",
    3: "unsettled",
    7: "pending risk review",
    8: "pending settlement",
    100: "pending closure",
    101: "closed",
}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entity as it was found: its standing, and what is needed to change it."""

    standing: Standing
    strategy: str = ""  # its bid strategy and goal, for messages
    is_lifetime: bool = False  # its budget is so much in all, not a day


def found_of(kind: str, node: Mapping[str, Any], ad_account: str, *, step: int) -> Found:
    """Return what a node tells of an entity. `step`: the smallest unit, in micros."""
    return (_adset if kind == "adsets" else _campaign)(node, ad_account, step)


def lever_of(strategy: str, goal: str) -> Lever:
    """Return which bid lever counts; DAILY_BUDGET: none."""
    if strategy == "LOWEST_COST_WITH_MIN_ROAS":
        return Lever.TARGET_ROAS
    if strategy in _CAPPED and goal in _CLICKS:
        return Lever.BID
    if strategy in _CAPPED and goal in _CONVERSIONS:
        return Lever.TARGET_CPA
    return Lever.DAILY_BUDGET


def account_trouble(status: object) -> str:
    """Return why an ad account does not serve; "" where it does."""
    word = _ACCOUNT_STATUS.get(status) if isinstance(status, int) else None
    return f"ad account {word}" if word else ""


def _adset(node: Mapping[str, Any], ad_account: str, step: int) -> Found:
    above = node.get("campaign") or {}
    strategy = str(node.get("bid_strategy") or above.get("bid_strategy") or "")
    goal = str(node.get("optimization_goal") or "")
    lever = lever_of(strategy, goal)
    shared = from_minor(above.get("daily_budget"), step)
    is_shared = shared is not None or from_minor(above.get("lifetime_budget"), step) is not None
    return Found(
        standing=Standing(
            target=Target(ad_account, f"adsets/{node['id']}"),
            is_serving=node.get("status") == "ACTIVE",
            steered_by=lever,
            **_values(lever, node, step),
            daily_budget_micros=shared if is_shared else from_minor(node.get("daily_budget"), step),
            is_budget_shared=is_shared,
            is_learning=(node.get("learning_stage_info") or {}).get("status") == "LEARNING",
            why_not_serving=_why(node, "ad set"),
        ),
        strategy=f"{strategy or 'no bid strategy'} for {goal or 'no goal'}",
        is_lifetime=from_minor(node.get("lifetime_budget"), step) is not None,
    )


def _campaign(node: Mapping[str, Any], ad_account: str, step: int) -> Found:
    return Found(
        standing=Standing(
            target=Target(ad_account, f"campaigns/{node['id']}"),
            is_serving=node.get("status") == "ACTIVE",
            steered_by=Lever.DAILY_BUDGET,  # bids are its ad sets'
            daily_budget_micros=from_minor(node.get("daily_budget"), step),
            why_not_serving=_why(node, "campaign"),
        ),
        strategy="a campaign",
        is_lifetime=from_minor(node.get("lifetime_budget"), step) is not None,
    )


def _values(lever: Lever, node: Mapping[str, Any], step: int) -> Mapping[str, Any]:
    amount = from_minor(node.get("bid_amount"), step)
    floor = (node.get("bid_constraints") or {}).get("roas_average_floor")
    if lever is Lever.BID and amount:
        return {"bid_micros": amount}
    if lever is Lever.TARGET_CPA and amount:
        return {"target_cpa_micros": amount}
    if lever is Lever.TARGET_ROAS and floor:
        return {"target_roas": int(floor) / ROAS_SCALE}
    return {}


def _why(node: Mapping[str, Any], what: str) -> str:
    status = str(node.get("effective_status") or "")
    if status in _DOES_SERVE:
        return ""
    if status == "CAMPAIGN_PAUSED":
        return "campaign paused"
    issues = [
        str(each.get("error_summary") or each.get("error_message") or "")
        for each in node.get("issues_info") or ()
    ]
    told = ", ".join(issue for issue in issues if issue)
    return f"{what} {status.lower().replace('_', ' ')}" + (f": {told}" if told else "")
