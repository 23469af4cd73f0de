"""What the dashboard makes of the streams: sums, feed, owners, workers, health."""

from collections.abc import AsyncIterator

import msgspec
import pytest

from engine.clock import SystemClock
from engine.dashboard.decisions import FeedQuery, feed_page
from engine.dashboard.health import Gauge, health_page
from engine.dashboard.live import Live
from engine.dashboard.overview import summary
from engine.dashboard.pages import platforms_page, workers_page
from engine.dashboard.query import Choice
from engine.domain.accounts import Halt
from engine.domain.codec import encode_control
from engine.domain.decision import Action, Binding
from engine.messaging.gateway_status import AccountStatus, GatewayStatus
from engine.messaging.memory import MemoryBroker
from engine.messaging.records import Release, encode
from engine.messaging.subjects import HALT_NAME
from support.dashboard import Fleet
from support.definitions import campaign
from support.waiting import wait_until


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
def fleet(broker: MemoryBroker) -> Fleet:
    return Fleet(broker)


@pytest.fixture
async def live(broker: MemoryBroker) -> AsyncIterator[Live]:
    live = Live(broker=broker, clock=SystemClock())
    async with live.following():
        yield live


def levels(live: Live, gauge: Gauge | None = None) -> dict[str, str]:
    page = health_page(live, gauge or Gauge(live=live), viewers=0)
    return {check["name"]: check["level"] for check in page["checks"]}


async def caught_up(live: Live) -> None:
    await wait_until(lambda: live.lag == 0 and live.is_caught_up)


async def test_money_is_summed_by_currency_only(live: Live, fleet: Fleet) -> None:
    await fleet.publish(campaign("a"), campaign("b"), campaign("c", currency="JPY"))
    await fleet.decide({"campaign": "a", "settled": 5}, {"campaign": "c", "settled": 7})
    await caught_up(live)
    rows = {row["currency"]: row for row in summary(live)["money"]}
    assert (rows["USD"]["campaigns"], rows["USD"]["settled"]) == (2, 5)
    assert (rows["JPY"]["campaigns"], rows["JPY"]["settled"]) == (1, 7)
    assert rows["USD"]["budget"] == 200_000_000


async def test_what_cannot_be_read_is_counted_and_the_rest_goes_on(
    live: Live, fleet: Fleet, broker: MemoryBroker
) -> None:
    await broker.campaigns.put("broken", b"{", expected=0)
    await broker.chain.append(5, b"nonsense", expected=0)
    await broker.heartbeats.beat("liar", b"nonsense")
    await broker.gateways.beat("liar", b"nonsense")
    await fleet.publish(campaign("a"))
    await caught_up(live)
    await wait_until(lambda: live.unreadable == 4)
    assert live.campaigns.names == ["a"]
    assert levels(live)["This dashboard"] == "warn"


async def test_the_feed_tells_the_newest_first_with_the_bid_before(
    live: Live, fleet: Fleet
) -> None:
    await fleet.publish(campaign("a"))
    await fleet.decide({"campaign": "a", "bids": {"x": (5, 1.0, 0.5)}})
    await fleet.decide({"campaign": "a", "bids": {"x": (9, 1.0, 0.5)}})
    await caught_up(live)
    rows = feed_page(live, FeedQuery())["decisions"]
    assert [(row["round"], row["bid_before"]) for row in rows] == [(2, 5), (1, None)]
    assert rows[0]["currency"] == "USD"


async def test_the_feed_is_filtered(live: Live, fleet: Fleet) -> None:
    await fleet.decide(
        {"campaign": "a", "bids": {"x": (5, 1.0, 0.5), "y": (0, None, 0.0)}},
        {"campaign": "b", "bids": {"y": (5, 1.0, 0.5)}, "binding": Binding.BUDGET},
        {"campaign": "ab", "bids": {}, "action": Action.HOLD},
    )
    await caught_up(live)

    def found(**asked: object) -> set[str]:
        page = feed_page(live, FeedQuery(**asked))  # type: ignore[arg-type]
        return {row["campaign"] for row in page["decisions"]}

    assert found(search="a") == {"a", "ab"}
    assert found(platform=Choice(("y",))) == {"b"}
    assert found(platform=Choice(("y",), True)) == {"a", "ab"}
    assert found(binding=Choice(("budget",))) == {"b"}
    assert found(binding=Choice(("budget",), True)) == {"a", "ab"}
    assert found(action=Choice(("hold",))) == {"ab"}


async def test_partitions_are_shown_with_their_owners_and_what_changed_hands(
    live: Live, fleet: Fleet, broker: MemoryBroker
) -> None:
    await fleet.take(owner="w1")
    await fleet.take(owner="w2")
    release = Release(
        partition=3, previous=1, epoch=2, owner="w2", at_ms=1_700_000_000_000, round=0,
        metrics_sequence=0, campaigns_revision=0,
    )  # fmt: skip
    await broker.chain.append(3, encode(release), expected=fleet.sequences[3])
    await caught_up(live)
    page = workers_page(live)
    assert [one["owner"] for one in page["partitions"][2:5]] == ["w2", "", "w2"]
    left, over, first = page["handovers"]
    assert (left["is_release"], left["partitions"]) == (True, [3])
    assert (over["owner"], over["before"], len(over["partitions"])) == ("w2", "w1", 64)
    assert (first["owner"], first["before"]) == ("w1", "")
    assert levels(live)["Partitions"] == "bad"


async def test_a_worker_is_alive_while_it_is_heard(live: Live, fleet: Fleet) -> None:
    assert levels(live)["Workers"] == "bad"
    await fleet.beat("w1", round_ms=20.0, lag_frames=3)
    await wait_until(lambda: "w1" in live.workers)
    (row,) = workers_page(live)["workers"]
    assert (row["state"], row["partitions"], row["lag"]) == ("alive", 32, 3)
    assert levels(live)["Workers"] == "ok"
    live.workers["w1"].heard_at -= 10
    assert workers_page(live)["workers"][0]["state"] == "silent"
    assert levels(live)["Workers"] == "bad"


async def test_rounds_left_out_are_worth_a_look(live: Live, fleet: Fleet) -> None:
    await fleet.beat("w1", late_rounds=4)
    await wait_until(lambda: "w1" in live.workers)
    assert levels(live)["Rounds"] == "ok"
    await fleet.beat("w1", late_rounds=4, skipped_rounds=1)
    await wait_until(lambda: live.workers["w1"].beat.skipped_rounds)
    assert levels(live)["Rounds"] == "warn"


async def test_the_kill_switch_is_seen_going_on_and_off(live: Live, broker: MemoryBroker) -> None:
    on, off = (encode_control(Halt(is_halted)) for is_halted in (True, False))
    revision = await broker.campaigns.put_control(7, HALT_NAME, on, expected=0)
    await wait_until(lambda: live.halted == {7})
    assert levels(live)["Kill switch"] == "bad"
    await broker.campaigns.put_control(7, HALT_NAME, off, expected=revision)
    await wait_until(lambda: live.halted == set())
    assert "Kill switch" not in levels(live)


async def test_gateways_are_shown_with_quotas_and_breakers(
    live: Live, fleet: Fleet, broker: MemoryBroker
) -> None:
    account = AccountStatus(
        platform="google",
        ad_account="123",
        is_live=False,
        breaker="open",
        operations_left=5,
        anomalies={"cpa-spike": 2},
    )
    status = GatewayStatus(gateway="g1", version="1", started_at=1.0, at=2.0, accounts=[account])
    await broker.gateways.beat("g1", msgspec.msgpack.encode(status))
    await wait_until(lambda: "g1" in live.gateways)
    (row,) = platforms_page(live)["gateways"]
    assert row["accounts"][0]["breaker"] == "open"
    assert row["accounts"][0]["operations_left"] == 5
    assert row["accounts"][0]["anomalies"] == {"cpa-spike": 2}
    assert levels(live)["Gateways"] == "ok"
    live.gateways["g1"] = (live.gateways["g1"][0], live.gateways["g1"][1] - 60)
    assert levels(live)["Gateways"] == "bad"


async def test_platforms_are_told_by_their_bids(live: Live, fleet: Fleet) -> None:
    await fleet.publish(campaign("a"), campaign("b"))
    await fleet.decide({"campaign": "a"}, {"campaign": "b", "bids": {"google": (0, None, 0.0)}})
    await caught_up(live)
    google, meta = platforms_page(live)["platforms"]
    assert (google["campaigns"], google["bidding"], google["best"]) == (2, 1, 2)
    assert (google["bid"], google["currency"]) == (500_000, "USD")
    assert (meta["campaigns"], meta["bidding"]) == (2, 1)


async def test_dead_letters_are_counted_by_their_stream(live: Live, broker: MemoryBroker) -> None:
    gauge = Gauge(live=live, every_s=60)
    broker.dead_letters.bury("feed", "no reason", b"x")
    gauge.sizes = await broker.sizes(["ENGINE_DEAD"])
    assert gauge.dead_letters == 1
    assert levels(live, gauge)["Dead letters"] == "warn"


async def test_a_broker_that_is_away_comes_first(live: Live, broker: MemoryBroker) -> None:
    await caught_up(live)
    broker.server.disconnect()
    checks = health_page(live, Gauge(live=live), viewers=0)["checks"]
    assert checks[0]["name"] == "Broker"
    assert checks[0]["level"] == "bad"
