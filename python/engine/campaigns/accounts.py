"""Dealing an account's caps to the partitions that its campaigns live in.

Shares are entries of the table, one a partition; together with those they replace they never add up
to more than the cap (docs/decisions/0004). So a share may fall at once, and what it falls by is
dealt to others only when its partition's owner has read it, which its chain shows.
"""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import msgspec

from engine.campaigns.decided import newest_of
from engine.campaigns.files.reader import Found, FoundAccount
from engine.campaigns.files.rows import Problem
from engine.campaigns.publisher import problem_of
from engine.campaigns.repository import Repository, StoredShare
from engine.clock import Clock
from engine.domain.accounts import Account, Committed, Share, deal, redeal
from engine.domain.campaign import Campaign
from engine.domain.ids import PARTITIONS, partition_of
from engine.domain.money import from_micros
from engine.domain.validation import problems_of_membership
from engine.errors import DefinitionError
from engine.messaging.ports import Chain
from engine.messaging.records import Release, decode_record

__all__ = ["Dealer", "Dealt"]

READ_WITHIN_S = 6.0
"""How long to wait for the owners of partitions to read lower shares: three rounds or so."""
_LOOK_EVERY_S = 0.5


class Dealt(msgspec.Struct):
    """What became of an account's caps."""

    account: Account
    partitions: int = 0
    written: int = 0  # shares that are new or changed
    undealt_daily_micros: int = 0  # waits for partitions to read that theirs is lower
    undealt_total_micros: int = 0

    def __str__(self) -> str:
        waits = self.undealt_daily_micros or self.undealt_total_micros
        rest = ""
        if waits:
            amounts = {"daily": self.undealt_daily_micros, "total": self.undealt_total_micros}
            open_ = ", ".join(f"{from_micros(one)} {kind}" for kind, one in amounts.items() if one)
            rest = f"; {open_} not dealt yet: publish again when the fleet has read the shares"
        return f"account {self.account.id}: dealt to {self.partitions} partitions{rest}"


class Dealer:
    """Deals accounts' caps before the campaigns that name them are published."""

    def __init__(self, *, repository: Repository, chain: Chain, clock: Clock) -> None:
        self._repository = repository
        self._chain = chain
        self._clock = clock

    async def deal(
        self, accounts: Sequence[FoundAccount], found: Sequence[Found], *, dry_run: bool = False
    ) -> tuple[list[Dealt], list[Found], list[Problem]]:
        """Deal the accounts of some files, and those that their campaigns name.

        Returns what became of them, the definitions that may be published now, and why not the
        others: their account is not known, or of another currency or time zone.
        """
        given = {one.account.id: one.account for one in accounts}
        named = {one.definition.account for one in found if one.definition.account}
        if not given and not named:
            return [], list(found), []
        members = await self._members(given.keys() | named, found)
        shares = {account: await self._shares(account) for account in sorted(given.keys() | named)}
        for account, stored in shares.items():
            if account not in given and stored:
                given[account] = next(iter(stored.values())).share.account
        good, problems = _admitted(found, given)
        dealt = [
            await self._deal_one(given[account], members[account], dry_run=dry_run)
            for account in sorted(given)
        ]
        return dealt, good, problems

    async def _members(
        self, accounts: Iterable[str], found: Sequence[Found]
    ) -> dict[str, dict[str, Campaign | None]]:
        """Return the campaigns of accounts, stored or (None) to be published; by account and id."""
        members: dict[str, dict[str, Campaign | None]] = {name: {} for name in accounts}
        async for stored in self._repository.all():
            name = stored.campaign.definition.account
            if name in members:
                members[name][stored.campaign.definition.id] = stored.campaign
        for one in found:
            name = one.definition.account
            if name in members and one.definition.id not in members[name]:
                members[name][one.definition.id] = None
        self._budgets = {one.definition.id: one.definition.budget_micros for one in found}
        return members

    async def _shares(self, account: str) -> dict[int, StoredShare]:
        stored = [await self._repository.share(account, number) for number in range(PARTITIONS)]
        return {one.share.partition: one for one in stored if one is not None}

    async def _deal_one(
        self, account: Account, members: Mapping[str, Campaign | None], *, dry_run: bool
    ) -> Dealt:
        needs: dict[int, int] = defaultdict(int)
        for name, campaign in members.items():
            if campaign is None or not campaign.state.is_final:
                stored = 0 if campaign is None else campaign.definition.budget_micros
                needs[partition_of(name)] += self._budgets.get(name, stored)
        dealt = Dealt(account)
        deadline = self._clock.monotonic() + READ_WITHIN_S
        while True:
            shares = await self._shares(account.id)
            wanted = await self._wanted(account, needs, shares, members)
            dealt.partitions = len(wanted)
            for kind in ("daily", "total"):
                cap = account.daily_cap_micros if kind == "daily" else account.total_cap_micros
                given = sum(_final(share, kind) or 0 for share in wanted.values())
                rest = 0 if cap is None or not needs else max(cap - given, 0)
                setattr(dealt, f"undealt_{kind}_micros", rest)
            if dry_run:
                return dealt
            for number, share in wanted.items():
                dealt.written += await self._write(share, shares.get(number))
            if not (dealt.undealt_daily_micros or dealt.undealt_total_micros):
                return dealt
            if self._clock.monotonic() >= deadline:
                return dealt
            await self._clock.sleep(_LOOK_EVERY_S)

    async def _write(self, share: Share, stored: StoredShare | None) -> bool:
        if stored is not None and _same(share, stored.share):
            return False
        expected = 0 if stored is None else stored.revision
        await self._repository.write_share(share, expected=expected)
        return True

    async def _wanted(
        self,
        account: Account,
        needs: Mapping[int, int],
        shares: Mapping[int, StoredShare],
        members: Mapping[str, Campaign | None],
    ) -> dict[int, Share]:
        """Return the shares to write now, by partition."""
        is_read = {number: await self._is_read(one) for number, one in shares.items()}
        ledgers = await self._ledgers(members)
        total = _caps(account.total_cap_micros, needs, shares, is_read, ledgers, "total")
        daily = _caps(account.daily_cap_micros, needs, shares, is_read, ledgers, "daily")
        now = self._clock.now()
        midnight, next_midnight = _midnights(account.timezone, now)
        falls = [one.share.fell_at for one in shares.values() if one.share.fell_at is not None]
        fell_today = max(falls, default=-math.inf) >= midnight
        wanted = {}
        for number in sorted({*shares, *needs}):
            before = shares[number].share if number in shares else None
            share = Share(
                account=account,
                partition=number,
                total_cap_micros=total.get(number),
                was_total_cap_micros=_was(before, total.get(number), "total", is_read.get(number)),
                daily_cap_micros=daily.get(number),
                was_daily_cap_micros=_was(before, daily.get(number), "daily", is_read.get(number)),
                fell_at=None if before is None else before.fell_at,
                is_halted=before is not None and before.is_halted,
                note="dealt",
            )
            in_force = 0 if before is None else _in_force(before, now)
            wants = share.daily_cap_micros
            if in_force is None or wants is None:
                pass  # there is, or was, no such cap
            elif wants < in_force:
                share = msgspec.structs.replace(share, fell_at=now)
            elif wants > in_force and fell_today:
                # Who fell today may have spent today by what it had: the rest is for tomorrow.
                share = msgspec.structs.replace(
                    share,
                    daily_cap_micros=in_force,
                    later_daily_cap_micros=share.daily_cap_micros,
                    later_from=next_midnight,
                )
            wanted[number] = share
        return wanted

    async def _is_read(self, stored: StoredShare) -> bool:
        """Return whether a partition's owner goes by a share, or will before it decides again."""
        number = stored.share.partition
        head = await self._chain.head(number)
        if head is None:
            return True  # nobody has decided anything there
        record = decode_record(f"decisions {number}", head.payload)
        return record.campaigns_revision >= stored.revision or isinstance(record, Release)

    async def _ledgers(self, members: Mapping[str, Campaign | None]) -> dict[int, tuple[int, int]]:
        """Return settled and reserved micros of an account's campaigns, by partition."""
        sums: dict[int, tuple[int, int]] = {}
        for name, campaign in members.items():
            number = partition_of(name)
            if campaign is None:
                continue
            _, ledger, _ = await newest_of(self._chain, name, limit=1)
            if ledger is not None:
                settled, reserved = sums.get(number, (0, 0))
                sums[number] = (settled + ledger.settled_micros, reserved + ledger.reserved_micros)
        return sums


def _admitted(
    found: Sequence[Found], accounts: Mapping[str, Account]
) -> tuple[list[Found], list[Problem]]:
    good, problems = [], []
    for one in found:
        name = one.definition.account
        account = None if name is None else accounts.get(name)
        errors = [] if account is None else list(problems_of_membership(one.definition, account))
        if name is not None and account is None:
            errors = [DefinitionError("account", "an account of the files, or a known one", name)]
        problems += [problem_of(one, error) for error in errors[:1]]
        if not errors:
            good.append(one)
    return good, problems


def _caps(
    cap: int | None,
    needs: Mapping[int, int],
    shares: Mapping[int, StoredShare],
    is_read: Mapping[int, bool],
    ledgers: Mapping[int, tuple[int, int]],
    kind: str,
) -> dict[int, int]:
    """Return each partition's share of one cap; none where there is no such cap."""
    if cap is None:
        return {}
    given = {}
    for number, stored in shares.items():
        final = _final(stored.share, kind)
        was = _before(stored.share, kind)
        if final is None:
            continue
        settled, reserved = ledgers.get(number, (0, 0))
        given[number] = Committed(
            share_micros=final if is_read[number] else max(final, was or 0),
            # Of a day only what is still reserved is sure to come; of all days, all that is spent.
            spent_micros=reserved if kind == "daily" else settled + reserved,
        )
    for number in ledgers.keys() - given.keys():
        # It has spent without a share: before it had an account, or the account such a cap.
        settled, reserved = ledgers[number]
        spent = min(reserved if kind == "daily" else settled + reserved, cap)
        given[number] = Committed(share_micros=spent, spent_micros=spent)
    return redeal(cap, needs, given) if given else deal(cap, needs)


def _final(share: Share, kind: str) -> int | None:
    """Return the greatest of what a share is, and will be."""
    if kind == "total":
        return share.total_cap_micros
    now, later = share.daily_cap_micros, share.later_daily_cap_micros
    return now if later is None or now is None else max(now, later)


def _before(share: Share, kind: str) -> int | None:
    return share.was_daily_cap_micros if kind == "daily" else share.was_total_cap_micros


def _in_force(share: Share, now: float) -> int | None:
    if share.later_from is not None and now >= share.later_from:
        return share.later_daily_cap_micros
    return share.daily_cap_micros


def _was(before: Share | None, now: int | None, kind: str, is_read: bool | None) -> int | None:
    """Return the share that may still be gone by, where it is more than the new one."""
    if before is None or now is None:
        return None
    final, was = _final(before, kind), _before(before, kind)
    most = max(final or 0, 0 if is_read else was or 0)
    return most if most > now else None


def _same(one: Share, other: Share) -> bool:
    """Return whether two shares say the same, whoever wrote them."""
    plain = {"changed_at": 0.0, "changed_by": "", "note": ""}
    return msgspec.structs.replace(one, **plain) == msgspec.structs.replace(other, **plain)


def _midnights(timezone: str, now: float) -> tuple[float, float]:
    """Return when the day began, and when the next one does."""
    zone = ZoneInfo(timezone)
    today = datetime.fromtimestamp(now, UTC).astimezone(zone).date()
    begins = [
        datetime.combine(today + timedelta(days=day), datetime.min.time(), zone).timestamp()
        for day in (0, 1)
    ]
    return begins[0], begins[1]
