"""The JSON Schema of campaign files, for editors to check and complete them as one types."""

from typing import Any

from engine.domain.campaign import Guardrails, Strategy
from engine.domain.dayparts import RULE_WANTED
from engine.domain.money import from_micros
from engine.domain.validation import (
    LARGEST_DAILY_CHANGE,
    LARGEST_ROAS,
    LONGEST_HOLD_S,
    LONGEST_NAME,
    MOST_LABELS,
    MOST_PLATFORMS,
    MOST_RULES,
)

__all__ = ["schema"]


def schema() -> dict[str, Any]:
    """Return the schema of a YAML or JSON file of campaigns."""
    campaigns = {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/campaign"}}
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Campaigns",
        "anyOf": [
            campaigns,
            {
                "type": "object",
                "properties": {
                    "$schema": {"type": "string"},
                    "accounts": {"type": "array", "items": {"$ref": "#/$defs/account"}},
                    "campaigns": campaigns,
                    "columns": {
                        "type": "object",
                        "additionalProperties": {"type": "string"},
                        "description": "Columns of a log, for engine backtest.",
                    },
                },
                "patternProperties": {"^x-": {}},
                "required": ["campaigns"],
                "additionalProperties": False,
            },
            {"$ref": "#/$defs/campaign"},
        ],
        "$defs": {
            "amount": _described(
                "An amount in the campaign's currency, in decimals: 12.50",
                type="number",
                exclusiveMinimum=0,
            ),
            "time": _described(
                "ISO 8601, local to the campaign's timezone where it names no zone of its own; or "
                'epoch seconds, "now", "+2h" (from starts_at; from now for starts_at itself)',
                type=["string", "number"],
            ),
            "bounds": _mapping(
                "Bounds of a platform (else the campaign's), and what is steered there",
                min_bid=_AMOUNT,
                max_bid=_AMOUNT,
                daily_cap=_AMOUNT,
                ad_account=_described(
                    "The ad account, by the platform's own name",
                    type="string",
                    pattern="^[A-Za-z0-9_-]{1,64}$",
                ),
                entity=_described(
                    "What is steered in it, such as adGroups/55",
                    type="string",
                    pattern="^[A-Za-z0-9][A-Za-z0-9_./:~-]{0,127}$",
                ),
            )
            | {"dependentRequired": {"ad_account": ["entity"], "entity": ["ad_account"]}},
            "account": _account(),
            "campaign": _campaign(),
        },
    }


_AMOUNT = {"$ref": "#/$defs/amount"}


def _campaign() -> dict[str, Any]:
    campaign = _mapping(
        "What an advertiser asks for",
        id={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        name={"type": "string", "maxLength": LONGEST_NAME},
        budget=_AMOUNT,
        currency={"type": "string", "pattern": "^[A-Z]{3}$", "default": "USD"},
        timezone=_described("IANA time zone of its days", type="string", default="UTC"),
        flight=_mapping(
            "The stretch of time the budget is meant for",
            starts_at={"$ref": "#/$defs/time"},
            ends_at={"$ref": "#/$defs/time"},
        )
        | {"required": ["starts_at", "ends_at"]},
        strategy=_described(
            "What to get the most of; dynamic goes by what is given",
            enum=[strategy.value for strategy in Strategy],
            default=Strategy.DYNAMIC.value,
        ),
        conversion_value=_AMOUNT | {"description": "What a conversion is worth"},
        target_cpa=_AMOUNT | {"description": "The most to pay for a conversion, on average"},
        target_roas=_described(
            "Revenue for each unit spent, at least",
            type="number",
            exclusiveMinimum=0,
            maximum=LARGEST_ROAS,
        ),
        target_reach=_described("Impressions", type="integer", minimum=1),
        min_spend=_AMOUNT
        | {
            "description": "What must be possible to spend over the flight, or nothing is published"
        },
        account={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        platforms=_platforms(),
        guardrails=_guardrails(),
        labels={
            "type": "object",
            "additionalProperties": {"type": "string"},
            "maxProperties": MOST_LABELS,
        },
    )
    return campaign | {"required": ["id", "budget", "flight", "platforms"]}


def _platforms() -> dict[str, Any]:
    name = {"type": "string", "pattern": "^[a-z][a-z0-9_-]{0,31}$"}
    size = {"minItems": 1, "maxItems": MOST_PLATFORMS, "uniqueItems": True}
    return {
        "anyOf": [
            {"type": "array", "items": name, **size},
            {
                "type": "object",
                "propertyNames": name,
                "additionalProperties": {"anyOf": [{"$ref": "#/$defs/bounds"}, {"type": "null"}]},
                "minProperties": 1,
                "maxProperties": MOST_PLATFORMS,
            },
        ]
    }


def _guardrails() -> dict[str, Any]:
    usual = Guardrails()
    low, high = from_micros(usual.min_bid_micros), from_micros(usual.max_bid_micros)
    return _mapping(
        "Caps that no decision may pass",
        min_bid=_AMOUNT | {"description": f"{low} where not given, 100 times that without cents"},
        max_bid=_AMOUNT | {"description": f"{high} where not given, 100 times that without cents"},
        max_change=_described(
            "The largest change of a bid in one round, as a fraction",
            type="number",
            exclusiveMinimum=0,
            maximum=1,
            default=usual.max_change,
        ),
        daily_cap=_AMOUNT,
        max_daily_change=_described(
            "The largest change of a bid in a day, as a fraction of the bid that it began with",
            type="number",
            exclusiveMinimum=0,
            maximum=LARGEST_DAILY_CHANGE,
        ),
        hold_seconds=_described(
            "How long a bid that has changed stays",
            type="number",
            minimum=0,
            maximum=LONGEST_HOLD_S,
            default=usual.hold_seconds,
        ),
        min_confidence=_described(
            "Below this confidence of its forecast a bid does not rise",
            type="number",
            minimum=0,
            maximum=1,
            default=usual.min_confidence,
        ),
        blocked_platforms=_described(
            "Platforms not to bid on, for now", type="array", items={"type": "string"}
        ),
        blocked_hours=_described(
            "When not to bid, by the campaign's timezone: " + RULE_WANTED,
            type="array",
            items={"type": "string"},
            maxItems=MOST_RULES,
        ),
    )


def _account() -> dict[str, Any]:
    account = _mapping(
        "Caps over all campaigns that name the account",
        id={"type": "string", "pattern": "^[A-Za-z0-9_-]{1,64}$"},
        currency={"type": "string", "pattern": "^[A-Z]{3}$", "default": "USD"},
        timezone=_described("IANA time zone of its days", type="string", default="UTC"),
        daily_cap=_AMOUNT,
        total_cap=_AMOUNT,
    )
    return account | {"required": ["id"]}


def _described(description: str, **keywords: object) -> dict[str, Any]:
    return {"description": description, **keywords}


def _mapping(description: str, **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "description": description,
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
    }
