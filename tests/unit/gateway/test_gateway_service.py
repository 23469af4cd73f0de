"""A gateway from decisions to changes, over a broker in memory and a fake platform."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from engine.campaigns.repository import Repository
from engine.domain.campaign import Flight
from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.errors import PlatformQuotaError, PlatformThrottledError, PlatformUnavailableError
from engine.gateway.gate import GateSettings
from engine.gateway.service import Gateway
from engine.messaging.changes import (
    Done,
    Intend,
    JournalRecord,
    Order,
    Release,
    Setting,
    Take,
    decode_breaker,
    encode_journal,
)
from engine.messaging.subjects import breaker_subject, changes_subject, orders_subject
from engine.platforms.port import Lever, Outcome, Result
from support.gateway import Floor, account, linked
from support.platform import FakePlatform
from support.waiting import wait_until


async def test_a_decision_becomes_a_change_with_its_reason_in_the_journal() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway():
        sequence = await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.BID) == 800_000)
    take, intend, done, release = await floor.journal()
    assert isinstance(take, Take)
    assert take.is_live
    assert isinstance(intend, Intend)
    (change,) = intend.changes
    assert (change.campaign, change.entity) == ("spring-shoes", "adGroups/55")
    assert (change.lever, change.before, change.value) == ("bid", 500_000, 800_000)
    assert (change.why, change.partition, change.sequence) == ("bid", 25, sequence)
    assert change.worth_micros_per_h > 0
    assert isinstance(done, Done)
    assert [(one.id, one.result) for one in done.results] == [(change.id, "applied")]
    assert isinstance(release, Release)
    assert floor.platform.is_closed


async def test_a_dry_run_changes_nothing_and_says_what_it_would() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway(accounts=[account(live=False)]):
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: "apply dry" in floor.platform.calls)
    assert floor.platform.value("adGroups/55", Lever.BID) == 500_000
    assert "apply" not in floor.platform.calls
    assert floor.platform.calls.count("apply dry") == 1, "what was pretended is not wanted again"
    intends = [one for one in await floor.journal() if isinstance(one, Intend)]
    assert [one.is_dry_run for one in intends] == [True]


async def bid_is(floor: Floor, bid: int, entity: str = "adGroups/55") -> None:
    await wait_until(lambda: floor.platform.value(entity, Lever.BID) == bid, what=f"bid {bid}")


@asynccontextmanager
async def at_work(**fields: Any) -> AsyncIterator[tuple[Floor, Gateway]]:  # noqa: ANN401
    """A gateway that has moved a bid to 0.80."""
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway(**fields) as gateway:
        await floor.decide("spring-shoes", bid=800_000)
        await bid_is(floor, 800_000)
        yield floor, gateway


def results(journal: list[JournalRecord]) -> list[tuple[str, str]]:
    """Return (how, result) of every change."""
    done = [one for one in journal if isinstance(one, Done)]
    return [(one.how, result.result) for one in done for result in one.results]


async def test_an_answer_that_is_lost_is_found_out_by_asking_and_not_by_sending_again() -> None:
    async with at_work() as (floor, _):
        floor.platform.is_late = True  # applied, and then no answer
        floor.platform.faults.append(("apply", PlatformUnavailableError("google", "cut off")))
        await floor.decide("spring-shoes", bid=900_000)
        await bid_is(floor, 900_000)
        await wait_until(lambda: floor.platform.calls[-1] == "report")
    assert results(await floor.journal()) == [("answered", "applied"), ("inspected", "applied")]
    assert set(floor.platform.applied.values()) == {1}


async def test_a_change_that_did_not_arrive_is_sent_again_under_its_own_id() -> None:
    async with at_work() as (floor, gateway):
        floor.platform.faults.append(("apply", PlatformUnavailableError("google", "cut off")))
        await floor.decide("spring-shoes", bid=900_000)
        gateway.runners["google", "123"].desk.columns.not_before[:] = -1e18
        await wait_until(lambda: gateway.runners["google", "123"].tally.failed == 1)
        gateway.runners["google", "123"].desk.columns.not_before[:] = -1e18  # no need to wait
        await bid_is(floor, 900_000)
    journal = await floor.journal()
    ids = [one.changes[0].id for one in journal if isinstance(one, Intend)]
    assert len(ids) == 3
    assert ids[1] == ids[2] != ids[0]
    assert results(journal)[1:] == [("inspected", "failed"), ("answered", "applied")]


async def test_a_platform_that_says_when_to_come_back_is_left_alone_until_then() -> None:
    async with at_work() as (floor, gateway):
        runner = gateway.runners["google", "123"]
        slow = PlatformThrottledError("google", "too fast", retry_after_s=50.0)
        floor.platform.faults.append(("apply", slow))
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: runner.tally.failed == 1)
        runner.desk.columns.not_before[:] = -1e18
        await wait_until(lambda: runner.desk.held.get("rate") == 1)
        assert 45 < runner.desk.bucket.ready_in(1, now=floor.clock.monotonic()) <= 50
        assert runner.status().rate_per_s < 1000
        assert runner.status().last_error == "google: too fast"
        assert runner.status().breaker == "closed", "it answers"


async def test_a_quota_that_is_used_up_parks_the_rest_of_the_day() -> None:
    async with at_work(accounts=[account(operations_a_day=1_000_000)]) as (floor, gateway):
        runner = gateway.runners["google", "123"]
        gone = PlatformQuotaError("google", "used up", retry_after_s=0.0)
        floor.platform.faults.append(("apply", gone))
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: runner.status().operations_left == 0)
        runner.desk.columns.not_before[:] = -1e18
        await wait_until(lambda: runner.desk.held.get("purse") == 1)


async def test_a_quota_that_comes_back_in_an_hour_parks_an_hour_and_not_the_day() -> None:
    async with at_work(accounts=[account(operations_a_day=1_000_000)]) as (floor, gateway):
        runner = gateway.runners["google", "123"]
        gone = PlatformQuotaError("google", "this hour's points", retry_after_s=3600.0)
        floor.platform.faults.append(("apply", gone))
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: runner.status().operations_left == 0)
        later = floor.clock.now() + 3601.0
        assert runner.desk.purse.available(later - 100.0, is_emergency=True) == 0
        assert runner.desk.purse.available(later, is_emergency=True) > 0


async def test_a_refusal_is_kept_and_the_others_of_the_batch_are_applied() -> None:
    floor = Floor()
    for entity in ("adGroups/1", "adGroups/2"):
        floor.platform.stand(entity)
        await floor.publish(entity.replace("/", "-"), platforms=linked(entity))
    floor.platform.refuse["adGroups/1"] = Outcome("", Result.REJECTED, "policy", "POLICY_ERROR")
    await floor.decide("adGroups-1", bid=900_000)
    await floor.decide("adGroups-2", bid=900_000)
    async with floor.gateway() as gateway:
        await bid_is(floor, 900_000, "adGroups/2")
        runner = gateway.runners["google", "123"]
        await wait_until(lambda: runner.desk.held.get("refused") == 1)
        assert (runner.tally.applied, runner.tally.rejected) == (1, 1)
    (done,) = [one for one in await floor.journal() if isinstance(one, Done)]
    assert [one.code for one in done.results if one.result == "rejected"] == ["POLICY_ERROR"]


async def test_a_platform_that_is_dead_is_asked_once_in_a_while_and_costs_another_nothing() -> None:
    floor = Floor()
    meta = FakePlatform("meta")
    meta.stand("55")
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    await floor.publish("meta-shoes", platforms=linked("55", platform="meta"))
    accounts = [account(time_out=0.1), account(platform="meta")]
    async with floor.gateway(
        accounts=accounts, platforms={"google": floor.platform, "meta": meta}
    ) as gateway:
        await wait_until(lambda: floor.platform.calls.count("report") > 1)
        floor.platform.open.clear()  # it takes calls, and never answers
        await wait_until(lambda: gateway.runners["google", "123"].status().breaker == "open")
        await floor.decide("meta-shoes", bid=800_000, platform="meta")
        await wait_until(lambda: meta.value("55", Lever.BID) == 800_000)
        asked = len(floor.platform.calls)
        polls = meta.calls.count("report")
        await wait_until(lambda: meta.calls.count("report") > polls + 3)
        assert len(floor.platform.calls) <= asked + 1
        assert gateway.runners["meta", "123"].status().breaker == "closed"
    head = await floor.broker.journal.head(breaker_subject("google"))
    assert head is not None
    assert decode_breaker("", head.payload).state == "open"


async def test_a_second_gateway_takes_over_what_a_first_one_left_open() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    service = await killed_between(floor)
    async with floor.gateway("g2"):
        await wait_until(lambda: floor.platform.calls.count("inspect") >= 2)
        await wait_until(lambda: floor.platform.calls[-1] == "report")
    journal = await floor.journal()
    takes = [one for one in journal if isinstance(one, Take)]
    assert [(one.owner, one.epoch) for one in takes] == [("g1", 1), ("g2", 2)]
    assert results(journal) == [("inspected", "applied")]
    assert set(floor.platform.applied.values()) == {1}
    assert service.name == "g1"


async def killed_between(floor: Floor) -> Gateway:
    """Run a gateway that dies when its change is applied and its answer on the way."""
    floor.platform.is_late = True
    async with floor.gateway("g1") as service:
        await wait_until(lambda: "inspect" in floor.platform.calls)
        floor.platform.open.clear()
        await floor.decide("spring-shoes", bid=800_000)
        await bid_is(floor, 800_000)
        service.stop()
        service.stop()  # at once: nothing more is written
        await wait_until(lambda: not service.runners)
    floor.platform.open.set()
    floor.platform.is_late = False
    return service


async def test_of_two_gateways_one_has_an_ad_account_and_hands_it_over_when_it_leaves() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway("g1") as one, floor.gateway("g2") as two:
        await floor.decide("spring-shoes", bid=800_000)
        await bid_is(floor, 800_000)
        first, second = (one, two) if one.runners else (two, one)
        assert not second.runners
        first.stop()
        await wait_until(lambda: "held" if second.runners else None)
        await floor.decide("spring-shoes", bid=900_000)
        await bid_is(floor, 900_000)
    owners = [record.owner for record in await floor.journal() if isinstance(record, Take)]
    assert owners == [first.name, second.name]


async def test_whoever_has_lost_an_ad_account_sends_nothing_more() -> None:
    async with at_work() as (floor, gateway):
        subject = changes_subject("google", "123")
        head = await floor.broker.journal.head(subject)
        assert head is not None
        thief = Take(
            platform="google", ad_account="123", previous=head.sequence, epoch=9, owner="thief",
            at_ms=0, is_live=True,
        )  # fmt: skip
        await floor.broker.journal.append(subject, encode_journal(thief), expected=head.sequence)
        applied = len(floor.platform.history)
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: not gateway.runners, what="the loss")
        assert len(floor.platform.history) == applied


async def test_the_kill_switch_stops_every_linked_entity_first() -> None:
    floor = Floor()
    names = [f"c{i}" for i in range(30)]
    for name in names:
        floor.platform.stand(name)
        await floor.publish(name, platforms=linked(name))
    purse = account(operations_a_day=1200, reserve=0.05)
    async with floor.gateway(accounts=[purse]) as gateway:
        await wait_until(lambda: gateway.runners and "report" in floor.platform.calls)
        desk = gateway.runners["google", "123"].desk
        desk.purse.spend(max(desk.purse.available(floor.clock.now()), 0))
        await floor.decide(names[0], bid=900_000)
        await wait_until(lambda: desk.held.get("purse") == 1)
        repository = Repository(table=floor.broker.campaigns, clock=floor.clock, by="test")
        await repository.halt(True)
        await wait_until(
            lambda: not any(floor.platform.value(name, Lever.SERVING) for name in names)
        )
        assert desk.is_halted
        assert {one.lever for one in floor.platform.history} == {Lever.SERVING}
    why = {c.why for r in await floor.journal() if isinstance(r, Intend) for c in r.changes}
    assert why == {"halt"}


async def test_what_somebody_paused_on_the_platform_stays_paused() -> None:
    async with at_work() as (floor, gateway):
        floor.platform.stand("adGroups/55", bid_micros=800_000, is_serving=False)
        gateway.runners["google", "123"].moved({0})  # look at once
        desk = gateway.runners["google", "123"].desk
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: desk.held.get("stopped-by-others"))
        assert floor.platform.value("adGroups/55", Lever.SERVING) is False
        assert floor.platform.value("adGroups/55", Lever.BID) == 800_000


async def test_what_the_gateway_paused_it_starts_again_and_so_does_its_successor() -> None:
    async with at_work() as (floor, _):
        await floor.decide("spring-shoes", bid=0, binding=Binding.DAILY_CAP)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)
    async with floor.gateway("g2"):
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is True)


async def test_a_campaign_that_is_paused_is_stopped_without_waiting_for_a_decision() -> None:
    async with at_work() as (floor, _):
        message = await floor.broker.campaigns.get("spring-shoes")
        assert message is not None
        await floor.publish(
            "spring-shoes",
            expected=message.sequence,
            state=State.PAUSED,
            platforms=linked("adGroups/55"),
        )
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)


async def test_an_entity_is_stopped_at_the_end_of_its_flight_though_no_worker_is_alive() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    now = floor.clock.now()
    flight = Flight(now - 3600, now + 1.5)
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"), flight=flight)
    async with floor.gateway():
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)
        assert floor.clock.now() >= flight.ends_at


async def test_an_entity_belongs_to_one_campaign_and_currencies_must_agree() -> None:
    floor = Floor()
    for entity in ("a", "b"):
        floor.platform.stand(entity)
    await floor.publish("c2", platforms=linked("a"))
    await floor.publish("c1", platforms=linked("a"))
    await floor.publish("euro", platforms=linked("b"), currency="EUR")
    async with floor.gateway() as gateway:
        await wait_until(lambda: gateway.runners and "report" in floor.platform.calls)
        desk = gateway.runners["google", "123"].desk
        assert desk.unlinked == {"c2": "taken", "euro": "currency"}
        assert [link.id for _, link in desk.links()] == ["c1"]
        await floor.decide("c2", bid=900_000)
        await floor.decide("euro", bid=900_000)
        await floor.decide("c1", bid=800_000)
        await wait_until(lambda: floor.platform.value("a", Lever.BID) == 800_000)
    assert floor.platform.value("b", Lever.BID) == 500_000


async def test_an_ad_account_that_the_credentials_do_not_reach_is_told_and_asked_for_again() -> (
    None
):
    floor = Floor()
    async with floor.gateway(accounts=[account(ad_account="999")]) as gateway:
        await wait_until(lambda: [one.last_error for one in gateway.accounts() if one.last_error])
        (status,) = gateway.accounts()
        assert "ad account 999 wanted, the credentials reach 123" in status.last_error
        assert "apply" not in floor.platform.calls


async def test_a_rollback_is_applied_before_anything_else_and_held_until_it_is_released() -> None:
    async with at_work(gate=GateSettings(hold_s=1000.0)) as (floor, gateway):
        desk = gateway.runners["google", "123"].desk
        subject = orders_subject("google", "123")
        back = Setting(campaign="spring-shoes", entity="adGroups/55", lever="bid", value=500_000.0)
        until = round(floor.clock.now() * 1000) + 3_600_000
        common = {"platform": "google", "ad_account": "123", "at_ms": 0, "until_ms": until}
        order = Order(id="r1", settings=[back], **common)  # type: ignore[arg-type]
        sequence = await floor.broker.journal.append(subject, encode_journal(order), expected=0)
        await bid_is(floor, 500_000)
        await floor.decide("spring-shoes", bid=900_000)
        await wait_until(lambda: desk.columns.bid[0] == 900_000)
        assert floor.platform.value("adGroups/55", Lever.BID) == 500_000
        release = Order(id="r2", **common)  # type: ignore[arg-type]
        await floor.broker.journal.append(subject, encode_journal(release), expected=sequence)
        await wait_until(lambda: desk.held.get("hold-time") == 1, what="the engine's own wish")
    why = [c.why for r in await floor.journal() if isinstance(r, Intend) for c in r.changes]
    assert why == ["bid", "order"]


@pytest.mark.parametrize(
    "platforms", [linked("adGroups/56"), linked("act", platform="meta")], ids=["moved", "dropped"]
)
async def test_an_entity_that_its_campaign_lets_go_is_paused_once_and_then_left_alone(
    platforms: dict[str, Any],
) -> None:
    async with at_work() as (floor, gateway):
        floor.platform.stand("adGroups/56")
        message = await floor.broker.campaigns.get("spring-shoes")
        assert message is not None
        await floor.publish("spring-shoes", expected=message.sequence, platforms=platforms)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)
        desk = gateway.runners["google", "123"].desk
        await wait_until(lambda: not desk.columns.is_linked[0])
        floor.platform.stand("adGroups/55")  # somebody uses it for something else
        await floor.decide("spring-shoes", bid=900_000)
        gateway.runners["google", "123"].moved({0})
        calls = floor.platform.calls.count("report")
        await wait_until(lambda: floor.platform.calls.count("report") > calls + 1)
        assert floor.platform.value("adGroups/55", Lever.SERVING) is True


async def test_an_entity_that_goes_from_one_campaign_to_another_takes_no_counts_along() -> None:
    async with at_work() as (floor, gateway):
        message = await floor.broker.campaigns.get("spring-shoes")
        assert message is not None
        desk = gateway.runners["google", "123"].desk
        desk.columns.spent[0] = 5_000_000
        elsewhere = linked("act", platform="meta")
        await floor.publish("spring-shoes", expected=message.sequence, platforms=elsewhere)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)
        hours = floor.clock.now() // 3600 * 3600
        flight = Flight(hours, hours + 10 * 3600.0)
        reporter = gateway.runners["google", "123"].reporter
        assert reporter is not None
        reporter.hours.base[0] = 1
        await floor.publish("autumn", platforms=linked("adGroups/55"), flight=flight)
        await wait_until(lambda: desk.place("autumn", "adGroups/55") == 0)
        assert desk.columns.spent[0] == 0
        assert not reporter.hours.base[0].any()


async def test_what_a_dry_run_pretended_to_stop_is_not_started_once_it_is_live() -> None:
    floor = Floor()
    floor.platform.stand("adGroups/55")
    await floor.publish("spring-shoes", platforms=linked("adGroups/55"))
    async with floor.gateway(accounts=[account(live=False)]) as gateway:
        await floor.decide("spring-shoes", bid=0, binding=Binding.DAILY_CAP)
        await wait_until(lambda: gateway.runners and gateway.accounts()[0].applied == 1)
        polls = gateway.runners["google", "123"].tally.polls
        await wait_until(lambda: gateway.runners["google", "123"].tally.polls > polls + 1)
    floor.platform.stand("adGroups/55", is_serving=False)  # a person paused it
    async with floor.gateway() as gateway:
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: gateway.runners and gateway.runners["google", "123"].reporter)
        runner = gateway.runners["google", "123"]
        await wait_until(lambda: runner.desk.held.get("stopped-by-others"))
        assert floor.platform.value("adGroups/55", Lever.SERVING) is False
        assert not runner.desk.columns.moved_at[0].max() > 0, "nothing was moved: nothing is held"


async def test_what_was_started_before_a_takeover_stays_paused_if_somebody_pauses_it() -> None:
    rarely = [account(poll_every=1000.0)]
    async with at_work(accounts=rarely) as (floor, gateway):
        await floor.decide("spring-shoes", bid=0, binding=Binding.DAILY_CAP)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is False)
        runner = gateway.runners["google", "123"]
        await wait_until(lambda: runner.desk.stopped() == ["adGroups/55"])
        assert runner.reporter is not None
        await runner.reporter.poll()  # says that it was stopped; nothing is told of the start
        await floor.decide("spring-shoes", bid=800_000)
        await wait_until(lambda: floor.platform.value("adGroups/55", Lever.SERVING) is True)
    async with floor.gateway("g2", accounts=rarely) as gateway:
        await wait_until(lambda: gateway.runners and gateway.runners["google", "123"].is_owned)
        runner = gateway.runners["google", "123"]
        await wait_until(lambda: runner.desk.columns.serving[0] == 1.0)
        floor.platform.stand("adGroups/55", bid_micros=800_000, is_serving=False)
        runner.moved({0})  # look at once
        await wait_until(lambda: runner.desk.held.get("stopped-by-others"))
        assert floor.platform.value("adGroups/55", Lever.SERVING) is False
