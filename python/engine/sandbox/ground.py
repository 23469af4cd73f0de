"""A simulated market behind the local platforms: what they hold is what it sells under.

Each entity that a campaign is linked to is a series of the market. Its bid there is what its
platform holds (of a target, what the platform's own bidding would make of it), its cap the daily
budget, and while it or its campaign is paused it has no bid. What is sold fills the books' slots,
from which the platforms make their reports.
"""

from collections.abc import Iterable

import msgspec
import numpy as np

from engine.domain.campaign import Definition
from engine.domain.money import MICROS, has_minor_units
from engine.market.auction import auction
from engine.market.landscape import Landscape, Truth, series_of
from engine.market.market import Market, Sold
from engine.sandbox.state import SLOT_S, Account, Entity, Level, MemoryBooks, Stat

__all__ = ["MarketGround"]

_STRATEGIES = {
    "google": "MANUAL_CPC",
    "meta": "LOWEST_COST_WITH_BID_CAP:LINK_CLICKS",
    "tiktok": "BID_TYPE_CUSTOM:CPC:CLICK",
}
_KINDS = {"google": "adGroups", "meta": "adsets", "tiktok": "adgroups"}
_DAY_S = 86_400
_NO_CAP = 2**60
_TIMID = 0.25  # of the price that wins half of all auctions: what nobody has looked after
_LEAST_BUDGET = 100 * MICROS


class _Place(msgspec.Struct):
    """Where a series of the market is on a platform."""

    platform: str
    account: str
    group: Entity
    campaign: Entity
    budget: Entity | None  # where a platform has budgets as things of their own
    series: tuple[str, str]
    value_micros: int
    slot: Stat
    day: int = -1
    spent_before_today: int = 0


class MarketGround:
    """Books of platforms, and the market that fills them. `books`: by platform."""

    def __init__(self, market: Market, *, platforms: Iterable[str]) -> None:
        self.market = market
        self.books = {platform: MemoryBooks() for platform in platforms}
        self._places: list[_Place] = []
        self._known: set[tuple[str, str]] = set()

    def link(self, definitions: Iterable[Definition]) -> None:
        """Open what campaigns are linked to: ad accounts, entities, and series of the market.

        What an entity is linked to first, it stays.
        """
        fresh: list[_Place] = []
        for one in definitions:
            for platform, bounds in one.platforms.items():
                number = _group_id(platform, bounds.entity)
                name = (one.id, platform)
                if name in self._known or platform not in self.books or number is None:
                    continue
                self._known.add(name)
                fresh.append(self._open(one, platform, str(bounds.ad_account), number))
        self.market.add(
            (series_of(*place.series, _currency(self.books, place)), place.value_micros)
            for place in fresh
        )
        self._places += fresh

    def sell(self, step: int) -> Sold:
        """Sell for one step of the market, and put down what was sold."""
        market = self.market
        truth = market.truth(step) if self._places else None
        day = step * market.step_ms // 1000 // _DAY_S
        for index, place in enumerate(self._places):
            if place.day != day:
                place.day = day
                place.spent_before_today = int(market.books.spend_micros[index])
            bid = _bid(place, truth, index)
            budget = (place.budget or place.group).daily_budget_micros
            cap = _NO_CAP if budget is None else place.spent_before_today + budget
            market.offer(*place.series, bid_micros=bid, cap_micros=cap)
        sold = market.step(step)
        self._put_down(sold)
        return sold

    def _open(self, one: Definition, platform: str, account: str, number: str) -> _Place:
        books = self.books[platform]
        if all(each.id != account for each in books.accounts()):
            books.open(Account(id=account, name=account, currency=one.currency))
        unit = MICROS // 100 if has_minor_units(one.currency) else MICROS
        series = series_of(one.id, platform, one.currency)
        price = _fair_price(self.market.seed, series.campaign, platform, one.currency)
        daily = max(_whole(one.budget_micros, unit), _LEAST_BUDGET)
        campaign = Entity(id=f"9{number}", level=Level.CAMPAIGN, name=one.name)
        group = Entity(
            id=number,
            level=Level.GROUP,
            name=one.name,
            parent=campaign.id,
            strategy=_STRATEGIES[platform],
            bid_micros=max(_whole(price * _TIMID, unit), unit),
        )
        budget: Entity | None = None
        if platform == "google":
            campaign.strategy, group.strategy = group.strategy, ""
            budget = Entity(id=f"8{number}", level=Level.BUDGET, daily_budget_micros=daily)
            campaign.budget = budget.id
            books.add(account, budget)
        else:
            group.daily_budget_micros = daily
        books.add(account, campaign, group)
        return _Place(
            platform=platform,
            account=account,
            group=group,
            campaign=campaign,
            budget=budget,
            series=(one.id, platform),
            value_micros=one.conversion_value_micros or 0,
            slot=Stat(entity=number, at=0),
        )

    def _put_down(self, sold: Sold) -> None:
        at = (sold.at_ms - 1) // 1000 // SLOT_S * SLOT_S
        news = (sold.impressions > 0) | (sold.conversions > 0)
        for index in np.flatnonzero(news).tolist():
            place = self._places[index]
            old = place.slot if place.slot.at == at else Stat(entity=place.group.id, at=at)
            conversions = int(sold.conversions[index])
            place.slot = msgspec.structs.replace(
                old,
                impressions=old.impressions + int(sold.impressions[index]),
                clicks=old.clicks + int(sold.clicks[index]),
                spend_micros=old.spend_micros + int(sold.spend_micros[index]),
                milliconversions=old.milliconversions + 1000 * conversions,
                revenue_micros=old.revenue_micros + conversions * place.value_micros,
            )
            books = self.books[place.platform]
            books.record(place.account, Level.GROUP, place.slot)
            above = msgspec.structs.replace(place.slot, entity=place.campaign.id)
            books.record(place.account, Level.CAMPAIGN, above)


def _bid(place: _Place, truth: Truth | None, index: int) -> int:
    group = place.group
    if not (group.is_on and place.campaign.is_on) or group.is_removed or truth is None:
        return 0
    if group.bid_micros is not None:
        return group.bid_micros
    # The platform's own bidding knows what a click is likely to bring.
    cvr = float(truth.cvr[index])
    if group.target_cpa_micros is not None:
        return int(group.target_cpa_micros * cvr)
    if group.target_roas:
        return int(place.value_micros * cvr / group.target_roas)
    return 0


def _fair_price(seed: int, campaign: str, platform: str, currency: str) -> float:
    """Return what a click costs at a bid that wins half of all auctions, micros."""
    truth = Landscape([series_of(campaign, platform, currency)], seed=seed).mean()
    return float(auction(truth, np.exp(truth.price_log)).cpc_micros[0])


def _group_id(platform: str, entity: str | None) -> str | None:
    kind, _, number = (entity or "").partition("/")
    return number if kind == _KINDS.get(platform) and number.isdigit() else None


def _currency(books: dict[str, MemoryBooks], place: _Place) -> str:
    accounts = books[place.platform].accounts()
    return next(each.currency for each in accounts if each.id == place.account)


def _whole(micros: float, unit: int) -> int:
    return int(micros // unit * unit)
