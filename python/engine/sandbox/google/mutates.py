"""Changes as Google makes them: every operation checked, then all, or all but the bad, applied.

A careless field mask is obeyed: the target of another strategy than a campaign has switches the
strategy, and takes the campaign out of its portfolio. That is Google's way, and a trap.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import grpc
import msgspec

from engine.domain.money import MICROS, has_minor_units
from engine.platforms.port import Lever
from engine.sandbox.google.failures import Refused, error_of
from engine.sandbox.google.rows import TARGETS
from engine.sandbox.state import Account, Books, Entity, Level

__all__ = ["LEVELS", "Checked", "apply", "check"]

LEVELS = {
    "adGroups": Level.GROUP,
    "campaigns": Level.CAMPAIGN,
    "campaignBudgets": Level.BUDGET,
    "biddingStrategies": Level.PORTFOLIO,
}
_MOST_OPERATIONS = 10_000
_MOST_MICROS = 10_000 * 1_000_000 * 1_000_000
_ENABLED, _PAUSED = 2, 3
_RESOURCE = re.compile(r"customers/(\d+)/([A-Za-z]+)/(\d+)")

# What may be written, and the lever it is; strategies' targets are in TARGETS.
_FIELDS = {
    Level.CAMPAIGN: {"status": Lever.SERVING},
    Level.GROUP: {
        "status": Lever.SERVING,
        "cpc_bid_micros": Lever.BID,
        "target_cpa_micros": Lever.TARGET_CPA,
        "target_roas": Lever.TARGET_ROAS,
    },
    Level.BUDGET: {"amount_micros": Lever.DAILY_BUDGET},
    Level.PORTFOLIO: dict[str, Lever](),
}
_OF_ATTRIBUTE = {
    "target_cpa_micros": Lever.TARGET_CPA,
    "target_roas": Lever.TARGET_ROAS,
    "bid_micros": Lever.BID,
}
_OVERRIDES = {
    "target_cpa_micros": {"TARGET_CPA", "MAXIMIZE_CONVERSIONS"},
    "target_roas": {"TARGET_ROAS", "MAXIMIZE_CONVERSION_VALUE"},
}


class Checked(msgspec.Struct):
    """An operation that was looked at: what it moves, or why it is refused."""

    entity: Entity | None = None
    moves: list[tuple[Lever, float]] = []
    strategy: str = ""  # the one it switches to
    errors: list[Any] = []


def check(kind: str, operations: Sequence[Any], account: Account, books: Books) -> list[Checked]:
    """Return what operations would do. Raises Refused where the request as a whole is wrong."""
    if not operations:
        error = error_of("request_error", "REQUIRED_FIELD_MISSING", "Required field is missing")
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
    if len(operations) > _MOST_OPERATIONS:
        said = f"Too many mutate operations: {len(operations)}."
        error = error_of("request_error", "TOO_MANY_MUTATE_OPERATIONS", said)
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
    if account.is_suspended:
        value = "ACTION_NOT_PERMITTED_FOR_SUSPENDED_ACCOUNT"
        error = error_of("authorization_error", value, "The account is suspended.")
        raise Refused(grpc.StatusCode.PERMISSION_DENIED, error)
    named = Counter(operation.update.resource_name for operation in operations)
    twice = [
        error_of(
            "mutate_error",
            "ID_EXISTS_IN_MULTIPLE_MUTATES",
            "Cannot mutate the same resource twice in one request.",
            operation=number,
        )
        for number, operation in enumerate(operations)
        if named[operation.update.resource_name] > 1
    ]
    if twice:
        raise Refused(grpc.StatusCode.INVALID_ARGUMENT, *twice)
    return [
        _checked(kind, number, operation, account, books)
        for number, operation in enumerate(operations)
    ]


def apply(checked: Checked, account: Account, books: Books) -> None:
    """Do what an operation without errors says."""
    entity = checked.entity
    assert entity is not None
    if checked.strategy:
        books.restrategise(account.id, entity.level, entity.id, checked.strategy)
    for lever, value in checked.moves:
        books.move(account.id, entity.level, entity.id, lever, value)


def _checked(kind: str, number: int, operation: Any, account: Account, books: Books) -> Checked:
    def refused(category: str, value: str, message: str, path: str = "") -> Checked:
        return Checked(errors=[error_of(category, value, message, operation=number, path=path)])

    if operation.WhichOneof("operation") != "update":
        return refused("mutate_error", "MUTATE_NOT_ALLOWED", "Mutates are not allowed.")
    name = operation.update.resource_name
    found = _RESOURCE.fullmatch(name)
    if found is None or found[2] != kind:
        said = f"Resource name '{name}' is malformed."
        return refused("request_error", "RESOURCE_NAME_MALFORMED", said, "resource_name")
    entity = books.entity(account.id, LEVELS[kind], found[3])
    if entity is None or found[1] != account.id:
        said = f"Resource was not found: '{name}'."
        return refused("mutate_error", "RESOURCE_NOT_FOUND", said, "resource_name")
    if entity.is_removed:
        value = "OPERATION_NOT_PERMITTED_FOR_REMOVED_RESOURCE"
        return refused("operation_access_denied_error", value, "It was removed.")
    if not operation.update_mask.paths:
        said = "The field mask must be provided for update operations."
        return refused("field_mask_error", "FIELD_MASK_MISSING", said)
    checked = Checked(entity=entity, moves=[], errors=[])
    for path in operation.update_mask.paths:
        checked.errors += _field(number, operation.update, path, account, books, checked)
    return checked


def _field(
    number: int, update: Any, path: str, account: Account, books: Books, checked: Checked
) -> Iterator[Any]:
    """Check a field of the mask: iterate what is wrong, put down what it moves."""
    entity = checked.entity
    assert entity is not None

    def wrong(category: str, value: str, message: str) -> Any:
        return error_of(category, value, message, operation=number, path=path)

    value = _value(update, path)
    if value is None:
        yield wrong("field_mask_error", "FIELD_NOT_FOUND", f"The field '{path}' is not known.")
        return
    strategy, attribute = TARGETS.get(path, ("", ""))
    if strategy and entity.level in (Level.CAMPAIGN, Level.PORTFOLIO):
        if entity.level is Level.CAMPAIGN and (entity.portfolio or entity.strategy != strategy):
            checked.strategy = strategy
        lever = _OF_ATTRIBUTE[attribute]
    elif path in _FIELDS[entity.level]:
        lever = _FIELDS[entity.level][path]
    else:
        yield wrong("field_error", "IMMUTABLE_FIELD", f"The field '{path}' cannot be changed.")
        return
    if lever is Lever.SERVING:
        if value not in (_ENABLED, _PAUSED):
            yield wrong("request_error", "INVALID_ENUM_VALUE", f"Status {value} is not valid.")
        value = float(value == _ENABLED)
    elif lever is Lever.TARGET_ROAS:
        if not 0.01 <= value <= 1000:
            code = "TOO_LOW" if value < 0.01 else "TOO_HIGH"
            yield wrong("range_error", code, f"A target ROAS from 0.01 to 1000, found {value}.")
    else:
        yield from (wrong(*what) for what in _money(entity, value, account))
    if entity.level is Level.GROUP and path in _OVERRIDES:
        campaign = books.entity(account.id, Level.CAMPAIGN, entity.parent)
        if campaign is None or campaign.strategy not in _OVERRIDES[path]:
            code = "BID_TYPE_AND_BIDDING_STRATEGY_MISMATCH"
            yield wrong("ad_group_error", code, "The bid's type does not match the strategy.")
    if entity.level is Level.BUDGET and entity.is_lifetime:
        code = "BUDGET_AMOUNT_MUST_BE_UNSET_FOR_CUSTOM_BUDGET_PERIOD"
        yield wrong("campaign_budget_error", code, "It is a budget for a custom period.")
    checked.moves.append((lever, value))


def _money(entity: Entity, value: float, account: Account) -> Iterator[tuple[str, str, str]]:
    unit = 10_000 if has_minor_units(account.currency) else MICROS
    is_budget = entity.level is Level.BUDGET
    if value % unit:
        said = f"A multiple of {unit}, found {value}."
        if is_budget:
            yield "campaign_budget_error", "NON_MULTIPLE_OF_MINIMUM_CURRENCY_UNIT", said
        else:
            yield "currency_error", "VALUE_NOT_MULTIPLE_OF_BILLABLE_UNIT", said
    elif value < unit:
        code = "MONEY_AMOUNT_LESS_THAN_CURRENCY_MINIMUM_CPC" if is_budget else "BID_TOO_SMALL"
        category = "campaign_budget_error" if is_budget else "bidding_error"
        yield category, code, f"At least {unit}, found {value}."
    elif value > _MOST_MICROS:
        code = "MONEY_AMOUNT_TOO_LARGE" if is_budget else "BID_TOO_BIG"
        category = "campaign_budget_error" if is_budget else "bidding_error"
        yield category, code, f"At most {_MOST_MICROS}, found {value}."


def _value(update: Any, path: str) -> float | None:
    """Return a field's value by its path; None where the message has no such field."""
    *parents, last = path.split(".")
    message = update
    for parent in parents:
        field = message.DESCRIPTOR.fields_by_name.get(parent)
        if field is None or field.message_type is None:
            return None
        message = getattr(message, parent)
    field = message.DESCRIPTOR.fields_by_name.get(last)
    if field is None or field.message_type is not None:
        return None
    value = getattr(message, last)
    return value if isinstance(value, int | float) else None
