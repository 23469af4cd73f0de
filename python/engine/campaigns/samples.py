"""Samples in files: platform reports as people have them, in CSV, JSON or JSON Lines."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import tzinfo
from pathlib import Path as FilePath

import msgspec

from engine.campaigns.files.fields import Fields, did_you_mean
from engine.campaigns.files.reader import read_rows
from engine.campaigns.files.rows import Columns, Path, Problem, Row, shown
from engine.campaigns.files.times import TIME_WANTED, instant, zone_of
from engine.domain.campaign import Definition
from engine.domain.metrics import Sample
from engine.domain.money import from_micros
from engine.domain.validation import problems_of_sample

__all__ = ["FIELDS", "FoundSample", "read_samples"]

FIELDS = ("campaign", "platform", "at", "clicks", "spend", "impressions", "conversions")
_REQUIRED = FIELDS[:5]
MOST_AHEAD_S = 600.0
"""A report further ahead is of a wrong clock: the core begins its window anew (`FUTURE_MS`)."""
_LATEST = 4_102_444_800.0
_COLUMNS = Columns(names=FIELDS, required=_REQUIRED)


class FoundSample(msgspec.Struct, frozen=True):
    """A sample, and the currency its spend is in."""

    sample: Sample
    currency: str


def read_samples(
    paths: Iterable[FilePath], campaigns: Mapping[str, Definition], *, now: float
) -> Iterator[FoundSample | list[Problem]]:
    """Iterate the samples of some files, row by row; a row that is refused gives its problems.

    Each must belong to one of `campaigns`, which also give its currency and the time zone of
    times without one.
    """
    for path in paths:
        for row in read_rows(path, top="samples", columns=_COLUMNS):
            yield [row] if isinstance(row, Problem) else _Reader(row, campaigns, now).read()


class _Reader:
    """One row being read; the problems gather as it goes."""

    def __init__(self, row: Row, campaigns: Mapping[str, Definition], now: float) -> None:
        self._row = row
        self._campaigns = campaigns
        self._now = now
        self._refused: dict[Path, Problem] = {}

    def read(self) -> FoundSample | list[Problem]:
        fields = Fields(self._row.fields, report=self._report, is_text=self._row.is_text)
        fields.know(*FIELDS)
        fields.require(*_REQUIRED, by="sample")
        definition = self._definition(fields)
        zone = zone_of("" if definition is None else definition.timezone)
        sample = Sample(
            campaign=fields.text("campaign"),
            platform=fields.text("platform"),
            at=self._at(fields, zone),
            clicks=fields.whole("clicks") or 0,
            spend_micros=fields.amount("spend") or 0,
            impressions=fields.whole("impressions") or 0,
            conversions=fields.ratio("conversions") or 0.0,
        )
        currency = "USD" if definition is None else definition.currency
        for error in problems_of_sample(sample, currency=currency):
            path = (error.field.removesuffix("_micros"),)
            found = error.found
            if error.field.endswith("_micros") and isinstance(found, int):
                found = float(from_micros(found))
            self._report(path, error.wanted, found)
        return list(self._refused.values()) or FoundSample(sample, currency)

    def _definition(self, fields: Fields) -> Definition | None:
        """Return the definition of the sample's campaign, having reported what does not fit it."""
        name, platform = fields.raw("campaign"), fields.raw("platform")
        if not isinstance(name, str):
            return None
        definition = self._campaigns.get(name)
        if definition is None:
            fields.refuse("campaign", f"a published campaign{self._near(name)}")
        elif isinstance(platform, str) and platform not in definition.platforms:
            fields.refuse("platform", f"one of the campaign's, {', '.join(definition.platforms)}")
        return definition

    def _near(self, name: str) -> str:
        # Near names are searched for in small tables only: in large ones each search takes seconds.
        return did_you_mean(name, self._campaigns) if len(self._campaigns) <= 1_000 else ""

    def _at(self, fields: Fields, zone: tzinfo) -> float:
        if not fields.has("at"):
            return self._now
        try:
            at = instant(fields.raw("at"), zone=zone, since=self._now, now=self._now)
        except ValueError:
            fields.refuse("at", TIME_WANTED)
            return self._now
        # A time in milliseconds is far ahead too: what is wrong with it is said elsewhere.
        if self._now + MOST_AHEAD_S < at <= _LATEST:
            fields.refuse("at", "the end of a stretch that is over, or clocks that agree")
        return at

    def _report(self, path: Path, wanted: str, found: object) -> None:
        if path not in self._refused:
            name = self._row.fields.get("campaign")
            who = name if isinstance(name, str) and name in self._campaigns else ""
            line = self._row.locate(path)
            self._refused[path] = Problem(
                self._row.file, line, ".".join(path), wanted, shown(found), who
            )
