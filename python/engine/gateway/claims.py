"""One sale claimed by two platforms counts once, where both tell its order id.

Each platform claims a sale whose buyer it had shown something. Of claims with one order id within a
campaign the earliest counts, and of those in one stretch the platform whose name is first: whoever
looks at the same rows finds the same. Sales without an order id stay where they were claimed, and
are counted as unknown: whether another platform claims them too cannot be told.
"""

from engine.platforms.port import ReportRow

__all__ = ["Claims", "unknown_milli"]

MILLI = 1000


class Claims:
    """The order ids claimed, by campaign; the claims of one gateway's ad accounts."""

    def __init__(self) -> None:
        self._first: dict[tuple[str, str], tuple[float, str]] = {}
        self._again: dict[tuple[str, str, str], float] = {}  # claims that were counted as lost
        self.duplicates = 0  # since the start: sales claimed a second time

    def hear(self, campaign: str, platform: str, row: ReportRow) -> None:
        """Note the claims of a row; call it for all rows before `lost` of any."""
        for order in row.order_ids:
            claim = (row.starts_at, platform)
            known = self._first.get((campaign, order))
            if known is None or claim < known:
                self._first[campaign, order] = claim

    def lost(self, campaign: str, platform: str, row: ReportRow) -> int:
        """Return the conversions of a row, in thousandths, that count for another platform."""
        lost = 0
        for order in row.order_ids:
            known = self._first.get((campaign, order))
            if known is not None and known[1] != platform:
                lost += MILLI
                if (campaign, platform, order) not in self._again:  # a row is read again and again
                    self._again[campaign, platform, order] = row.starts_at
                    self.duplicates += 1
        return lost

    def forget_before(self, at: float) -> None:
        """Forget claims of stretches that are not restated any more."""
        self._first = {key: claim for key, claim in self._first.items() if claim[0] >= at}
        self._again = {key: start for key, start in self._again.items() if start >= at}


def unknown_milli(row: ReportRow) -> int:
    """Return the conversions of a row, in thousandths, that no order id was told of."""
    return max(row.milliconversions - MILLI * len(row.order_ids), 0)
