"""Meta's Marketing API behind the port: reports, standings and changes, each asked for once."""

from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from datetime import date
from typing import Any

import msgspec
import structlog

from engine.clock import Clock
from engine.errors import PlatformError, PlatformRejectedError, PlatformUnavailableError
from engine.platforms.amounts import micros_of, thousandths_of, whole_of
from engine.platforms.batches import apply_batch, latest
from engine.platforms.credentials import Credentials
from engine.platforms.hours import dates_between, hour_stretch, zone_of
from engine.platforms.meta.access import NAME, POINTS_A_CHANGE, Access, access_of
from engine.platforms.meta.changes import ENGINE, change_of, node_of, outcome_of, refused
from engine.platforms.meta.graph import Graph
from engine.platforms.meta.money import step_micros
from engine.platforms.meta.standing import (
    ADSET_FIELDS,
    CAMPAIGN_FIELDS,
    Found,
    account_trouble,
    found_of,
)
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

__all__ = ["Meta", "make"]

_log = structlog.get_logger(__name__)
_BATCH = 50  # Meta takes no more in one call
_IDS_A_QUESTION = 100
_CALL_TIMEOUT_S = 30.0
_REPORT_TIMEOUT_S = 120.0  # of one page
_ACCOUNT_FIELDS = "id,name,currency,timezone_name,account_status"
_HOURS = "hourly_stats_aggregated_by_advertiser_time_zone"
_FIELDS = {"adsets": ADSET_FIELDS, "campaigns": CAMPAIGN_FIELDS}
_LEVELS = (("campaigns", "campaign"), ("adsets", "adset"))


def make(credentials: Credentials, *, clock: Clock) -> "Meta":
    """Return the adapter. Raises PlatformCredentialsError where the credentials do not do."""
    return Meta(access=access_of(credentials))


class Meta:
    """Meta under one token. Nothing is asked before the first call."""

    def __init__(
        self,
        *,
        access: Access,
        call_timeout_s: float = _CALL_TIMEOUT_S,
        report_timeout_s: float = _REPORT_TIMEOUT_S,
    ) -> None:
        self._access = access
        self._report_timeout_s = report_timeout_s
        self._graph = Graph(access, timeout_s=call_timeout_s)
        self._known: dict[str, AdAccount] = {}  # their currency and zone do not change

    @property
    def name(self) -> str:
        return NAME

    @property
    def limits(self) -> Limits:
        changes = self._access.points_per_hour / POINTS_A_CHANGE
        return Limits(
            operations_per_day=int(24 * changes),
            operations_per_second=max(changes / 3600, 0.1),
            batch=_BATCH,
            budget_changes_per_hour=self._access.budget_changes_per_hour,
            report_delay_s=1800,
            restated_days=28,
            is_quota_sliding=True,
        )

    async def aclose(self) -> None:
        await self._graph.aclose()

    async def accounts(self) -> list[AdAccount]:
        found = self._graph.edge("me/adaccounts", {"fields": _ACCOUNT_FIELDS})
        async with aclosing(found) as nodes:
            accounts: list[AdAccount] = []
            async for node in nodes:
                try:
                    accounts.append(self._learn(node))
                except PlatformRejectedError as error:
                    # One of many in a strange currency hides no other.
                    _log.warning("meta_account_left_out", id=node.get("id"), reason=error.reason)
        return accounts

    async def inspect(self, targets: Sequence[Target]) -> list[Standing]:
        return [found.standing for found in (await self._look_up(targets)).values()]

    async def report(
        self, ad_account: str, *, since: float, until: float
    ) -> AsyncIterator[ReportRow]:
        zone = zone_of((await self._account(ad_account)).timezone)
        first, last = dates_between(since, until, zone)
        for kind, level in _LEVELS:
            asked = {
                "level": level,
                "fields": f"{level}_id,impressions,inline_link_clicks,spend,actions,action_values",
                "breakdowns": _HOURS,
                "time_increment": "1",
                "time_range": _text({"since": f"{first}", "until": f"{last}"}),
                "action_report_time": "impression",
                "use_unified_attribution_setting": "true",
            }
            path = f"{ad_account}/insights"
            found = self._graph.edge(path, asked, timeout_s=self._report_timeout_s)
            async with aclosing(found) as rows:
                async for row in rows:
                    stretch = hour_stretch(*_hour_of(row), zone)
                    if stretch[0] < until and since < stretch[1]:
                        target = Target(ad_account, f"{kind}/{row[f'{level}_id']}")
                        yield self._row(target, stretch, row)

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
        """Apply a part of a batch in one call; put down what came of it."""
        asked = [mutations[position] for position in part]
        questions = [m.target for m in asked if m.lever is not Lever.SERVING]
        found = await self._look_up(questions)
        step = (await self._account(ad_account)).money_step_micros if found else None
        sent: list[list[int]] = []
        for (target, _), positions in latest(mutations, part).items():
            mutation = mutations[positions[-1]]
            reason = refused(mutation, found.get(target), step=step)
            if reason:
                for each in positions:
                    outcome = Outcome(mutations[each].id, Result.REJECTED, reason, ENGINE)
                    outcomes[each] = outcome
            else:
                sent.append(positions)
        if not sent:
            return
        answers = await self._graph.change(
            [change_of(mutations[p[-1]], step=step or 1, is_dry_run=is_dry_run) for p in sent]
        )
        errors: list[PlatformError] = []
        for positions, answer in zip(sent, answers, strict=True):
            for each in positions:
                try:
                    outcomes[each] = outcome_of(mutations[each], answer)
                except PlatformError as error:
                    errors.append(error)
        if errors:  # that nobody knows goes before that nothing was done
            raise min(errors, key=lambda error: not isinstance(error, PlatformUnavailableError))

    async def _look_up(self, targets: Sequence[Target]) -> dict[Target, Found]:
        wanted: dict[tuple[str, str], set[str]] = {}
        for target in targets:
            node = node_of(target.entity)
            if node is not None:
                wanted.setdefault((target.ad_account, node[0]), set()).add(node[1])
        found: dict[Target, Found] = {}
        for (ad_account, kind), numbers in wanted.items():
            account = await self._graph.node(ad_account, _ACCOUNT_FIELDS)
            step = self._learn(account).money_step_micros
            trouble = account_trouble(account.get("account_status"))
            ids = sorted(numbers)
            for start in range(0, len(ids), _IDS_A_QUESTION):
                some = ids[start : start + _IDS_A_QUESTION]
                for each in await self._entities(ad_account, kind, some, step):
                    standing = each.standing
                    if trouble:
                        standing = msgspec.structs.replace(standing, why_not_serving=trouble)
                    found[standing.target] = msgspec.structs.replace(each, standing=standing)
        return found

    async def _entities(
        self, ad_account: str, kind: str, numbers: Sequence[str], step: int
    ) -> list[Found]:
        field = "adset.id" if kind == "adsets" else "campaign.id"
        asked = {
            "fields": _FIELDS[kind],
            "filtering": _text([{"field": field, "operator": "IN", "value": list(numbers)}]),
        }
        async with aclosing(self._graph.edge(f"{ad_account}/{kind}", asked)) as nodes:
            return [found_of(kind, node, ad_account, step=step) async for node in nodes]

    async def _account(self, ad_account: str) -> AdAccount:
        if ad_account not in self._known:
            self._learn(await self._graph.node(ad_account, _ACCOUNT_FIELDS))
        return self._known[ad_account]

    def _learn(self, node: dict[str, Any]) -> AdAccount:
        account = _ad_account(node)
        self._known[account.id] = account
        return account

    def _row(self, target: Target, stretch: tuple[float, float], row: dict[str, Any]) -> ReportRow:
        action = self._access.conversion_action
        return ReportRow(
            target=target,
            starts_at=stretch[0],
            ends_at=stretch[1],
            impressions=whole_of(row.get("impressions")),
            clicks=whole_of(row.get("inline_link_clicks")),
            spend_micros=micros_of(row.get("spend")),
            milliconversions=thousandths_of(_of_action(row.get("actions"), action)),
            revenue_micros=micros_of(_of_action(row.get("action_values"), action)),
        )


def _of_action(actions: object, wanted: str) -> object:
    found = actions if isinstance(actions, list) else []
    return next((each.get("value") for each in found if each.get("action_type") == wanted), 0)


def _hour_of(row: dict[str, Any]) -> tuple[date, int]:
    """Return the date and the hour of a row: of `13:00:00 - 13:59:59`."""
    try:
        return date.fromisoformat(row["date_start"]), int(row[_HOURS][:2])
    except (KeyError, ValueError, TypeError):
        raise PlatformUnavailableError(NAME, "an hour of a day wanted, found none") from None


def _ad_account(node: dict[str, Any]) -> AdAccount:
    try:
        return AdAccount(
            id=str(node["id"]),
            name=str(node.get("name") or ""),
            currency=str(node["currency"]),
            timezone=str(node["timezone_name"]),
            money_step_micros=step_micros(str(node["currency"])),
        )
    except KeyError as error:
        reason = f"an ad account with its currency and time zone wanted, found no {error}"
        raise PlatformRejectedError(NAME, reason) from None


def _text(value: object) -> str:
    return msgspec.json.encode(value).decode()
