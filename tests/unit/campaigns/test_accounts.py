"""Dealing accounts' caps over a broker in memory."""

import asyncio
from pathlib import Path
from typing import Any

import pytest

from engine.campaigns.accounts import Dealer, Dealt
from engine.campaigns.files.reader import Found, FoundAccount, read_accounts, read_definitions
from engine.campaigns.files.rows import Problem
from engine.campaigns.publisher import Publisher, RefusedError, planned
from engine.campaigns.repository import Repository, Stored
from engine.domain.accounts import Account, Share
from engine.domain.campaign import Campaign, Definition
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State
from engine.messaging.memory import MemoryBroker, MemoryServer
from engine.messaging.records import Keep, Record, Take, encode
from support.clock import ManualClock
from support.definitions import START, campaign, definition, names_in

EAST, WEST = names_in(3)[0], names_in(40)[0]


class Desk:
    def __init__(self) -> None:
        self.clock = ManualClock(START)
        self.broker = MemoryBroker(server=MemoryServer(), name="test", clock=self.clock)
        self.repository = Repository(table=self.broker.campaigns, clock=self.clock, by="me")
        self.dealer = Dealer(repository=self.repository, chain=self.broker.chain, clock=self.clock)
        self.heads: dict[int, int] = {}

    async def deal(
        self, account: Account | None, *definitions: Definition, dry_run: bool = False
    ) -> tuple[list[Dealt], list[str], list[Problem]]:
        accounts = [] if account is None else [FoundAccount(account, "a.yaml", 1)]
        found = [Found(one, "a.yaml", line) for line, one in enumerate(definitions, start=2)]
        dealing = asyncio.create_task(self.dealer.deal(accounts, found, dry_run=dry_run))
        while not dealing.done():
            await asyncio.sleep(0)
            await self.clock.advance(0.05)
        dealt, good, problems = await dealing
        await Publisher(repository=self.repository, clock=self.clock).publish(good)
        return dealt, [one.definition.id for one in good], problems

    async def shares(self, account: str = "acme") -> dict[int, Share]:
        stored = [await self.repository.share(account, number) for number in range(64)]
        return {one.share.partition: one.share for one in stored if one is not None}

    async def read(self, number: int, *, settled: int = 0, reserved: int = 0) -> None:
        """Let the owner of a partition read all that is in the table, and say what it has spent."""
        common: dict[str, Any] = {
            "partition": number,
            "previous": 0,
            "epoch": 1,
            "owner": "w",
            "at_ms": 0,
            "round": 0,
            "metrics_sequence": 0,
            "campaigns_revision": 10**6,
        }
        name = EAST if number == 3 else WEST
        ledger: dict[str, Any] = {"settled_micros": [settled], "reserved_micros": [reserved]}
        records: list[Record] = [] if number in self.heads else [Take(**common)]
        records.append(Keep(campaign=[name], **ledger, **common))
        for record in records:
            self.heads[number] = await self.broker.chain.append(
                number, encode(record), expected=self.heads.get(number, 0)
            )

    async def own(self, number: int) -> None:
        """Let somebody own a partition without having read anything."""
        take = Take(
            partition=number,
            previous=0,
            epoch=1,
            owner="w",
            at_ms=0,
            round=0,
            metrics_sequence=0,
            campaigns_revision=0,
        )
        self.heads[number] = await self.broker.chain.append(number, encode(take), expected=0)


def of(name: str, budget: int, account: str = "acme") -> Definition:
    return definition(name, budget_micros=budget, account=account)


async def test_a_cap_is_dealt_by_budget_to_the_partitions_of_its_campaigns() -> None:
    desk = Desk()
    account = Account("acme", daily_cap_micros=90, total_cap_micros=1_000)
    dealt, good, problems = await desk.deal(account, of(EAST, 100), of(WEST, 200))
    shares = await desk.shares()
    assert {n: (s.daily_cap_micros, s.total_cap_micros) for n, s in shares.items()} == {
        3: (30, 333),
        40: (60, 667),
    }
    assert (good, problems) == ([EAST, WEST], [])
    assert (dealt[0].written, str(dealt[0])) == (2, "account acme: dealt to 2 partitions")
    again, _, _ = await desk.deal(account, of(EAST, 100), of(WEST, 200))
    assert again[0].written == 0, "dealt twice changes nothing"


async def test_a_dry_run_deals_nothing() -> None:
    desk = Desk()
    account = Account("acme", total_cap_micros=1_000)
    dealt, _, _ = await desk.deal(account, of(EAST, 100), dry_run=True)
    assert (dealt[0].partitions, await desk.shares()) == (1, {})


async def test_what_one_share_falls_by_is_dealt_when_its_owner_has_read_it() -> None:
    desk = Desk()
    account = Account("acme", total_cap_micros=1_000)
    await desk.deal(account, of(EAST, 100))
    await desk.own(3)
    dealt, _, _ = await desk.deal(account, of(EAST, 100), of(WEST, 100))
    shares = await desk.shares()
    assert (shares[3].total_cap_micros, shares[3].was_total_cap_micros) == (500, 1_000)
    assert shares[40].total_cap_micros == 0
    assert dealt[0].undealt_total_micros == 500
    assert "5" in str(dealt[0])
    assert "publish again" in str(dealt[0])
    await desk.read(3)
    dealt, _, _ = await desk.deal(account, of(EAST, 100), of(WEST, 100))
    shares = await desk.shares()
    assert (shares[3].total_cap_micros, shares[40].total_cap_micros) == (500, 500)
    assert dealt[0].undealt_total_micros == 0


async def test_what_is_spent_is_not_dealt_again() -> None:
    desk = Desk()
    account = Account("acme", total_cap_micros=1_000)
    await desk.deal(account, of(EAST, 100))
    await desk.read(3, settled=700, reserved=100)
    await desk.deal(account, of(EAST, 100), of(WEST, 100))
    await desk.read(3, settled=700, reserved=100)
    await desk.deal(account, of(EAST, 100), of(WEST, 100))
    shares = await desk.shares()
    assert (shares[3].total_cap_micros, shares[40].total_cap_micros) == (800, 200)


async def test_a_day_s_cap_that_fell_somewhere_rises_elsewhere_at_midnight() -> None:
    desk = Desk()
    account = Account("acme", daily_cap_micros=1_000)
    await desk.deal(account, of(EAST, 100))
    await desk.read(3, settled=900)
    await desk.deal(account, of(EAST, 100), of(WEST, 100))
    shares = await desk.shares()
    west = shares[40]
    assert shares[3].daily_cap_micros == 500
    assert (west.daily_cap_micros, west.later_daily_cap_micros) == (0, 500)
    midnight = (START // 86_400 + 1) * 86_400
    assert west.later_from == midnight
    await desk.deal(account, of(EAST, 100), of(WEST, 100))
    assert (await desk.shares())[40].daily_cap_micros == 0, "not today, however often it is dealt"
    await desk.clock.advance(midnight - desk.clock.now() + 1)
    await desk.deal(account, of(EAST, 100), of(WEST, 100))
    assert (await desk.shares())[40].daily_cap_micros == 500


async def test_a_campaign_is_published_only_with_its_account() -> None:
    desk = Desk()
    _, good, problems = await desk.deal(None, of(EAST, 100))
    assert good == []
    assert [(one.field, one.campaign) for one in problems] == [("account", EAST)]
    account = Account("acme", timezone="Europe/Berlin", currency="EUR")
    _, good, problems = await desk.deal(account, of(EAST, 100))
    assert (good, [one.field for one in problems]) == ([], ["currency"])
    _, good, _ = await desk.deal(Account("acme", daily_cap_micros=9), of(WEST, 100))
    assert good == [WEST]
    _, good, _ = await desk.deal(None, of(EAST, 100))
    assert good == [EAST], "an account that was dealt before is known"


def test_a_campaign_does_not_leave_the_account_it_has_spent_in() -> None:
    stored = Stored(campaign("a", account="acme"), 1)
    with pytest.raises(RefusedError, match="account: wanted the account it has spent in, acme"):
        planned(definition("a", account="other"), stored, now=START)
    joined = planned(definition("a", account="acme"), Stored(campaign("a"), 1), now=START)
    assert joined[1] is State.ACTIVE


async def test_the_kill_switch_is_in_every_partition_and_turned_once() -> None:
    desk = Desk()
    assert await desk.repository.halt(False) == 0
    assert await desk.repository.halt(True, note="odd bids") == 64
    assert await desk.repository.halt(True) == 0
    assert await desk.repository.halt(False) == 64
    await desk.deal(Account("acme", total_cap_micros=9), of(EAST, 100))
    assert await desk.repository.halt_account("acme", True) == 1
    await desk.deal(Account("acme", total_cap_micros=18), of(EAST, 100))
    assert (await desk.shares())[3].is_halted, "dealing leaves it as it is"


async def test_a_table_s_campaigns_are_all_that_others_see() -> None:
    desk = Desk()
    await desk.deal(Account("acme", total_cap_micros=9), of(EAST, 100))
    await desk.repository.halt(True)
    seen = [stored.campaign async for stored in desk.repository.all()]
    assert [isinstance(one, Campaign) for one in seen] == [True]
    assert partition_of(seen[0].definition.id) == 3


ACCOUNTS = {
    ".yaml": "accounts:\n  - id: acme\n    daily_cap: 12.50\n    currency: EUR\n",
    ".json": '{"accounts": [{"id": "acme", "daily_cap": 12.50, "currency": "EUR"}]}',
    ".jsonl": '{"id": "acme", "daily_cap": 12.50, "currency": "EUR"}\n',
    ".csv": "id,daily_cap,currency\nacme,12.50,EUR\n",
}


@pytest.mark.parametrize("ending", list(ACCOUNTS))
def test_accounts_are_read_in_every_format(tmp_path: Path, ending: str) -> None:
    path = tmp_path / f"accounts{ending}"
    path.write_text(ACCOUNTS[ending])
    found, problems = read_accounts([path])
    assert problems == []
    assert [one.account for one in found] == [
        Account("acme", currency="EUR", daily_cap_micros=12_500_000)
    ]


@pytest.mark.parametrize("ending", [".yaml", ".json"])
def test_accounts_may_stand_beside_campaigns(tmp_path: Path, ending: str) -> None:
    row = '{"id": "a", "budget": 5, "account": "acme", "target_cpa": 2, "platforms": ["google"], '
    row += '"flight": {"starts_at": "now", "ends_at": "+2d"}}'
    path = tmp_path / f"both{ending}"
    if ending == ".json":
        path.write_text(f'{{"accounts": [{{"id": "acme"}}], "campaigns": [{row}]}}')
    else:
        path.write_text(f"accounts:\n  - id: acme\ncampaigns:\n  - {row}\n")
    reading = read_definitions([path], now=START)
    assert reading.problems == []
    assert [one.account.id for one in reading.accounts] == ["acme"]
    assert [one.definition.account for one in reading.found] == ["acme"]


def test_what_is_wrong_with_an_account_is_said_with_its_line(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "accounts:\n- id: acme\n  daily_cap: 5\n  total_cap: 2\n- id: b\n  dayly_cap: 2\n"
    )
    _, problems = read_accounts([path])
    assert [str(one).removeprefix(str(path)) for one in problems] == [
        ":3: account acme: daily_cap: wanted at most the total cap (2.00), found 5.00",
        ":6: account b: dayly_cap: wanted a known field (did you mean daily_cap?), "
        "found 'dayly_cap'",
    ]


def test_conflicts_refuse_or_warn_with_the_line_of_what_to_relax(tmp_path: Path) -> None:
    path = tmp_path / "a.yaml"
    path.write_text(
        "- id: a\n  budget: 100\n  target_cpa: 4\n  min_spend: 50\n  platforms: [google]\n"
        "  flight: {starts_at: now, ends_at: +2d}\n  guardrails:\n    daily_cap: 10\n"
        "- id: b\n  budget: 100\n  target_cpa: 4\n  platforms: [google]\n"
        "  flight: {starts_at: now, ends_at: +2d}\n  guardrails:\n    daily_cap: 10\n"
    )
    reading = read_definitions([path], now=START)
    assert [(one.line, one.field) for one in reading.problems] == [(8, "guardrails.daily_cap")]
    assert [(one.line, one.field) for one in reading.warnings] == [(15, "guardrails.daily_cap")]
    assert [one.definition.id for one in reading.found] == ["b"]
