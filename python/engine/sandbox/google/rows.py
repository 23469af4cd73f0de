"""Answers to questions: what the books hold, as rows of Google's messages."""

from collections import Counter
from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import grpc
import msgspec
from google.ads.googleads.v26.services.types.google_ads_service import GoogleAdsRow

from engine.sandbox.google.failures import Refused, error_of
from engine.sandbox.google.gaql import Query
from engine.sandbox.state import Account, Books, Entity, Level

__all__ = ["TARGETS", "rows_of"]

_Row = GoogleAdsRow.pb()

# Where campaigns and portfolios keep the lever of a strategy, and which attribute it is here.
TARGETS = {
    "target_cpa.target_cpa_micros": ("TARGET_CPA", "target_cpa_micros"),
    "maximize_conversions.target_cpa_micros": ("MAXIMIZE_CONVERSIONS", "target_cpa_micros"),
    "target_roas.target_roas": ("TARGET_ROAS", "target_roas"),
    "maximize_conversion_value.target_roas": ("MAXIMIZE_CONVERSION_VALUE", "target_roas"),
    "target_spend.cpc_bid_ceiling_micros": ("TARGET_SPEND", "bid_micros"),
}


class _Hour(msgspec.Struct):
    impressions: int = 0
    clicks: int = 0
    spend_micros: int = 0
    milliconversions: int = 0
    revenue_micros: int = 0


class _Line(msgspec.Struct, kw_only=True):
    """What one row is made of."""

    account: Account
    client: Account | None = None
    campaign: Entity | None = None
    group: Entity | None = None
    budget: Entity | None = None
    spenders: int = 0  # campaigns on that budget
    portfolio: Entity | None = None
    day: str = ""
    hour: int = 0
    did: _Hour | None = None


def rows_of(query: Query, account: Account, books: Books) -> Iterator[Any]:
    """Iterate the rows that answer a question. Raises Refused where a field has no answer here."""
    getters = {field: _getter(field) for field in query.fields}
    tests = [(_getter(condition.field), condition) for condition in query.conditions]
    for line in _lines(query, account, books):
        if all(condition.holds(get(line)) for get, condition in tests):
            row = _Row()
            for field, get in getters.items():
                _write(row, field, get(line))
            yield row


def _lines(query: Query, account: Account, books: Books) -> Iterator[_Line]:
    if query.resource == "customer":
        yield _Line(account=account)
    elif query.resource == "customer_client":
        for client in books.accounts():
            if account.id in (client.id, client.manager):
                yield _Line(account=account, client=client)
    elif query.has_metrics:
        yield from _hours(query, account, books)
    else:
        spenders = _spenders(account, books)
        for entity in books.entities(account.id, _LEVELS[query.resource]):
            yield _line(account, entity, books, spenders)


_LEVELS = {
    "campaign": Level.CAMPAIGN,
    "ad_group": Level.GROUP,
    "campaign_budget": Level.BUDGET,
    "bidding_strategy": Level.PORTFOLIO,
}


def _spenders(account: Account, books: Books) -> Counter[str]:
    """Return how many campaigns spend from each budget."""
    campaigns = books.entities(account.id, Level.CAMPAIGN)
    return Counter(each.budget for each in campaigns if not each.is_removed)


def _line(account: Account, entity: Entity, books: Books, spenders: Counter[str]) -> _Line:
    line = _Line(account=account)
    campaign: Entity | None = None
    if entity.level is Level.GROUP:
        line.group = entity
        campaign = books.entity(account.id, Level.CAMPAIGN, entity.parent)
    elif entity.level is Level.CAMPAIGN:
        campaign = entity
    elif entity.level is Level.BUDGET:
        line.budget = entity
    else:
        line.portfolio = entity
    if campaign is not None:
        line.campaign = campaign
        line.budget = books.entity(account.id, Level.BUDGET, campaign.budget)
        line.portfolio = books.entity(account.id, Level.PORTFOLIO, campaign.portfolio)
    if line.budget is not None:
        line.spenders = spenders[line.budget.id]
    return line


def _hours(query: Query, account: Account, books: Books) -> Iterator[_Line]:
    """Iterate lines by entity and local hour; hours in which nothing was done have none."""
    if account.is_manager:
        said = "Metrics cannot be requested for a manager account."
        error = error_of("query_error", "REQUESTED_METRICS_FOR_MANAGER", said)
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
    zone = ZoneInfo(account.timezone)
    first, last = query.dates() or ("", "")
    since = _midnight(date.fromisoformat(first), zone)
    until = _midnight(date.fromisoformat(last) + timedelta(days=1), zone)
    level = _LEVELS[query.resource]
    sums: dict[tuple[str, str, int], _Hour] = {}
    for stat in books.stats(account.id, level, since=since, until=until):
        local = datetime.fromtimestamp(stat.at, zone)
        hour = sums.setdefault((stat.entity, local.date().isoformat(), local.hour), _Hour())
        hour.impressions += stat.impressions
        hour.clicks += stat.clicks
        hour.spend_micros += stat.spend_micros
        hour.milliconversions += stat.milliconversions
        hour.revenue_micros += stat.revenue_micros
    lines: dict[str, _Line] = {}
    spenders = _spenders(account, books)
    for (entity_id, day, number), did in sums.items():
        if entity_id not in lines:
            entity = books.entity(account.id, level, entity_id)
            if entity is None:
                continue
            lines[entity_id] = _line(account, entity, books, spenders)
        yield msgspec.structs.replace(lines[entity_id], day=day, hour=number, did=did)


def _midnight(day: date, zone: ZoneInfo) -> float:
    return datetime(day.year, day.month, day.day, tzinfo=zone).timestamp()


def _getter(field: str) -> Callable[[_Line], object]:
    getter = _GETTERS.get(field)
    if getter is None:
        said = f"Unrecognized field in the query: '{field}' (not known to this sandbox)."
        error = error_of("query_error", "UNRECOGNIZED_FIELD", said)
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
    part = _PARTS.get(field.partition(".")[0])
    if part is None:
        return getter
    # A campaign without a portfolio, say, has no fields of one.
    return lambda line: getter(line) if getattr(line, part) is not None else None


_PARTS = {"campaign_budget": "budget", "bidding_strategy": "portfolio", "campaign": "campaign"}


def _status(entity: Entity | None) -> str:
    assert entity is not None
    if entity.is_removed:
        return "REMOVED"
    return "ENABLED" if entity.is_on else "PAUSED"


def _primary(entity: Entity | None) -> str:
    assert entity is not None
    if entity.is_removed:
        return "REMOVED"
    if not entity.is_on:
        return "PAUSED"
    if entity.why_not_serving:
        return "NOT_ELIGIBLE"
    return "LEARNING" if entity.is_learning and entity.level is Level.CAMPAIGN else "ELIGIBLE"


def _system_status(campaign: Entity) -> str:
    return "LEARNING_SETTING_CHANGE" if campaign.is_learning else "ENABLED"


def _resource(line: _Line, kind: str, number: str) -> str:
    return f"customers/{line.account.id}/{kind}/{number}" if number else ""


def _target(of: str, path: str) -> Callable[[_Line], object]:
    strategy, attribute = TARGETS[path]

    def get(line: _Line) -> object:
        entity: Entity | None = getattr(line, of)
        if entity is None or entity.portfolio:  # a campaign has a portfolio or values of its own
            return None
        return getattr(entity, attribute) if entity.strategy == strategy else None

    return get


def _strategy(line: _Line) -> str:
    assert line.campaign is not None
    own = line.portfolio if line.campaign.portfolio and line.portfolio else line.campaign
    return own.strategy


def _effective(attribute: str, of: str) -> Callable[[_Line], object]:
    def get(line: _Line) -> object:
        assert line.group is not None
        assert line.campaign is not None
        own = getattr(line.group, attribute)
        if own is not None:
            return own
        paths = [path for path, (_, name) in TARGETS.items() if name == attribute]
        whose = "portfolio" if line.campaign.portfolio else "campaign"
        values = [_target(whose, path)(line) for path in paths]
        return next((value for value in values if value is not None), None)

    return get


def _account_status(account: Account) -> str:
    return "SUSPENDED" if account.is_suspended else "ENABLED"


_GETTERS: dict[str, Callable[[Any], object]] = {
    "customer.id": lambda line: line.account.id,
    "customer.status": lambda line: _account_status(line.account),
    "customer.time_zone": lambda line: line.account.timezone,
    "customer.currency_code": lambda line: line.account.currency,
    "customer.descriptive_name": lambda line: line.account.name,
    "customer_client.id": lambda line: line.client.id,
    "customer_client.descriptive_name": lambda line: line.client.name,
    "customer_client.currency_code": lambda line: line.client.currency,
    "customer_client.time_zone": lambda line: line.client.timezone,
    "customer_client.test_account": lambda line: line.client.is_test,
    "customer_client.manager": lambda line: line.client.is_manager,
    "customer_client.status": lambda line: _account_status(line.client),
    "campaign.id": lambda line: line.campaign.id,
    "campaign.name": lambda line: line.campaign.name,
    "campaign.status": lambda line: _status(line.campaign),
    "campaign.serving_status": lambda line: "SERVING",
    "campaign.primary_status": lambda line: _primary(line.campaign),
    "campaign.primary_status_reasons": lambda line: (
        [line.campaign.why_not_serving] if line.campaign.why_not_serving else []
    ),
    "campaign.bidding_strategy_type": _strategy,
    "campaign.bidding_strategy_system_status": lambda line: _system_status(line.campaign),
    "campaign.bidding_strategy": lambda line: _resource(
        line, "biddingStrategies", line.campaign.portfolio
    ),
    "campaign.campaign_budget": lambda line: _resource(
        line, "campaignBudgets", line.campaign.budget
    ),
    "ad_group.id": lambda line: line.group.id,
    "ad_group.name": lambda line: line.group.name,
    "ad_group.status": lambda line: _status(line.group),
    "ad_group.primary_status": lambda line: _primary(line.group),
    "ad_group.cpc_bid_micros": lambda line: line.group.bid_micros,
    "ad_group.target_cpa_micros": lambda line: line.group.target_cpa_micros,
    "ad_group.effective_target_cpa_micros": _effective("target_cpa_micros", "group"),
    "ad_group.target_roas": lambda line: line.group.target_roas,
    "ad_group.effective_target_roas": _effective("target_roas", "group"),
    "campaign_budget.id": lambda line: line.budget.id,
    "campaign_budget.status": lambda line: "REMOVED" if line.budget.is_removed else "ENABLED",
    "campaign_budget.amount_micros": lambda line: line.budget.daily_budget_micros,
    "campaign_budget.explicitly_shared": lambda line: line.budget.is_shared,
    "campaign_budget.reference_count": lambda line: line.spenders,
    "campaign_budget.period": lambda line: "CUSTOM_PERIOD" if line.budget.is_lifetime else "DAILY",
    "bidding_strategy.id": lambda line: line.portfolio.id,
    "bidding_strategy.status": lambda line: "REMOVED" if line.portfolio.is_removed else "ENABLED",
    "bidding_strategy.type": lambda line: line.portfolio.strategy,
    "segments.date": lambda line: line.day,
    "segments.hour": lambda line: line.hour,
    "metrics.impressions": lambda line: line.did.impressions,
    "metrics.clicks": lambda line: line.did.clicks,
    "metrics.cost_micros": lambda line: line.did.spend_micros,
    "metrics.conversions": lambda line: line.did.milliconversions / 1000,
    "metrics.conversions_value": lambda line: line.did.revenue_micros / 1e6,
    **{f"campaign.{path}": _target("campaign", path) for path in TARGETS},
    **{f"bidding_strategy.{path}": _target("portfolio", path) for path in TARGETS},
}


def _write(row: Any, field: str, value: object) -> None:
    """Set a field of a row: names of enumerations become numbers, lists are filled."""
    if value is None:  # and so is the message around it: only one of the strategies is there
        return
    *parents, last = field.split(".")
    message = row
    for parent in parents:
        message = getattr(message, parent)
    known = message.DESCRIPTOR.fields_by_name
    name = last if last in known else f"{last}_"
    enum = known[name].enum_type
    if enum is not None:
        numbers = [_number(enum, each) for each in (value if isinstance(value, list) else [value])]
        value = numbers if isinstance(value, list) else numbers[0]
    if isinstance(value, list):
        getattr(message, name).extend(value)
    elif known[name].cpp_type in _INTEGERS:
        setattr(message, name, int(str(value)))
    else:
        setattr(message, name, value)


_INTEGERS = {1, 2, 3, 4}  # of protobuf: int32, int64, uint32, uint64


def _number(enum: Any, name: object) -> int:
    number: int = enum.values_by_name[str(name)].number
    return number
