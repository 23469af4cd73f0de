"""How entities stand at Google: rows of its answers as the engine's `Standing`s.

Which bid lever counts is a matter of the campaign's bidding strategy: ad-group bids are ignored
under automated ones, and a target that is not the strategy's own would switch the strategy.
"""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.platforms.port import Lever, Standing, Target

__all__ = ["STRATEGIES", "Found", "ad_group_of", "found_of"]

# The lever of a strategy, and where a campaign or a portfolio keeps its value.
STRATEGIES: dict[str, tuple[Lever, str]] = {
    "TARGET_CPA": (Lever.TARGET_CPA, "target_cpa.target_cpa_micros"),
    "MAXIMIZE_CONVERSIONS": (Lever.TARGET_CPA, "maximize_conversions.target_cpa_micros"),
    "TARGET_ROAS": (Lever.TARGET_ROAS, "target_roas.target_roas"),
    "MAXIMIZE_CONVERSION_VALUE": (Lever.TARGET_ROAS, "maximize_conversion_value.target_roas"),
    "TARGET_SPEND": (Lever.BID, "target_spend.cpc_bid_ceiling_micros"),
}
_MANUAL = {"MANUAL_CPC", "ENHANCED_CPC"}
_OF_AD_GROUP = {Lever.TARGET_CPA: "target_cpa_micros", Lever.TARGET_ROAS: "target_roas"}
_DOES_NOT_SERVE = {"ENDED", "PENDING", "MISCONFIGURED", "NOT_ELIGIBLE"}


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """An entity as it was found: its standing, and what is needed to change it."""

    standing: Standing
    strategy: str  # its bidding strategy's type, by Google's name
    bid_path: str = ""  # the field of its bid lever; "": it has none of its own
    portfolio: str = ""  # resource name of the portfolio that bids for it
    budget: str = ""  # resource name of the budget it spends from
    is_daily: bool = True  # its budget is so much a day, and not so much in all


def found_of(kind: str, row: Any, ad_account: str) -> Found:
    """Return what a row of an answer to `queries.of_entities` tells of an entity of that kind."""
    return _READERS[kind](row, ad_account)


def ad_group_of(row: Any, of_campaign: Any, ad_account: str, *, is_sole: bool) -> Found:
    """Return what rows tell of an ad group and its campaign; whether the campaign has no other."""
    group, campaign = row.ad_group, of_campaign.campaign
    above = _campaign(of_campaign, ad_account)
    lever, path = _lever_of_ad_group(above.strategy)
    value = _read(group, path) or (_read(group, f"effective_{path}") if path else None)
    is_campaign_on = _enum(campaign, "status") == "ENABLED"
    return Found(
        standing=Standing(
            target=Target(ad_account, f"adGroups/{group.id}"),
            is_serving=_enum(group, "status") == "ENABLED",
            steered_by=lever,
            **_values(lever, value),
            daily_budget_micros=above.standing.daily_budget_micros,
            is_budget_shared=above.standing.is_budget_shared or not is_sole,
            is_learning=above.standing.is_learning,
            why_not_serving=_account(row)
            or ("" if is_campaign_on else "campaign paused")
            or _why(campaign, "campaign")
            or _why(group, "ad group"),
        ),
        strategy=above.strategy,
        bid_path=path,
        portfolio=above.portfolio,
        budget=above.budget,
        is_daily=above.is_daily,
    )


def _campaign(row: Any, ad_account: str) -> Found:
    campaign = row.campaign
    strategy = _enum(campaign, "bidding_strategy_type")
    lever, path = STRATEGIES.get(strategy, (Lever.DAILY_BUDGET, ""))
    bidder = row.bidding_strategy if campaign.bidding_strategy else campaign
    is_daily = _enum(row.campaign_budget, "period") == "DAILY"
    return Found(
        standing=Standing(
            target=Target(ad_account, f"campaigns/{campaign.id}"),
            is_serving=_enum(campaign, "status") == "ENABLED",
            steered_by=lever,
            **_values(lever, _read(bidder, path)),
            daily_budget_micros=row.campaign_budget.amount_micros if is_daily else None,
            is_budget_shared=_is_shared(row.campaign_budget),
            is_learning=_is_learning(campaign),
            why_not_serving=_account(row) or _why(campaign, "campaign"),
        ),
        strategy=strategy,
        bid_path=path,
        portfolio=campaign.bidding_strategy,
        budget=campaign.campaign_budget,
        is_daily=is_daily,
    )


def _lever_of_ad_group(strategy: str) -> tuple[Lever, str]:
    if strategy in _MANUAL:
        return Lever.BID, "cpc_bid_micros"
    lever, _ = STRATEGIES.get(strategy, (Lever.DAILY_BUDGET, ""))
    path = _OF_AD_GROUP.get(lever, "")
    return (lever, path) if path else (Lever.DAILY_BUDGET, "")  # a ceiling is the campaign's


def _budget(row: Any, ad_account: str) -> Found:
    budget = row.campaign_budget
    is_daily = _enum(budget, "period") == "DAILY"
    return Found(
        standing=Standing(
            target=Target(ad_account, f"campaignBudgets/{budget.id}"),
            is_serving=True,  # a budget has no switch
            steered_by=Lever.DAILY_BUDGET,
            daily_budget_micros=budget.amount_micros if is_daily else None,
            why_not_serving=_account(row),
        ),
        strategy="",
        budget=f"customers/{ad_account}/campaignBudgets/{budget.id}",
        is_daily=is_daily,
    )


def _portfolio(row: Any, ad_account: str) -> Found:
    portfolio = row.bidding_strategy
    strategy = _enum(portfolio, "type_")
    lever, path = STRATEGIES.get(strategy, (Lever.DAILY_BUDGET, ""))
    return Found(
        standing=Standing(
            target=Target(ad_account, f"biddingStrategies/{portfolio.id}"),
            is_serving=True,  # nor has a portfolio
            steered_by=lever,
            **_values(lever, _read(portfolio, path)),
            why_not_serving=_account(row),
        ),
        strategy=strategy,
        bid_path=path,
    )


_READERS = {
    "campaigns": _campaign,
    "campaignBudgets": _budget,
    "biddingStrategies": _portfolio,
}


def _values(lever: Lever, value: float | None) -> Mapping[str, Any]:
    name = {
        Lever.BID: "bid_micros",
        Lever.TARGET_CPA: "target_cpa_micros",
        Lever.TARGET_ROAS: "target_roas",
    }.get(lever)
    return {name: value} if name and value else {}


def _read(message: Any, path: str) -> float | None:
    """Return a field of a message by its path; None where it is not set."""
    if not path:
        return None
    *parents, last = path.split(".")
    for parent in parents:
        if not message.HasField(parent):
            return None
        message = getattr(message, parent)
    value: float = getattr(message, last)
    return value


def _is_shared(budget: Any) -> bool:
    return bool(budget.explicitly_shared) or budget.reference_count > 1


def _is_learning(campaign: Any) -> bool:
    status = _enum(campaign, "bidding_strategy_system_status")
    return status.startswith("LEARNING_") or status == "MULTIPLE_LEARNING"


def _account(row: Any) -> str:
    status = _enum(row.customer, "status")
    return "" if status in {"ENABLED", "UNSPECIFIED"} else f"ad account {_words(status)}"


def _why(entity: Any, what: str) -> str:
    status = _enum(entity, "primary_status")
    if status not in _DOES_NOT_SERVE:
        return ""
    reasons: list[str] = []
    if what == "campaign":
        field = entity.DESCRIPTOR.fields_by_name["primary_status_reasons"].enum_type
        reasons = [field.values_by_number[n].name for n in entity.primary_status_reasons]
    told = ", ".join(_words(reason) for reason in reasons)
    return f"{what} {_words(status)}" + (f": {told}" if told else "")


def _words(name: str) -> str:
    return name.lower().replace("_", " ")


def _enum(message: Any, field: str) -> str:
    """Return the name of an enumeration's value; its number where this version has no name."""
    number = getattr(message, field)
    value = message.DESCRIPTOR.fields_by_name[field].enum_type.values_by_number.get(number)
    return value.name if value is not None else str(number)
