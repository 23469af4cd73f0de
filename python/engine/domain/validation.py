"""What a definition or a sample must satisfy before anything acts on it.

Every check names the path of the field, what was wanted and what was found. All problems of one
definition are found, not only the first: people mend a file once. Amounts are checked in micros
and spoken of in decimals.
"""

import math
from collections.abc import Iterator
from datetime import UTC, datetime
from zoneinfo import ZoneInfo

from engine.domain.accounts import Account
from engine.domain.campaign import Definition, Guardrails, PlatformBounds, Strategy
from engine.domain.dayparts import hours_of
from engine.domain.ids import (
    is_ad_account,
    is_campaign_id,
    is_entity,
    is_platform,
    series_key,
)
from engine.domain.metrics import Sample
from engine.domain.money import LARGEST_MICROS, from_micros, is_currency, unit_micros
from engine.errors import DefinitionError

__all__ = [
    "EARLIEST",
    "LATEST",
    "MOST_LABELS",
    "MOST_PLATFORMS",
    "is_timezone",
    "problems_of",
    "problems_of_account",
    "problems_of_membership",
    "problems_of_sample",
    "validate",
]

EARLIEST = 946_684_800.0  # 2000-01-01: anything before is seconds mistaken for something else
LATEST = 4_102_444_800.0  # 2100-01-01: anything after is milliseconds mistaken for seconds
MOST_PLATFORMS = 16
MOST_LABELS = 32
LONGEST_NAME = 200
LONGEST_LABEL = 64
LONGEST_LABEL_VALUE = 256
LARGEST_ROAS = 1_000.0
LARGEST_DAILY_CHANGE = 10.0
LONGEST_HOLD_S = 30 * 86_400
MOST_RULES = 64
LARGEST_COUNT = 2**31 - 1  # of clicks, milliconversions and spend units in a sample's row
LARGEST_IMPRESSIONS = 2**32 - 1


def validate(definition: Definition) -> Definition:
    """Return the definition itself where nothing is wrong with it.

    Raises DefinitionError for the first problem, with the others as its notes.
    """
    problems = list(problems_of(definition))
    if not problems:
        return definition
    first, *others = problems
    for other in others:
        first.add_note(f"also: {other}")
    raise first


def problems_of(definition: Definition) -> Iterator[DefinitionError]:
    """Yield everything that is wrong with a definition; nothing where it may be published."""
    yield from _names(definition)
    yield from _amount("budget_micros", definition.budget_micros)
    yield from _flight(definition)
    yield from _goal(definition)
    yield from _guardrails(definition.guardrails, definition.budget_micros)
    yield from _platforms(definition)
    yield from _blocked(definition)
    yield from _labels(definition.labels)


def problems_of_account(account: Account) -> Iterator[DefinitionError]:
    """Yield everything that is wrong with an account."""
    if not is_campaign_id(account.id):
        yield DefinitionError("id", _ID_WANTED, account.id)
    if not is_currency(account.currency):
        wanted = "an ISO 4217 code of three capitals, such as USD"
        yield DefinitionError("currency", wanted, account.currency)
    if not is_timezone(account.timezone):
        wanted = "an IANA time zone, such as Europe/Berlin"
        yield DefinitionError("timezone", wanted, account.timezone)
    yield from _amount("total_cap_micros", account.total_cap_micros)
    yield from _amount("daily_cap_micros", account.daily_cap_micros)
    if account.total_cap_micros is not None and account.daily_cap_micros is not None:
        yield from _daily_cap(
            "daily_cap_micros", account.daily_cap_micros, account.total_cap_micros, "the total cap"
        )


def problems_of_membership(definition: Definition, account: Account) -> Iterator[DefinitionError]:
    """Yield what keeps a campaign from its account: another currency, another time zone."""
    if definition.currency != account.currency:
        wanted = f"the currency of account {account.id}, {account.currency}"
        yield DefinitionError("currency", wanted, definition.currency)
    if definition.timezone != account.timezone:
        wanted = f"the time zone of account {account.id}, {account.timezone}"
        yield DefinitionError("timezone", wanted, definition.timezone)


def problems_of_sample(sample: Sample, *, currency: str) -> Iterator[DefinitionError]:
    """Yield everything that is wrong with a sample whose spend is in micros of `currency`."""
    if not is_campaign_id(sample.campaign):
        yield DefinitionError("campaign", _ID_WANTED, sample.campaign)
    if not is_platform(sample.platform):
        yield DefinitionError("platform", _PLATFORM_WANTED, sample.platform)
    yield from _time("at", sample.at)
    yield from _count("clicks", sample.clicks, LARGEST_COUNT)
    yield from _count("impressions", sample.impressions, LARGEST_IMPRESSIONS)
    if not 0 <= sample.conversions <= LARGEST_COUNT / 1_000:
        yield DefinitionError(
            "conversions", f"0 to {LARGEST_COUNT / 1_000:.0f}", sample.conversions
        )
    largest = LARGEST_COUNT * unit_micros(currency)
    if not 0 <= sample.spend_micros <= largest:
        yield DefinitionError(
            "spend_micros", f"0 to {from_micros(largest)} {currency}", sample.spend_micros
        )


def is_timezone(name: str) -> bool:
    """Return whether the IANA database has a time zone of that name."""
    try:
        ZoneInfo(name)
    except (KeyError, ValueError, OSError):  # unknown; a path; a directory such as "America"
        return False
    return True


_ID_WANTED = "1 to 64 of A-Z a-z 0-9 _ -"
_PLATFORM_WANTED = "a platform in lower case, 1 to 32 of a-z 0-9 _ -, a letter first"


def _names(definition: Definition) -> Iterator[DefinitionError]:
    if not is_campaign_id(definition.id):
        yield DefinitionError("id", _ID_WANTED, definition.id)
    if len(definition.name) > LONGEST_NAME or not _is_printable(definition.name):
        wanted = f"up to {LONGEST_NAME} printable characters"
        yield DefinitionError("name", wanted, definition.name)
    if not is_currency(definition.currency):
        wanted = "an ISO 4217 code of three capitals, such as USD"
        yield DefinitionError("currency", wanted, definition.currency)
    if definition.account is not None and not is_campaign_id(definition.account):
        yield DefinitionError("account", _ID_WANTED, definition.account)
    if not is_timezone(definition.timezone):
        wanted = "an IANA time zone, such as Europe/Berlin"
        yield DefinitionError("timezone", wanted, definition.timezone)


def _flight(definition: Definition) -> Iterator[DefinitionError]:
    flight = definition.flight
    problems = [
        *_time("flight.starts_at", flight.starts_at),
        *_time("flight.ends_at", flight.ends_at),
    ]
    yield from problems
    if not problems and flight.ends_at <= flight.starts_at:
        starts_at = datetime.fromtimestamp(flight.starts_at, UTC).isoformat(timespec="seconds")
        wanted = f"a time after starts_at ({starts_at})"
        yield DefinitionError("flight.ends_at", wanted, flight.ends_at)


def _goal(definition: Definition) -> Iterator[DefinitionError]:
    yield from _amount("conversion_value_micros", definition.conversion_value_micros)
    yield from _amount("target_cpa_micros", definition.target_cpa_micros)
    yield from _amount("min_spend_micros", definition.min_spend_micros)
    roas, reach = definition.target_roas, definition.target_reach
    if roas is not None and not 0 < roas <= LARGEST_ROAS:
        wanted = f"more than 0 and up to {LARGEST_ROAS:.0f} (4.0: four times the spend)"
        yield DefinitionError("target_roas", wanted, roas)
    if reach is not None and not 0 < reach <= LARGEST_MICROS:
        wanted = f"1 to {LARGEST_MICROS} impressions"
        yield DefinitionError("target_reach", wanted, reach)
    yield from _strategy(definition)


def _strategy(definition: Definition) -> Iterator[DefinitionError]:
    """Each strategy needs the figures it steers by; maximise-reach needs none.

    Its `target_reach` is where it may stop, not what it steers by, so it stays optional.
    """
    strategy, value = definition.strategy, definition.conversion_value_micros
    if strategy is Strategy.MAXIMISE_REACH:
        return
    if strategy is Strategy.TARGET_CPA:
        if definition.target_cpa_micros is None:
            yield DefinitionError("target_cpa_micros", "an amount, for strategy target-cpa", None)
    elif strategy is Strategy.TARGET_ROAS:
        if definition.target_roas is None:
            yield DefinitionError("target_roas", "a ratio, for strategy target-roas", None)
        if value is None:
            wanted = "an amount, for strategy target-roas"
            yield DefinitionError("conversion_value_micros", wanted, None)
    elif value is None and definition.target_cpa_micros is None:
        wanted = f"this or target_cpa, for strategy {strategy.value}"
        yield DefinitionError("conversion_value_micros", wanted, None)


def _guardrails(rails: Guardrails, budget: int) -> Iterator[DefinitionError]:
    yield from _amount("guardrails.min_bid_micros", rails.min_bid_micros)
    yield from _amount("guardrails.max_bid_micros", rails.max_bid_micros)
    if rails.min_bid_micros > rails.max_bid_micros:
        wanted = f"at least min_bid ({from_micros(rails.min_bid_micros)})"
        yield DefinitionError("guardrails.max_bid_micros", wanted, rails.max_bid_micros)
    if not 0 < rails.max_change <= 1:
        wanted = "a fraction above 0 and up to 1 (0.5 is half)"
        yield DefinitionError("guardrails.max_change", wanted, rails.max_change)
    yield from _daily_cap("guardrails.daily_cap_micros", rails.daily_cap_micros, budget)
    daily = rails.max_daily_change
    if daily is not None and not 0 < daily <= LARGEST_DAILY_CHANGE:
        wanted = f"a fraction above 0 and up to {LARGEST_DAILY_CHANGE:g} (1.0 may double a bid)"
        yield DefinitionError("guardrails.max_daily_change", wanted, daily)
    if not 0 <= rails.hold_seconds <= LONGEST_HOLD_S:
        wanted = f"0 to {LONGEST_HOLD_S} seconds"
        yield DefinitionError("guardrails.hold_seconds", wanted, rails.hold_seconds)
    if not 0 <= rails.min_confidence <= 1:
        wanted = "a confidence of 0 to 1"
        yield DefinitionError("guardrails.min_confidence", wanted, rails.min_confidence)
    if len(rails.blocked_hours) > MOST_RULES:
        wanted = f"up to {MOST_RULES} rules"
        yield DefinitionError("guardrails.blocked_hours", wanted, len(rails.blocked_hours))
    for rule in rails.blocked_hours:
        try:
            hours_of(rule)
        except ValueError as error:
            yield DefinitionError("guardrails.blocked_hours", str(error), rule)


def _blocked(definition: Definition) -> Iterator[DefinitionError]:
    for name in definition.guardrails.blocked_platforms:
        if name not in definition.platforms:
            wanted = f"platforms of the campaign, {', '.join(definition.platforms)}"
            yield DefinitionError("guardrails.blocked_platforms", wanted, name)


def _platforms(definition: Definition) -> Iterator[DefinitionError]:
    platforms = definition.platforms
    if not 1 <= len(platforms) <= MOST_PLATFORMS:
        yield DefinitionError("platforms", f"1 to {MOST_PLATFORMS} platforms", len(platforms))
    keys: dict[int, str] = {}
    for name, bounds in platforms.items():
        if not is_platform(name):
            yield DefinitionError("platforms", _PLATFORM_WANTED, name)
            continue
        other = keys.setdefault(series_key(definition.id, name), name)
        if other != name:  # both would share one window: their samples could not be told apart
            wanted = f"series keys that differ ({other} has the same: rename the campaign)"
            yield DefinitionError("platforms", wanted, name)
        yield from _bounds(f"platforms.{name}", bounds, definition)


def _bounds(path: str, bounds: PlatformBounds, definition: Definition) -> Iterator[DefinitionError]:
    if bounds == _NO_BOUNDS:
        return
    yield from _amount(f"{path}.min_bid_micros", bounds.min_bid_micros)
    yield from _amount(f"{path}.max_bid_micros", bounds.max_bid_micros)
    rails = definition.guardrails
    low = rails.min_bid_micros if bounds.min_bid_micros is None else bounds.min_bid_micros
    high = rails.max_bid_micros if bounds.max_bid_micros is None else bounds.max_bid_micros
    if low > high and rails.min_bid_micros <= rails.max_bid_micros:
        if bounds.max_bid_micros is None:
            wanted = f"at most max_bid of the guardrails ({from_micros(high)})"
            yield DefinitionError(f"{path}.min_bid_micros", wanted, low)
        else:
            wanted = f"at least min_bid ({from_micros(low)})"
            yield DefinitionError(f"{path}.max_bid_micros", wanted, high)
    yield from _daily_cap(
        f"{path}.daily_cap_micros", bounds.daily_cap_micros, definition.budget_micros
    )
    yield from _link(path, bounds)


def _link(path: str, bounds: PlatformBounds) -> Iterator[DefinitionError]:
    account, entity = bounds.ad_account, bounds.entity
    if account is not None and not is_ad_account(account):
        wanted = "an ad account as its platform names it, 1 to 64 of A-Z a-z 0-9 _ -"
        yield DefinitionError(f"{path}.ad_account", wanted, account)
    if entity is not None and not is_entity(entity):
        wanted = "an entity as its platform names it, such as adGroups/55"
        yield DefinitionError(f"{path}.entity", wanted, entity)
    if (account is None) != (entity is None):
        missing = "ad_account" if account is None else "entity"
        other = "entity" if account is None else "ad_account"
        yield DefinitionError(f"{path}.{missing}", f"this beside {other}: both link it", None)


def _labels(labels: dict[str, str]) -> Iterator[DefinitionError]:
    if len(labels) > MOST_LABELS:
        yield DefinitionError("labels", f"up to {MOST_LABELS} labels", len(labels))
    for key, text in labels.items():
        if not 1 <= len(key) <= LONGEST_LABEL or not _is_printable(key):
            wanted = f"a name of 1 to {LONGEST_LABEL} printable characters"
            yield DefinitionError("labels", wanted, key)
        elif len(text) > LONGEST_LABEL_VALUE or not _is_printable(text):
            wanted = f"up to {LONGEST_LABEL_VALUE} printable characters"
            yield DefinitionError(f"labels.{key}", wanted, text)


_NO_BOUNDS = PlatformBounds()


def _amount(field: str, micros: int | None) -> Iterator[DefinitionError]:
    if micros is not None and not 0 < micros <= LARGEST_MICROS:
        wanted = f"more than 0 and up to {from_micros(LARGEST_MICROS)}"
        yield DefinitionError(field, wanted, micros)


def _daily_cap(
    field: str, cap: int | None, budget: int, what: str = "the budget"
) -> Iterator[DefinitionError]:
    if cap is None:
        return
    if cap <= 0:
        yield DefinitionError(field, "more than 0", cap)
    elif 0 < budget < cap:
        yield DefinitionError(field, f"at most {what} ({from_micros(budget)})", cap)


def _time(field: str, at: float) -> Iterator[DefinitionError]:
    if not EARLIEST <= at < LATEST:  # NaN fails both comparisons
        wanted = "a time from 2000 to 2099, in epoch seconds"
        if math.isfinite(at) and EARLIEST <= at / 1_000 < LATEST:
            wanted += " (these look like milliseconds)"
        yield DefinitionError(field, wanted, at)


def _count(field: str, count: int, largest: int) -> Iterator[DefinitionError]:
    if not 0 <= count <= largest:
        yield DefinitionError(field, f"0 to {largest}", count)


def _is_printable(text: str) -> bool:
    return text.isprintable()
