"""A row of a file as a campaign's definition: decimals become micros, local times instants."""

import re
from datetime import UTC, tzinfo
from typing import NamedTuple, TypeVar
from zoneinfo import available_timezones

from engine.campaigns.files.fields import Fields, Report, did_you_mean
from engine.campaigns.files.rows import Columns, Path, Problem, Row, shown
from engine.campaigns.files.times import Relative, instant, zone_of
from engine.domain.campaign import Definition, Flight, Guardrails, PlatformBounds, Strategy
from engine.domain.dayparts import RULE_WANTED
from engine.domain.feasibility import Conflict, conflicts_of
from engine.domain.money import LARGEST_MICROS, from_micros, has_minor_units
from engine.domain.validation import EARLIEST, LATEST, problems_of
from engine.errors import DefinitionError

__all__ = ["COLUMNS", "FIELDS", "Defined", "Written", "conflict_path", "definition_of"]

FIELDS = (
    "id",
    "name",
    "budget",
    "currency",
    "timezone",
    "flight",
    "strategy",
    "conversion_value",
    "target_cpa",
    "target_roas",
    "target_reach",
    "min_spend",
    "account",
    "platforms",
    "guardrails",
    "labels",
)
FLIGHT = ("starts_at", "ends_at")
GUARDRAILS = (
    "min_bid",
    "max_bid",
    "max_change",
    "daily_cap",
    "max_daily_change",
    "hold_seconds",
    "min_confidence",
    "blocked_platforms",
    "blocked_hours",
)
BOUNDS = ("min_bid", "max_bid", "daily_cap", "ad_account", "entity")

_BOUND_COLUMN = re.compile(rf"platforms?\.([^.]+)\.({'|'.join(BOUNDS)})")
_LABEL_COLUMN = re.compile(r"labels\.(.+)")

COLUMNS = Columns(
    names=(
        *(name for name in FIELDS if name not in ("flight", "guardrails", "labels")),
        *(f"flight.{name}" for name in FLIGHT),
        *(f"guardrails.{name}" for name in GUARDRAILS),
    ),
    required=("id", "budget", "flight.starts_at", "flight.ends_at", "platforms"),
    is_open=lambda name: bool(_BOUND_COLUMN.fullmatch(name) or _LABEL_COLUMN.fullmatch(name)),
)

_T = TypeVar("_T")


class Defined(NamedTuple):
    """What a row stands for."""

    definition: Definition
    relative: Relative | None  # where its flight starts so long from now


def definition_of(row: Row, *, now: float) -> Defined | list[Problem]:
    """Return the definition a row stands for, or everything that is wrong with it."""
    return _Reader(row, now).read()


class _Reader:
    """One row being read; the problems gather as it goes."""

    def __init__(self, row: Row, now: float) -> None:
        self._row = row
        self._now = now
        self._refused: dict[Path, Problem] = {}
        self._relative: Relative | None = None
        self._values = _nested(row.fields, self._report) if row.is_text else row.fields

    def read(self) -> Defined | list[Problem]:
        fields = Fields(self._values, report=self._report, is_text=self._row.is_text)
        fields.know(*FIELDS)
        fields.require("id", "budget", "flight", "platforms")
        definition = self._definition(fields)
        for error in problems_of(definition):
            self._report_domain(error)
        if not self._refused:
            for conflict in conflicts_of(definition):
                if conflict.is_certain:
                    self._report(conflict_path(conflict), conflict.wanted, Written(conflict.found))
        problems = list(self._refused.values())
        if problems:
            return sorted(problems, key=lambda problem: problem.line or 0)
        return Defined(definition, self._relative)

    def _definition(self, fields: Fields) -> Definition:
        currency = fields.text("currency", "USD")
        timezone = fields.text("timezone", "UTC")
        if zone_of(timezone) is UTC and timezone not in ("UTC", ""):
            hint = did_you_mean(timezone, _Zones())
            fields.refuse("timezone", f"an IANA time zone, such as Europe/Berlin{hint}")
        return Definition(
            id=fields.text("id"),
            name=fields.text("name"),
            budget_micros=_or(fields.amount("budget", stand_in=LARGEST_MICROS), LARGEST_MICROS),
            currency=currency,
            timezone=timezone,
            flight=self._flight(fields, zone_of(timezone)),
            strategy=self._strategy(fields),
            conversion_value_micros=fields.amount("conversion_value"),
            target_cpa_micros=fields.amount("target_cpa"),
            target_roas=fields.ratio("target_roas"),
            target_reach=fields.whole("target_reach"),
            min_spend_micros=fields.amount("min_spend"),
            account=fields.text("account") or None,
            platforms=self._platforms(fields),
            guardrails=self._guardrails(fields, currency),
            labels=self._labels(fields),
        )

    def _flight(self, fields: Fields, zone: tzinfo) -> Flight:
        flight = fields.mapping("flight", "a mapping of starts_at and ends_at")
        flight.know(*FLIGHT)
        if ("flight",) not in self._refused:
            flight.require(*FLIGHT)
        starts_at = self._instant(flight, "starts_at", zone, self._now)
        ends_at = self._instant(flight, "ends_at", zone, starts_at or self._now)
        self._relative = Relative.of(flight.raw("starts_at"), flight.raw("ends_at"))
        return Flight(starts_at=_or(starts_at, EARLIEST), ends_at=_or(ends_at, LATEST - 1))

    def _instant(self, flight: Fields, name: str, zone: tzinfo, since: float) -> float | None:
        if not flight.has(name):
            return None
        try:
            return instant(flight.raw(name), zone=zone, since=since, now=self._now)
        except ValueError as error:
            flight.refuse(name, str(error))
            return None

    def _strategy(self, fields: Fields) -> Strategy:
        text = fields.text("strategy", Strategy.DYNAMIC.value)
        known = [strategy.value for strategy in Strategy]
        if text not in known:
            fields.refuse("strategy", f"one of {', '.join(known)}{did_you_mean(text, known)}")
            return Strategy.MAXIMISE_REACH  # asks for no other field
        return Strategy(text)

    def _guardrails(self, fields: Fields, currency: str) -> Guardrails:
        rails = fields.mapping("guardrails", f"a mapping of {', '.join(GUARDRAILS)}")
        rails.know(*GUARDRAILS)
        # A hundred yen are not a hundred dollars: the defaults grow with the currency's unit.
        scale = 1 if has_minor_units(currency) else 100
        usual = Guardrails()
        return Guardrails(
            min_bid_micros=_or(rails.amount("min_bid"), usual.min_bid_micros * scale),
            max_bid_micros=_or(rails.amount("max_bid"), usual.max_bid_micros * scale),
            max_change=_or(rails.ratio("max_change"), usual.max_change),
            daily_cap_micros=rails.amount("daily_cap"),
            max_daily_change=rails.ratio("max_daily_change"),
            hold_seconds=_or(rails.ratio("hold_seconds"), usual.hold_seconds),
            min_confidence=_or(rails.ratio("min_confidence"), usual.min_confidence),
            blocked_platforms=rails.words("blocked_platforms", "a list of platforms"),
            blocked_hours=rails.words("blocked_hours", f"a list of rules: {RULE_WANTED}"),
        )

    def _platforms(self, fields: Fields) -> dict[str, PlatformBounds]:
        value = fields.raw("platforms")
        if isinstance(value, list):
            return self._platform_list(fields, value)
        wanted = "a list of platforms, or a mapping from platform to bounds"
        platforms = fields.mapping("platforms", wanted)
        found = {}
        for name in platforms.names():
            bounds = platforms.mapping(name, f"a mapping of {', '.join(BOUNDS)}, or nothing")
            bounds.know(*BOUNDS)
            found[name] = PlatformBounds(
                min_bid_micros=bounds.amount("min_bid"),
                max_bid_micros=bounds.amount("max_bid"),
                daily_cap_micros=bounds.amount("daily_cap"),
                ad_account=bounds.text("ad_account") or None,
                entity=bounds.text("entity") or None,
            )
        return found

    def _platform_list(self, fields: Fields, names: list[object]) -> dict[str, PlatformBounds]:
        found: dict[str, PlatformBounds] = {}
        for name in names:
            if not isinstance(name, str):
                self._report(("platforms",), "names of platforms", name)
            elif name in found:
                self._report(("platforms",), "each platform once", name)
            else:
                found[name] = PlatformBounds()
        return found

    def _labels(self, fields: Fields) -> dict[str, str]:
        labels = fields.mapping("labels", "a mapping of names to texts")
        return {name: labels.text(name) for name in labels.names()}

    def _report(self, path: Path, wanted: str, found: object) -> None:
        """Keep the first problem of each field: those that follow from it say nothing new."""
        if path not in self._refused:
            self._refused[path] = Problem(
                file=self._row.file,
                line=self._row.locate(path),
                field=".".join(path),
                wanted=wanted,
                found=str(found) if isinstance(found, Written) else shown(found),
                campaign=self._campaign(),
            )

    def _report_domain(self, error: DefinitionError) -> None:
        """Keep a problem of the definition, in the file's words: its names, values and decimals."""
        path = tuple(error.field.removesuffix("_micros").split("."))
        if any(path[: len(refused)] == refused for refused in self._refused):
            return
        found = error.found
        written = _at(self._values, path)
        if isinstance(written, dict | list) or found is None:
            written = None
        if written is not None:
            found = written
        elif error.field.endswith("_micros") and isinstance(found, int):
            found = Written(from_micros(found))
        self._report(path, error.wanted, found)

    def _campaign(self) -> str:
        value = self._row.fields.get("id")
        # An id that is refused is shown by its own problem, safely quoted.
        return value if isinstance(value, str) and re.fullmatch(r"[\w-]{1,64}", value) else ""


class Written(str):
    """A number that is shown without quotes."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


class _Zones(list[str]):
    """The names of all time zones, asked for only where a name is wrong."""

    def __init__(self) -> None:
        super().__init__(sorted(available_timezones()))


def conflict_path(conflict: Conflict) -> Path:
    """Return where in a row the constraint is that a conflict wants relaxed."""
    return tuple(conflict.field.removesuffix("_micros").split("."))


def _or(value: _T | None, default: _T) -> _T:
    return default if value is None else value


def _at(values: object, path: Path) -> object:
    for name in path:
        if not isinstance(values, dict):
            return None
        values = values.get(name)
    return values


def _nested(cells: dict[str, object], report: Report) -> dict[str, object]:
    """Return the cells of a CSV row as the mapping that other formats would hold."""
    fields: dict[str, object] = {}
    bounds: dict[str, dict[str, object]] = {}
    for name, cell in cells.items():
        if match := _BOUND_COLUMN.fullmatch(name):
            bounds.setdefault(match[1], {})[match[2]] = cell
        elif name == "platforms":
            fields[name] = _platform_names(str(cell))
        else:
            _put(fields, name, cell)
    platforms = fields.get("platforms")
    if isinstance(platforms, dict):
        for name, given in bounds.items():
            if name not in platforms:
                report(("platforms", name), "no bounds for a platform the row does not have", given)
        fields["platforms"] = {name: bounds.get(name, {}) for name in platforms}
    return fields


def _put(fields: dict[str, object], name: str, cell: object) -> None:
    outer, dot, inner = name.partition(".")
    if not dot:
        fields[name] = cell
        return
    group = fields.setdefault(outer, {})
    if isinstance(group, dict):
        group[inner] = cell


def _platform_names(text: str) -> dict[str, object] | list[str]:
    """Return the platforms of "google|meta"; a list where one comes twice."""
    names = [name.strip() for name in text.split("|")]
    return names if len(set(names)) < len(names) else dict.fromkeys(names)
