"""The questions we ask Google, in its query language."""

from collections.abc import Iterable, Iterator
from datetime import date

__all__ = ["CLIENTS", "KINDS", "TIME_ZONE", "ad_groups_of", "hourly", "is_entity", "of_entities"]

_CHUNK = 5_000  # ids of one question: Google takes 20,000

CLIENTS = (
    "SELECT customer_client.id, customer_client.descriptive_name, customer_client.currency_code,"
    " customer_client.time_zone, customer_client.test_account"
    " FROM customer_client"
    " WHERE customer_client.manager = FALSE AND customer_client.status = 'ENABLED'"
)
TIME_ZONE = "SELECT customer.time_zone FROM customer"

_STRATEGY = (
    "target_cpa.target_cpa_micros",
    "maximize_conversions.target_cpa_micros",
    "target_roas.target_roas",
    "maximize_conversion_value.target_roas",
    "target_spend.cpc_bid_ceiling_micros",
)
_CAMPAIGN = (
    "customer.status",
    "campaign.id",
    "campaign.status",
    "campaign.serving_status",
    "campaign.primary_status",
    "campaign.primary_status_reasons",
    "campaign.bidding_strategy_type",
    "campaign.bidding_strategy_system_status",
    "campaign.bidding_strategy",
    *(f"campaign.{field}" for field in _STRATEGY),
    *(f"bidding_strategy.{field}" for field in _STRATEGY),
    "campaign.campaign_budget",
    "campaign_budget.amount_micros",
    "campaign_budget.explicitly_shared",
    "campaign_budget.reference_count",
    "campaign_budget.period",
)
_AD_GROUP = (
    "customer.status",
    "ad_group.id",
    "ad_group.status",
    "ad_group.primary_status",
    "ad_group.cpc_bid_micros",
    "ad_group.target_cpa_micros",
    "ad_group.effective_target_cpa_micros",
    "ad_group.target_roas",
    "ad_group.effective_target_roas",
    "campaign.id",  # whose own fields, and its budget's, are asked for by themselves
)
_BUDGET = (
    "customer.status",
    "campaign_budget.id",
    "campaign_budget.status",
    "campaign_budget.amount_micros",
    "campaign_budget.period",
)
_PORTFOLIO = (
    "customer.status",
    "bidding_strategy.id",
    "bidding_strategy.status",
    "bidding_strategy.type",
    *(f"bidding_strategy.{field}" for field in _STRATEGY),
)

# What an entity's name begins with, its resource, and what is read of it.
KINDS: dict[str, tuple[str, tuple[str, ...]]] = {
    "campaigns": ("campaign", _CAMPAIGN),
    "adGroups": ("ad_group", _AD_GROUP),
    "campaignBudgets": ("campaign_budget", _BUDGET),
    "biddingStrategies": ("bidding_strategy", _PORTFOLIO),
}


def is_entity(entity: str) -> bool:
    """Return whether a target's entity is one of Google's that can be read, as campaigns/1 is."""
    kind, _, number = entity.partition("/")
    return kind in KINDS and number.isascii() and number.isdigit()


def of_entities(kind: str, ids: Iterable[str]) -> Iterator[str]:
    """Iterate the questions how entities of a kind stand; removed ones are left out."""
    resource, fields = KINDS[kind]
    for chunk in _chunks(ids):
        yield (
            f"SELECT {', '.join(fields)} FROM {resource}"
            f" WHERE {resource}.id IN ({chunk}) AND {resource}.status != 'REMOVED'"
        )


def ad_groups_of(campaigns: Iterable[str]) -> Iterator[str]:
    """Iterate the questions which ad groups campaigns have."""
    for chunk in _chunks(campaigns):
        yield (
            "SELECT ad_group.id, campaign.id FROM ad_group"
            f" WHERE campaign.id IN ({chunk}) AND ad_group.status != 'REMOVED'"
        )


def hourly(resource: str, first: date, last: date) -> str:
    """Return the question what campaigns or ad groups did by the hour of some local days."""
    return (
        f"SELECT {resource}.id, segments.date, segments.hour, metrics.impressions, metrics.clicks,"
        " metrics.cost_micros, metrics.conversions, metrics.conversions_value"
        f" FROM {resource} WHERE segments.date BETWEEN '{first}' AND '{last}'"
    )


def _chunks(ids: Iterable[str]) -> Iterator[str]:
    ordered = sorted(ids, key=int)
    for start in range(0, len(ordered), _CHUNK):
        yield ", ".join(ordered[start : start + _CHUNK])
