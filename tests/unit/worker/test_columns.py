"""A round as columns: the same as row by row, whoever comes and goes between rounds."""

import numpy as np

from engine.core.book import Book, Round
from engine.domain.campaign import Campaign, PlatformBounds
from engine.messaging.records import Columns
from engine.worker.columns import Names, columns_of
from support.definitions import START, campaign, frame, names_in, report

PARTITION = 7
ONE, TWO, THREE = names_in(PARTITION, 3)


class Site:
    """A book, and the names of what is in it."""

    def __init__(self) -> None:
        self.book = Book()
        self.names = Names()
        self._at_ms = round(START * 1000)
        self._frames = 0

    def put(self, *campaigns: Campaign) -> None:
        self.book.put(campaigns)
        for one in campaigns:
            self.names.add(one)

    def hear(self, name: str, platform: str) -> None:
        self._frames += 1
        told = report(name, platform, at=self._at_ms / 1000)
        counted = self.book.ingest(frame(PARTITION, [told], sequence=self._frames))
        assert counted.accepted == 1

    def decide(self) -> Round:
        self._at_ms += 2000
        return self.book.decide(self._at_ms)


def on(name: str, *platforms: str) -> Campaign:
    return campaign(name, platforms={one: PlatformBounds() for one in platforms})


def row_by_row(decided: Round, names: Names) -> tuple[list[str], Columns]:
    """Return what `columns_of` should, in the plainest way."""
    columns = Columns(**{field: [] for field in Columns.__struct_fields__})
    places: list[list[str]] = []
    for decision in decided.decisions[decided.decisions["is_changed"] == 1]:
        first, count = int(decision["first"]), int(decision["series_count"])
        columns.campaign.append(names.campaigns[int(decision["campaign"])])
        columns.series_count.append(count)
        for field in ("action", "binding", "settled_micros", "reserved_micros"):
            getattr(columns, field).append(int(decision[field]))
        columns.pacing_multiplier.append(float(decision["pacing_multiplier"]))
        series = decided.series[first : first + count]
        places.append([names.platforms[int(key)] for key in series["series"]])
        for one in series:
            for field in ("bid_micros", "cap_micros", "bound_by", "condition"):
                getattr(columns, field).append(int(one[field]))
            for field in ("cpc_micros", "cvr", "roi_micros"):
                value = float(one[field])
                getattr(columns, field).append(None if np.isnan(value) else value)
            columns.confidence.append(float(one["confidence"]))
            columns.planned_micros.append(round(float(one["planned_micros"])))
        columns.best.append(int(decision["best"]))
    platforms = sorted({platform for each in places for platform in each})
    columns.platform.extend(platforms.index(platform) for each in places for platform in each)
    for i, best in enumerate(columns.best):
        columns.best[i] = -1 if best < 0 else platforms.index(places[i][best])
    return platforms, columns


def test_columns_say_what_the_rows_do_whoever_comes_or_goes() -> None:
    site = Site()
    seen: list[tuple[list[str], list[str]]] = []

    def compare() -> None:
        decided = site.decide()
        platforms, columns = columns_of(decided, site.names)
        assert (platforms, columns) == row_by_row(decided, site.names)
        seen.append((columns.campaign, platforms))

    site.put(on(ONE, "google", "meta"), on(TWO, "tiktok"))
    compare()
    site.hear(TWO, "tiktok")
    compare()
    site.hear(ONE, "meta")
    compare()
    site.put(on(THREE, "amazon", "google"))
    compare()
    site.book.remove(ONE)
    site.hear(THREE, "google")
    compare()
    compare()
    assert sorted(seen[0][0]) == sorted([ONE, TWO])
    assert ["tiktok"] in [platforms for _, platforms in seen]  # of more than that one
    assert any(THREE in campaigns for campaigns, _ in seen)
