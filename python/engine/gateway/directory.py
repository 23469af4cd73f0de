"""Where decisions go: from campaigns and platforms to places on desks, and the newest of each.

Only decisions that changed are in a record, so the newest one of each campaign and platform is
kept: an entity that is linked later is told at once what was decided for it.
"""

from engine.domain.campaign import Campaign
from engine.gateway.desk import Decided, Desk, Link
from engine.messaging.records import Decide

__all__ = ["Directory"]

_NAN = float("nan")
_Row = tuple[float, float, float, float, float, float, int, int, int, float]
"""bid, cap, cpc, cvr, roi, confidence, bound by, partition, sequence, when."""


class Directory:
    """The desks of a gateway's ad accounts, and what the engine says of their campaigns."""

    def __init__(self, desks: dict[tuple[str, str], Desk]) -> None:
        self._desks = desks  # by platform and ad account
        self._platforms = {platform for platform, _ in desks}
        self._places: dict[tuple[str, str], tuple[Desk, int]] = {}  # by campaign and platform
        self._newest: dict[tuple[str, str], _Row] = {}
        self._holders: dict[tuple[Desk, int], tuple[str, str]] = {}
        self._linked: dict[tuple[str, str], tuple[Desk, str]] = {}
        self.unlinked: dict[str, set[str]] = {}  # campaigns that name no entity, by platform

    def campaign(self, campaign: Campaign) -> dict[Desk, set[int]]:
        """Take in a definition and state; return places that are another series now, by desk."""
        moved: dict[Desk, set[int]] = {}
        name = campaign.definition.id
        for platform in self._platforms:
            bounds = campaign.definition.platforms.get(platform)
            key = (name, platform)
            has_link = bounds is not None and bounds.ad_account is not None
            nameless = self.unlinked.setdefault(platform, set())
            (nameless.add if bounds is not None and not has_link else nameless.discard)(name)
            desk = None
            if bounds is not None and bounds.ad_account is not None:
                desk = self._desks.get((platform, bounds.ad_account))
            before = self._linked.pop(key, None)
            if before is not None and before[0] is not desk:
                moved.setdefault(before[0], set()).update(before[0].disclaim(name))
            self._places.pop(key, None)
            if desk is None or bounds is None or bounds.entity is None:
                continue
            link = Link(campaign, platform, bounds.entity)
            moved.setdefault(desk, set()).update(desk.claim(link))
            self._linked[key] = (desk, bounds.entity)
        for desk, places in moved.items():
            self._place(desk, places)
        for platform in self._platforms:
            self._find((name, platform))
        return moved

    def decide(self, record: Decide, sequence: int) -> None:
        """Take in a round's decisions."""
        columns, row = record.changed, 0
        found: dict[Desk, list[tuple[int, _Row]]] = {}
        at, platforms = record.at_ms / 1000, record.platforms
        for i, campaign in enumerate(columns.campaign):
            for j in range(row, row + columns.series_count[i]):
                platform = platforms[columns.platform[j]]
                if platform not in self._platforms:
                    continue
                cpc, cvr, roi = columns.cpc_micros[j], columns.cvr[j], columns.roi_micros[j]
                bound_by = columns.bound_by[j] if columns.bound_by else 0
                new = (
                    float(columns.bid_micros[j]),
                    float(columns.cap_micros[j]),
                    _NAN if cpc is None else cpc,
                    _NAN if cvr is None else cvr,
                    _NAN if roi is None else roi,
                    columns.confidence[j],
                    # Of a campaign that does not bid, its own reason says more.
                    bound_by or columns.binding[i],
                    record.partition,
                    sequence,
                    at,
                )
                key = (campaign, platform)
                self._newest[key] = new
                where = self._places.get(key)
                if where is not None:
                    found.setdefault(where[0], []).append((where[1], new))
            row += columns.series_count[i]
        for desk, rows in found.items():
            desk.decided(_columns(rows))

    def _place(self, desk: Desk, places: set[int]) -> None:
        """Find the campaigns that have places now, and tell them what was decided."""
        for place in places:
            link = desk.link_of(place)
            if link is not None:
                self._find((link.id, link.platform))

    def _find(self, key: tuple[str, str]) -> None:
        linked = self._linked.get(key)
        place = None if linked is None else linked[0].place(key[0], linked[1])
        if linked is None or place is None:
            self._places.pop(key, None)
            return
        where = (linked[0], place)
        is_new = self._places.get(key) != where
        before = self._holders.get(where)
        if before is not None and before != key and self._places.get(before) == where:
            del self._places[before]  # it has lost the entity
        self._places[key], self._holders[where] = where, key
        newest = self._newest.get(key)
        if is_new and newest is not None:
            linked[0].decided(_columns([(place, newest)]))


def _columns(rows: list[tuple[int, _Row]]) -> Decided:
    places, values = zip(*rows, strict=True)
    bid, cap, cpc, cvr, roi, confidence, bound_by, partition, sequence, at = zip(
        *values, strict=True
    )
    return Decided(
        place=list(places),
        bid=list(bid),
        cap=list(cap),
        cpc=list(cpc),
        cvr=list(cvr),
        roi=list(roi),
        confidence=list(confidence),
        bound_by=list(bound_by),
        partition=partition[0],
        sequence=sequence[0],
        at=at[0],
    )
