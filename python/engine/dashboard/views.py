"""The pages as views: what an address asks for, and what it shows at one moment."""

from collections.abc import Mapping
from typing import Any

import msgspec

from engine.dashboard.decisions import FeedQuery, campaign_now, feed_page
from engine.dashboard.health import Gauge, health_page
from engine.dashboard.hub import Rendered, View
from engine.dashboard.live import Live
from engine.dashboard.overview import summary
from engine.dashboard.pages import platforms_page, workers_page
from engine.dashboard.query import CampaignQuery, parse_query
from engine.dashboard.rows import table_rows
from engine.dashboard.selection import Selection, select
from engine.domain.ids import is_campaign_id
from engine.errors import ConfigError

__all__ = ["PAGES", "OneCampaign", "OnePage", "Views", "parse_view"]

PAGES = ("campaigns", "campaign", "decisions", "platforms", "workers", "health")


class OneCampaign(msgspec.Struct, frozen=True):
    """A campaign's own page."""

    name: str


class OnePage(msgspec.Struct, frozen=True):
    """A page that looks the same to everybody."""

    name: str


def parse_view(given: Mapping[str, str]) -> View:
    """Return the view that the query of an address asks for. Raises ConfigError."""
    page = given.get("page", "campaigns")
    if page not in PAGES:
        raise ConfigError(f"page: one of {', '.join(PAGES)}, found {page[:40]!r}")
    if page == "campaign":
        name = given.get("id", "")
        if not is_campaign_id(name):
            raise ConfigError(f"id: 1 to 64 of A-Z a-z 0-9 _ -, found {name[:80]!r}")
        return OneCampaign(name)
    if page in ("platforms", "workers", "health"):
        return OnePage(page)
    query = parse_query(given)
    if page == "decisions":
        return FeedQuery(query.search, query.platform, query.binding, query.action)
    return query


class Views:
    """Renders views of the live engine; orders of the table are kept while nothing has changed."""

    def __init__(self, *, live: Live, gauge: Gauge) -> None:
        self._live = live
        self._gauge = gauge
        self._selections: dict[CampaignQuery, Selection] = {}
        self._moment = (-1, -1.0)  # of which the selections are
        self.viewers = 0  # told by the hub, for the health page

    def head(self) -> dict[str, Any]:
        """Return what stands above every page."""
        return summary(self._live) | {"dead_letters": self._gauge.dead_letters}

    def render(self, view: View) -> Rendered:
        """Return a view of this moment."""
        if isinstance(view, CampaignQuery):
            return self._table(view)
        if isinstance(view, FeedQuery):
            return Rendered(feed_page(self._live, view))
        if isinstance(view, OneCampaign):
            return Rendered({"now": campaign_now(self._live, view.name)})
        if isinstance(view, OnePage):
            return Rendered(self._page(view.name))
        raise TypeError(f"a view, found {view!r}")

    def _page(self, name: str) -> dict[str, Any]:
        if name == "platforms":
            return platforms_page(self._live)
        if name == "workers":
            return workers_page(self._live)
        return health_page(self._live, self._gauge, viewers=self.viewers)

    def _table(self, query: CampaignQuery) -> Rendered:
        selection = self._selection(query)
        rows = selection.window(query.offset, query.limit)
        rest = {"total": len(selection), "offset": query.offset}
        return Rendered(rest, table_rows(self._live.campaigns, rows))

    def _selection(self, query: CampaignQuery) -> Selection:
        live, at = self._live, self._live.clock.now()
        # Within a second nobody sees a difference: the order stays, so that windows fit together.
        version, since = self._moment
        if version != live.version and at - since >= 0.9:
            self._selections.clear()
            self._moment = (live.version, at)
        wanted = query.selection
        if wanted not in self._selections:
            self._selections[wanted] = select(live.campaigns, wanted, at=at)
        return self._selections[wanted]
