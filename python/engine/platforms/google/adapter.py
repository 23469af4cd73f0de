"""Google Ads behind the port: reports, standings and changes, each asked for once."""

from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from datetime import date
from typing import Any
from zoneinfo import ZoneInfo

import structlog
from google.ads.googleads.v26.services.types.customer_service import (
    ListAccessibleCustomersRequest,
)

from engine.clock import Clock
from engine.domain.money import LARGEST_MICROS, MICROS, has_minor_units
from engine.errors import (
    PlatformCredentialsError,
    PlatformRejectedError,
)
from engine.platforms.batches import apply_batch
from engine.platforms.credentials import Credentials
from engine.platforms.google import queries
from engine.platforms.google.access import NAME, Access, access_of
from engine.platforms.google.calls import Calls
from engine.platforms.google.errors import refusals
from engine.platforms.google.operations import (
    Operation,
    Service,
    ask,
    needs_standing,
    outcomes_of,
    plan,
    request_of,
)
from engine.platforms.google.standing import Found, ad_group_of, found_of
from engine.platforms.hours import dates_between, hour_stretch, zone_of
from engine.platforms.port import (
    AdAccount,
    Limits,
    Mutation,
    Outcome,
    ReportRow,
    Result,
    Standing,
    Target,
)

__all__ = ["GoogleAds", "make"]

_log = structlog.get_logger(__name__)
_BATCH = 1_000  # Google takes 10,000; so many answer well within a deadline
_CALL_TIMEOUT_S = 30.0
_REPORT_TIMEOUT_S = 300.0


def make(credentials: Credentials, *, clock: Clock) -> "GoogleAds":
    """Return the adapter. Raises PlatformCredentialsError where the credentials do not do."""
    return GoogleAds(access=access_of(credentials))


class GoogleAds:
    """Google Ads under one set of credentials. Nothing is asked before the first call."""

    def __init__(
        self,
        *,
        access: Access,
        call_timeout_s: float = _CALL_TIMEOUT_S,
        report_timeout_s: float = _REPORT_TIMEOUT_S,
    ) -> None:
        self._access = access
        self._report_timeout_s = report_timeout_s
        self._calls = Calls(access, timeout_s=call_timeout_s)
        self._zones: dict[str, str] = {}  # of ad accounts: they do not change

    @property
    def name(self) -> str:
        return NAME

    @property
    def limits(self) -> Limits:
        return Limits(
            operations_per_day=self._access.operations_per_day,
            operations_per_second=50.0,
            batch=_BATCH,
            report_delay_s=3 * 3600,
            restated_days=30,
            is_quota_sliding=True,
        )

    async def aclose(self) -> None:
        await self._calls.aclose()

    async def accounts(self) -> list[AdAccount]:
        if self._access.login_customer_id:
            return await self._clients_of(self._access.login_customer_id)
        found: dict[str, AdAccount] = {}
        for root in await self._roots():
            try:
                below = await self._clients_of(root)
            except (PlatformCredentialsError, PlatformRejectedError) as error:
                # One of many that is closed, or not ours to see, hides no other.
                _log.warning("google_account_left_out", ad_account=root, reason=error.reason)
                continue
            for account in below:
                if account.id not in found:
                    self._calls.reach(account.id, through=root)
                    found[account.id] = account
        return list(found.values())

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        return [each.standing for each in (await self._look_up(targets)).values()]

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        zone = await self._zone(ad_account)
        first, last = dates_between(since, until, zone)
        stretches: dict[tuple[str, int], tuple[float, float]] = {}
        for kind, resource in (("campaigns", "campaign"), ("adGroups", "ad_group")):
            query = queries.hourly(resource, first, last)
            timeout_s = self._report_timeout_s
            async with aclosing(self._calls.rows(ad_account, query, timeout_s=timeout_s)) as rows:
                async for row in rows:
                    hour = (row.segments.date, row.segments.hour)
                    stretch = stretches.get(hour)
                    if stretch is None:
                        day = date.fromisoformat(hour[0])
                        stretch = stretches[hour] = hour_stretch(day, hour[1], zone)
                    if stretch[0] < until and since < stretch[1]:
                        target = Target(ad_account, f"{kind}/{getattr(row, resource).id}")
                        yield _report_row(target, stretch, row.metrics)

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
        """Apply a part of a batch, one service after the other; put down what came of it."""
        asked = [mutations[position] for position in part]
        found = await self._look_up([m.target for m in asked if needs_standing(m)])
        operations, refused = plan(mutations, part, found)
        outcomes |= refused
        for service in Service:
            batch = [each for each in operations if each.service is service]
            if batch:
                request = request_of(ad_account, service, batch, is_dry_run=is_dry_run)
                outcomes |= await self._send(ad_account, mutations, batch, request)

    async def _send(
        self,
        ad_account: str,
        mutations: Sequence[Mutation],
        batch: Sequence[Operation],
        request: Any,
    ) -> dict[int, Outcome]:
        try:
            answer = await self._calls.ask(ask(batch[0].service), request, ad_account)
        except PlatformRejectedError as error:
            return {
                position: Outcome(mutations[position].id, Result.REJECTED, error.reason, error.code)
                for operation in batch
                for positions in operation.asked_by.values()
                for position in positions
            }
        failed = refusals(type(answer).pb(answer).partial_failure_error)
        return outcomes_of(mutations, batch, failed)

    async def _look_up(self, targets: Sequence[Target]) -> dict[Target, Found]:
        wanted: dict[tuple[str, str], set[str]] = defaultdict(set)
        for target in targets:
            kind, _, number = target.entity.partition("/")
            if queries.is_entity(target.entity):
                wanted[target.ad_account, kind].add(number)
        found: dict[Target, Found] = {}
        for (ad_account, kind), numbers in wanted.items():
            rows = await self._entities(ad_account, kind, numbers)
            if kind == "adGroups":
                each_found = await self._ad_groups(ad_account, rows)
            else:
                each_found = [found_of(kind, row, ad_account) for row in rows]
            found |= {each.standing.target: each for each in each_found}
        return found

    async def _ad_groups(self, ad_account: str, rows: Sequence[Any]) -> list[Found]:
        """Return ad groups with what their campaigns decide for them."""
        numbers = {str(row.campaign.id) for row in rows}
        above = await self._entities(ad_account, "campaigns", numbers)
        campaigns = {row.campaign.id: row for row in above}
        siblings: Counter[int] = Counter()
        for query in queries.ad_groups_of(numbers):
            siblings.update([row.campaign.id async for row in self._calls.rows(ad_account, query)])
        return [
            ad_group_of(
                row, campaigns[row.campaign.id], ad_account, is_sole=siblings[row.campaign.id] < 2
            )
            for row in rows
            if row.campaign.id in campaigns  # else it was removed, and they with it
        ]

    async def _entities(self, ad_account: str, kind: str, numbers: Iterable[str]) -> list[Any]:
        rows: list[Any] = []
        for query in queries.of_entities(kind, numbers):
            rows += [row async for row in self._calls.rows(ad_account, query)]
        return rows

    async def _roots(self) -> list[str]:
        answer = await self._calls.ask(
            lambda clients: clients.customers.list_accessible_customers,
            ListAccessibleCustomersRequest(),
        )
        return sorted(name.removeprefix("customers/") for name in answer.resource_names)

    async def _clients_of(self, root: str) -> list[AdAccount]:
        accounts = []
        async for row in self._calls.rows(root, queries.CLIENTS, login=root):
            account = _ad_account(row.customer_client)
            self._zones[account.id] = account.timezone
            accounts.append(account)
        return accounts

    async def _zone(self, ad_account: str) -> ZoneInfo:
        if ad_account not in self._zones:
            async for row in self._calls.rows(ad_account, queries.TIME_ZONE):
                self._zones[ad_account] = row.customer.time_zone
        try:
            return zone_of(self._zones.get(ad_account, ""))
        except ValueError as error:
            raise PlatformRejectedError(NAME, f"ad account {ad_account}: {error}") from None


def _ad_account(client: Any) -> AdAccount:
    return AdAccount(
        id=str(client.id),
        name=client.descriptive_name,
        currency=client.currency_code,
        timezone=client.time_zone,
        is_test=client.test_account,
        money_step_micros=10_000 if has_minor_units(client.currency_code) else MICROS,
    )


def _report_row(target: Target, stretch: tuple[float, float], metrics: Any) -> ReportRow:
    revenue = round(metrics.conversions_value * MICROS)
    return ReportRow(
        target=target,
        starts_at=stretch[0],
        ends_at=stretch[1],
        impressions=metrics.impressions,
        clicks=metrics.clicks,
        spend_micros=metrics.cost_micros,
        milliconversions=round(metrics.conversions * 1000),
        revenue_micros=min(revenue, LARGEST_MICROS),
    )
