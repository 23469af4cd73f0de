"""What-if: fields of campaigns that are set to something else, as `--set field=value` says.

Amounts are decimals in the campaign's currency (12.50), or a factor of what the campaign has
(x1.2). A field of the campaign's guardrails is set there and on no platform.
"""

import difflib
from collections.abc import Iterable

import msgspec

from engine.domain.campaign import Definition, Strategy
from engine.domain.money import to_micros
from engine.domain.validation import problems_of
from engine.errors import ConfigError

__all__ = ["FIELDS", "Change", "apply_changes", "parse_change"]

_AMOUNTS = {
    "budget": "budget_micros",
    "conversion_value": "conversion_value_micros",
    "target_cpa": "target_cpa_micros",
}
_RAILS = {
    "daily_cap": "daily_cap_micros",
    "max_bid": "max_bid_micros",
    "min_bid": "min_bid_micros",
}
_RAIL_NUMBERS = ("hold_seconds", "max_change", "max_daily_change", "min_confidence")
_RATIOS = (*_RAIL_NUMBERS, "target_roas")
_WINDOW = (2, 127)

FIELDS = tuple(sorted((*_AMOUNTS, *_RAILS, *_RATIOS, "strategy", "window")))


class Change(msgspec.Struct, frozen=True):
    """One field and what it is set to. Amounts in micros; factors where `is_factor`."""

    field: str
    value: int | float | str
    is_factor: bool = False
    text: str = ""  # as it was written


def parse_change(text: str) -> Change:
    """Return the change that a text such as "max_change=0.2" or "budget=x1.5" asks for.

    >>> parse_change("max_bid=2.50")
    Change(field='max_bid', value=2500000, is_factor=False, text='max_bid=2.50')

    Raises ConfigError.
    """
    field, equals, value = (part.strip() for part in text.partition("="))
    if not equals or not value:
        raise ConfigError(f"--set {text}: field=value such as max_change=0.2, found {text!r}")
    if field not in FIELDS:
        near = difflib.get_close_matches(field, FIELDS, n=1, cutoff=0.6)
        hint = f" (did you mean {near[0]}?)" if near else ""
        raise ConfigError(f"--set {text}: one of {', '.join(FIELDS)}{hint}, found {field!r}")
    if field == "strategy":
        known = [strategy.value for strategy in Strategy]
        if value not in known:
            near = difflib.get_close_matches(value, known, n=1, cutoff=0.6)
            hint = f" (did you mean {near[0]}?)" if near else ""
            raise ConfigError(f"--set {text}: one of {', '.join(known)}{hint}, found {value!r}")
        return Change(field, value, text=text)
    if value[0] in "x*" and field != "window":
        factor = _number(text, value[1:])
        if factor <= 0:
            raise ConfigError(f"--set {text}: a factor above 0 such as x1.5, found {value!r}")
        return Change(field, factor, is_factor=True, text=text)
    if field == "window":
        if not value.isascii() or not value.isdigit() or not 2 <= int(value) <= _WINDOW[1]:
            raise ConfigError(f"--set {text}: samples from 2 to 127, found {value!r}")
        return Change(field, int(value), text=text)
    if field in _RATIOS:
        return Change(field, _number(text, value), text=text)
    try:
        return Change(field, to_micros(value), text=text)
    except ValueError as error:
        raise ConfigError(f"--set {text}: {error}") from None


def apply_changes(definition: Definition, changes: Iterable[Change]) -> Definition:
    """Return a definition with changes made, those of books (window) left aside.

    Raises ConfigError where the definition that comes out would not be published.
    """
    changed = definition
    for change in changes:
        if change.field != "window":
            changed = _changed(changed, change)
    if changed is definition:
        return definition
    known = {problem.field for problem in problems_of(definition)}
    for problem in problems_of(changed):
        if problem.field not in known:  # what was wrong before is not the change's doing
            raise ConfigError(f"--set, {definition.id}: {problem}")
    return changed


def _changed(definition: Definition, change: Change) -> Definition:
    replace = msgspec.structs.replace
    field, rails = change.field, definition.guardrails
    if field == "strategy":
        return replace(definition, strategy=Strategy(str(change.value)))
    if field in _RAIL_NUMBERS:
        number = _value(change, getattr(rails, field))
        return replace(definition, guardrails=replace(rails, **{field: number}))
    if field == "target_roas":
        return replace(definition, target_roas=_value(change, definition.target_roas))
    if field in _RAILS:
        name = _RAILS[field]
        value = _micros(change, getattr(rails, name))
        return replace(definition, guardrails=replace(rails, **{name: value}))
    name = _AMOUNTS[field]
    return replace(definition, **{name: _micros(change, getattr(definition, name))})


def _micros(change: Change, before: int | None) -> int | None:
    value = _value(change, before)
    return None if value is None else round(value)


def _value(change: Change, before: float | None) -> float | None:
    """Return the new value; a factor of nothing is nothing."""
    if not change.is_factor:
        return float(change.value) if isinstance(change.value, float) else int(change.value)
    return None if before is None else before * float(change.value)


def _number(text: str, value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        number = float("nan")
    if not abs(number) < float("inf"):
        raise ConfigError(f"--set {text}: a number such as 0.2, found {value!r}")
    return number
