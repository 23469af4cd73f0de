"""What can be asked of a campaign and its newest decision, by name: the fields of `--where`.

A row is a campaign on one of its platforms, so that `platform = meta and roi < 0` means the ROI on
meta. A campaign is chosen where one of its rows fits the whole expression.
"""

from collections.abc import Callable, Iterable, Mapping
from typing import NamedTuple

from engine.domain.campaign import Campaign, Definition, Strategy
from engine.domain.decision import Action, Binding, Condition, Decision, PlatformDecision
from engine.domain.lifecycle import State
from engine.reports.kleene import Value
from engine.reports.plan import planned_micros
from engine.reports.where import Field, Kind, Where, parse_where

__all__ = [
    "DECIDED",
    "FIELDS",
    "PLATFORMS",
    "Chosen",
    "Row",
    "choose",
    "code_name",
    "parse",
    "rows_of",
]


class Row(NamedTuple):
    """A campaign on one platform, at a time."""

    campaign: Campaign
    platform: str
    decision: Decision | None
    bid: PlatformDecision | None
    ledger: tuple[int, int] | None  # settled and reserved, micros
    now: float

    @property
    def definition(self) -> Definition:
        return self.campaign.definition


class Chosen(NamedTuple):
    """What an expression says of a campaign."""

    fits: bool | None  # None: not known
    platforms: tuple[str, ...]  # whose rows fit


def parse(text: str) -> Where[Row]:
    """Return the expression that a text is. Raises WhereError."""
    return parse_where(
        text, FIELDS, open_field=_label, currency_of=lambda row: row.definition.currency
    )


def choose(
    where: Where[Row],
    campaign: Campaign,
    decision: Decision | None,
    ledger: tuple[int, int] | None,
    now: float,
) -> Chosen:
    """Return whether a campaign fits an expression, and by which of its platforms."""
    fits, platforms = False, []
    is_unknown = False
    for row in rows_of(campaign, decision, ledger, now):
        one = where.judge(row)
        if one:
            fits = True
            platforms.append(row.platform)
        is_unknown = is_unknown or one is None
    return Chosen(True if fits else None if is_unknown else False, tuple(platforms))


def rows_of(
    campaign: Campaign, decision: Decision | None, ledger: tuple[int, int] | None, now: float
) -> Iterable[Row]:
    """Return a campaign's rows, one for each of its platforms."""
    bids: Mapping[str, PlatformDecision] = (
        {} if decision is None else {one.platform: one for one in decision.platforms}
    )
    for platform in campaign.definition.platforms:
        yield Row(campaign, platform, decision, bids.get(platform), ledger, now)


def code_name(code: Action | Binding | Condition) -> str:
    """Return the name of an action, a binding or a condition as people write it.

    >>> code_name(Binding.MAX_BID)
    'max-bid'
    """
    return code.name.lower().replace("_", "-")


_Getter = Callable[[Row], Value]


def _spent(row: Row) -> int | None:
    return None if row.ledger is None else row.ledger[0]


def _left(row: Row) -> int | None:
    return None if row.ledger is None else row.definition.budget_micros - row.ledger[0]


def _spent_share(row: Row) -> float | None:
    return None if row.ledger is None else row.ledger[0] / row.definition.budget_micros


def _pace(row: Row) -> float | None:
    planned = planned_micros(row.definition, row.now)
    return None if row.ledger is None or not planned else row.ledger[0] / planned


def _of_decision(name: str) -> _Getter:
    return lambda row: None if row.decision is None else getattr(row.decision, name)


def _code(name: str) -> _Getter:
    return lambda row: None if row.decision is None else code_name(getattr(row.decision, name))


def _of_bid(name: str) -> _Getter:
    return lambda row: None if row.bid is None else getattr(row.bid, name)


def _bound(row: Row) -> str | None:
    return None if row.bid is None else code_name(row.bid.bound_by)


def _condition(row: Row) -> str | None:
    found = None if row.bid is None else row.bid.condition
    return None if found is None else code_name(found)


def _label(name: str) -> Field[Row] | None:
    prefix, dot, label = name.partition(".")
    if prefix not in ("label", "labels") or not dot or not label:
        return None
    return Field(Kind.TEXT, lambda row: row.definition.labels.get(label), "a label")


_STATES = tuple(state.value for state in State)
_STRATEGIES = tuple(strategy.value for strategy in Strategy)
_ACTIONS = tuple(code_name(action) for action in Action)
_CONDITIONS = tuple(code_name(condition) for condition in Condition)
_BINDINGS = tuple(code_name(binding) for binding in Binding)

FIELDS: dict[str, Field[Row]] = {
    "id": Field(Kind.TEXT, lambda row: row.definition.id, "the campaign's id"),
    "name": Field(Kind.TEXT, lambda row: row.definition.name, "its name"),
    "state": Field(Kind.TEXT, lambda row: row.campaign.state.value, "where it is in its life",
                   _STATES),
    "strategy": Field(Kind.TEXT, lambda row: row.definition.strategy.value, "what it gets most of",
                      _STRATEGIES),
    "currency": Field(Kind.TEXT, lambda row: row.definition.currency, "of its amounts"),
    "timezone": Field(Kind.TEXT, lambda row: row.definition.timezone, "of its days"),
    "account": Field(Kind.TEXT, lambda row: row.definition.account, "whose caps it is under"),
    "platforms": Field(Kind.TEXTS, lambda row: tuple(row.definition.platforms),
                       "all its platforms: = asks for one of them"),
    "budget": Field(Kind.MONEY, lambda row: row.definition.budget_micros, "for its flight"),
    "target_cpa": Field(Kind.MONEY, lambda row: row.definition.target_cpa_micros, "as asked for"),
    "target_roas": Field(Kind.NUMBER, lambda row: row.definition.target_roas, "as asked for"),
    "conversion_value": Field(Kind.MONEY, lambda row: row.definition.conversion_value_micros,
                              "as asked for"),
    "daily_cap": Field(Kind.MONEY, lambda row: row.definition.guardrails.daily_cap_micros,
                       "as asked for"),
    "starts_in": Field(Kind.SECONDS, lambda row: row.definition.flight.starts_at - row.now,
                       "time until its flight begins, below 0 afterwards"),
    "ends_in": Field(Kind.SECONDS, lambda row: row.definition.flight.ends_at - row.now,
                     "time until its flight ends, below 0 afterwards"),
    "changed_ago": Field(Kind.SECONDS, lambda row: row.now - row.campaign.changed_at,
                         "time since its definition or state was changed"),
    "spent": Field(Kind.MONEY, _spent, "settled, as reports have shown"),
    "left": Field(Kind.MONEY, _left, "of its budget, nothing settled of it"),
    "spent_share": Field(Kind.RATIO, _spent_share, "of its budget that is settled"),
    "pace": Field(Kind.RATIO, _pace, "spent over what an even plan would have spent by now"),
    "action": Field(Kind.TEXT, _code("action"), "of its newest decision", _ACTIONS),
    "bound_by": Field(Kind.TEXT, _code("binding"), "what bound that decision", _BINDINGS),
    "best": Field(Kind.TEXT, _of_decision("best_platform"), "the platform with the highest ROI"),
    "pacing": Field(Kind.NUMBER, _of_decision("pacing_multiplier"), "its pacing multiplier"),
    "decided_ago": Field(
        Kind.SECONDS, lambda row: None if row.decision is None else row.now - row.decision.at,
        "time since its decision last changed"),
    "platform": Field(Kind.TEXT, lambda row: row.platform, "of this row"),
    "bid": Field(Kind.MONEY, _of_bid("bid_micros"), "on this platform; 0: none"),
    "cap": Field(Kind.MONEY, _of_bid("cap_micros"), "what this platform may have spent in total"),
    "cpc": Field(Kind.MONEY, _of_bid("cpc_micros"), "forecast on this platform"),
    "cvr": Field(Kind.RATIO, _of_bid("cvr"), "forecast on this platform"),
    "roi": Field(Kind.MONEY, _of_bid("roi_micros"), "forecast a click on this platform"),
    "confidence": Field(Kind.RATIO, _of_bid("confidence"), "in that forecast, 0 to 1"),
    "condition": Field(
        Kind.TEXT, _condition, "what the market on this platform is up to", _CONDITIONS
    ),
    "bid_bound_by": Field(Kind.TEXT, _bound, "what bound the bid on this platform", _BINDINGS),
}  # fmt: skip

PLATFORMS = tuple(FIELDS[name] for name in ("platform", "platforms", "best"))
"""The fields that hold platforms."""

DECIDED = frozenset(
    {"spent", "left", "spent_share", "pace", "action", "bound_by", "best", "pacing"}
    | {"decided_ago", "bid", "cap", "cpc", "cvr", "roi", "confidence", "condition", "bid_bound_by"}
)
"""The fields that the decision chain tells; the others are in the table of campaigns."""
