"""TikTok's Business API behind the port: reports, standings and changes, each asked for once."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import aclosing
from datetime import date, datetime, timedelta
from typing import Any

from engine.clock import Clock
from engine.domain.money import MICROS, has_minor_units
from engine.errors import (
    PlatformCredentialsError,
    PlatformRejectedError,
    PlatformUnavailableError,
)
from engine.platforms.amounts import micros_of, thousandths_of, whole_of
from engine.platforms.batches import apply_batch, latest
from engine.platforms.credentials import Credentials
from engine.platforms.hours import dates_between, hour_stretch, zone_of
from engine.platforms.port import (
    AdAccount,
    Lever,
    Limits,
    Mutation,
    Outcome,
    ReportRow,
    Result,
    Standing,
    Target,
)
from engine.platforms.tiktok.access import NAME, Access, access_of
from engine.platforms.tiktok.calls import Calls
from engine.platforms.tiktok.changes import CHECKED_HERE, Ask, asks_of, is_entity, refused
from engine.platforms.tiktok.standing import ADGROUP_FIELDS, CAMPAIGN_FIELDS, Found, found_of

__all__ = ["TikTok", "make"]

_BATCH = 20  # most of them are calls of their own
_IDS_A_QUESTION = 100
_CALL_TIMEOUT_S = 30.0
_REPORT_TIMEOUT_S = 120.0  # of one page
_ENGINE = "engine"  # the code of what was refused here
_INFO_FIELDS = ["advertiser_id", "name", "currency", "timezone", "display_timezone", "status"]
_NAMES = {"adgroups": "adgroup", "campaigns": "campaign"}
_FIELDS = {"adgroups": ADGROUP_FIELDS, "campaigns": CAMPAIGN_FIELDS}


def make(credentials: Credentials, *, clock: Clock) -> "TikTok":
    """Return the adapter. Raises PlatformCredentialsError where the credentials do not do."""
    return TikTok(access=access_of(credentials), clock=clock)


class TikTok:
    """TikTok under one token. Nothing is asked before the first call."""

    def __init__(
        self,
        *,
        access: Access,
        clock: Clock,
        call_timeout_s: float = _CALL_TIMEOUT_S,
        report_timeout_s: float = _REPORT_TIMEOUT_S,
    ) -> None:
        self._access = access
        self._report_timeout_s = report_timeout_s
        self._calls = Calls(access, clock=clock, timeout_s=call_timeout_s)
        self._known: dict[str, AdAccount] = {}  # their currency and zone do not change

    @property
    def name(self) -> str:
        return NAME

    @property
    def limits(self) -> Limits:
        return Limits(
            operations_per_day=self._access.level.per_day,
            operations_per_second=float(self._access.level.per_second),
            batch=_BATCH,
            min_daily_budget_micros=20_000_000,
            report_delay_s=3600,
            restated_days=7,
        )

    async def aclose(self) -> None:
        await self._calls.aclose()

    async def accounts(self) -> list[AdAccount]:
        ids = list(self._access.advertisers)
        if not ids and self._access.app_secret is None:
            reason = "advertiser_ids, or app_id and app_secret, wanted, found neither"
            raise PlatformCredentialsError(NAME, reason)
        if not ids:
            found = await self._calls.get("oauth2/advertiser/get", {})
            ids = [str(each["advertiser_id"]) for each in found.get("list") or ()]
        return [_ad_account(row) for row in await self._infos(ids)]

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        return [found.standing for found in (await self._look_up(targets)).values()]

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        zone = zone_of((await self._account(ad_account)).timezone)
        first, last = dates_between(since, until, zone)
        for kind, name in _NAMES.items():
            day = first
            while day <= last:  # by hours TikTok tells one day at a time
                asked = self._report_of(ad_account, name, day)
                found = self._calls.pages(
                    "report/integrated/get", asked, timeout_s=self._report_timeout_s
                )
                async with aclosing(found) as rows:
                    async for row in rows:
                        at, entity = _place_of(row, name)
                        stretch = hour_stretch(at.date(), at.hour, zone)
                        if stretch[0] < until and since < stretch[1]:
                            target = Target(ad_account, f"{kind}/{entity}")
                            yield self._row(target, stretch, row.get("metrics") or {})
                day += timedelta(days=1)

    async def apply(
        self, mutations: Sequence[Mutation], *, is_dry_run: bool = False
    ) -> list[Outcome]:
        return await apply_batch(mutations, self._apply, most=_BATCH, is_dry_run=is_dry_run)

    async def _apply(
        self,
        ad_account: str,
        mutations: Sequence[Mutation],
        part: Sequence[int],
        outcomes: dict[int, Outcome],
        *,
        is_dry_run: bool,
    ) -> None:
        """Apply a part of a batch; put down what came of it."""
        asked = [mutations[position] for position in part]
        known = {m.target for m in asked if is_dry_run or m.lever is not Lever.SERVING}
        found = await self._look_up(list(known))
        step = (await self._account(ad_account)).money_step_micros if found else 1
        groups: list[list[int]] = []
        for (target, _), positions in latest(mutations, part).items():
            reason = refused(
                mutations[positions[-1]], found.get(target), step=step, is_known=target in known
            )
            if not reason:
                groups.append(positions)
                continue
            for each in positions:
                outcomes[each] = Outcome(mutations[each].id, Result.REJECTED, reason, _ENGINE)
        if is_dry_run:
            for each in (position for positions in groups for position in positions):
                outcomes[each] = Outcome(mutations[each].id, Result.APPLIED, CHECKED_HERE)
            return
        for ask in asks_of(ad_account, mutations, groups, found):
            outcomes |= await self._send(ad_account, mutations, ask)

    async def _send(
        self, ad_account: str, mutations: Sequence[Mutation], ask: Ask
    ) -> dict[int, Outcome]:
        try:
            await self._calls.post(ask.path, ask.body)
        except PlatformRejectedError as error:
            if len({mutations[position].target for position in ask.positions}) > 1:
                return await self._send_singly(ad_account, mutations, ask)
            return {
                position: Outcome(mutations[position].id, Result.REJECTED, error.reason, error.code)
                for position in ask.positions
            }
        return {p: Outcome(mutations[p].id, Result.APPLIED) for p in ask.positions}

    async def _send_singly(
        self, ad_account: str, mutations: Sequence[Mutation], ask: Ask
    ) -> dict[int, Outcome]:
        """Ask once more, for each by itself: one that is not there held up all the others."""
        outcomes: dict[int, Outcome] = {}
        for positions in latest(mutations, ask.positions).values():
            for single in asks_of(ad_account, mutations, [positions], {}):
                outcomes |= await self._send(ad_account, mutations, single)
        return outcomes

    async def _look_up(self, targets: Sequence[Target]) -> dict[Target, Found]:
        wanted: dict[tuple[str, str], set[str]] = {}
        for target in targets:
            if is_entity(target.entity):
                kind, _, number = target.entity.partition("/")
                wanted.setdefault((target.ad_account, kind), set()).add(number)
        found: dict[Target, Found] = {}
        for (ad_account, kind), numbers in wanted.items():
            rows = await self._entities(ad_account, kind, numbers)
            campaigns: dict[str, Mapping[str, Any]] = {}
            if kind == "adgroups" and rows:
                above = {str(row.get("campaign_id")) for row in rows}
                campaigns = {
                    str(row.get("campaign_id")): row
                    for row in await self._entities(ad_account, "campaigns", above)
                }
            for row in rows:
                each = found_of(kind, row, ad_account, campaigns=campaigns)
                found[each.standing.target] = each
        return found

    async def _entities(
        self, ad_account: str, kind: str, numbers: Iterable[str]
    ) -> list[Mapping[str, Any]]:
        name = _NAMES[kind]
        ids = sorted(numbers)
        rows: list[Mapping[str, Any]] = []
        for start in range(0, len(ids), _IDS_A_QUESTION):
            asked = {
                "advertiser_id": ad_account,
                "fields": _FIELDS[kind],
                "filtering": {f"{name}_ids": ids[start : start + _IDS_A_QUESTION]},
            }
            async with aclosing(self._calls.pages(f"{name}/get", asked)) as found:
                rows += [row async for row in found]
        return rows

    async def _infos(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        infos: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_A_QUESTION):
            some = list(ids[start : start + _IDS_A_QUESTION])
            asked = {"advertiser_ids": some, "fields": _INFO_FIELDS}
            infos += (await self._calls.get("advertiser/info", asked)).get("list") or []
        return infos

    async def _account(self, ad_account: str) -> AdAccount:
        if ad_account not in self._known:
            infos = await self._infos([ad_account])
            if not infos:
                reason = f"an ad account wanted, found no {ad_account}"
                raise PlatformRejectedError(NAME, reason, code="missing")
            self._known[ad_account] = _ad_account(infos[0])
        return self._known[ad_account]

    def _report_of(self, ad_account: str, name: str, day: date) -> dict[str, object]:
        metrics = ["impressions", "clicks", "spend", self._access.conversion_metric]
        if self._access.value_metric:
            metrics.append(self._access.value_metric)
        return {
            "advertiser_id": ad_account,
            "report_type": "BASIC",
            "data_level": f"AUCTION_{name.upper()}",
            "dimensions": [f"{name}_id", "stat_time_hour"],
            "metrics": metrics,
            "start_date": f"{day}",
            "end_date": f"{day}",
        }

    def _row(
        self, target: Target, stretch: tuple[float, float], metrics: Mapping[str, Any]
    ) -> ReportRow:
        value = self._access.value_metric
        return ReportRow(
            target=target,
            starts_at=stretch[0],
            ends_at=stretch[1],
            impressions=whole_of(metrics.get("impressions")),
            clicks=whole_of(metrics.get("clicks")),
            spend_micros=micros_of(metrics.get("spend")),
            milliconversions=thousandths_of(metrics.get(self._access.conversion_metric)),
            revenue_micros=micros_of(metrics.get(value)) if value else 0,
        )


def _place_of(row: Mapping[str, Any], name: str) -> tuple[datetime, str]:
    """Return the hour of the clock and the entity of a row."""
    dimensions = row.get("dimensions") or {}
    try:
        at = datetime.fromisoformat(str(dimensions["stat_time_hour"]))
        return at, str(dimensions[f"{name}_id"])
    except (KeyError, ValueError):
        raise PlatformUnavailableError(NAME, "an hour of an entity wanted, found none") from None


def _ad_account(row: Mapping[str, Any]) -> AdAccount:
    try:
        currency = str(row["currency"])
        return AdAccount(
            id=str(row["advertiser_id"]),
            name=str(row.get("name") or ""),
            currency=currency,
            # `timezone` may be a fixed offset, Etc/GMT-1: the account's days know summer time.
            timezone=str(row.get("display_timezone") or row["timezone"]),
            money_step_micros=10_000 if has_minor_units(currency) else MICROS,
        )
    except KeyError as error:
        reason = f"an ad account with its currency and time zone wanted, found no {error}"
        raise PlatformRejectedError(NAME, reason) from None
