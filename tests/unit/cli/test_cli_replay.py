"""`engine replay` and `engine forecast`: what a record says, and one line for what is wrong."""

import asyncio
import json
import re
from typing import TYPE_CHECKING, Any

import pytest

from engine.messaging import subjects
from engine.messaging.memory import MemoryBroker
from engine.messaging.ports import Broker
from support.definitions import START, frame, report
from support.one_partition import NAME, Fleet, P

if TYPE_CHECKING:
    from .conftest import Engine

ROUNDS = 40


@pytest.fixture
def recorded(engine: "Engine") -> "Engine":
    """Return the commands over a broker on which a worker has decided for a while."""

    async def work() -> None:
        fleet = Fleet()
        fleet.server = engine.server
        fleet.broker = MemoryBroker(server=engine.server, name="test", clock=fleet.clock)
        await fleet.publish()
        async with fleet.worker():
            for number in range(ROUNDS):
                await fleet.report(spend_micros=40_000 + number, clicks=8)
                await fleet.report(platform="meta", spend_micros=20_000, clicks=4, conversions=0.1)
                await fleet.clock.advance(2)

    asyncio.run(work())
    return engine


def test_a_record_that_holds_is_equal_and_code_nought(recorded: "Engine") -> None:
    result = recorded("replay")
    assert (result.code, result.err) == (0, "")
    assert "equal to the bit" in result.out


def test_a_record_that_does_not_hold_shows_the_first_difference(recorded: "Engine") -> None:
    async def add(broker: Broker) -> None:
        # A frame that the record says was counted, and was not: the next rounds stand on nothing.
        stream = recorded.server.streams[subjects.METRICS_STREAM]
        sequence = next(iter(stream.entries))
        forged = frame(P, [report(NAME, "google", at=START, clicks=999)], sequence=1)
        entry = stream.entries[sequence]
        delivery = entry.delivery._replace(payload=forged)
        stream.entries[sequence] = entry._replace(delivery=delivery)

    recorded.with_broker(add)
    result = recorded("replay", "--partition", str(P))
    assert result.code == 1
    assert f"partition {P} sequence " in result.out
    assert "recorded" in result.out
    assert "1 of them not as recorded" in result.out


def test_a_what_if_says_what_would_have_been_otherwise(recorded: "Engine") -> None:
    result = recorded("replay", "--set", "max_bid=0.05")
    assert result.code == 0
    assert "decisions otherwise" in result.out
    assert "over the same samples" in result.out
    bids = re.search(r"mean bid ([0-9.]+) → ([0-9.]+)", result.out)
    assert bids is not None
    assert 0 < float(bids[2]) <= 0.05 < float(bids[1])
    found: dict[str, Any] = json.loads(recorded("replay", "--set", "max_bid=0.05", "--json").out)
    assert found["is_equal"]
    assert found["changes"] == ["max_bid=0.05"]
    assert found["partitions"][0]["comparison"]["changed"] > 0


def test_nothing_recorded_is_said_and_code_one(engine: "Engine") -> None:
    result = engine("replay")
    assert (result.code, result.out) == (1, "")
    assert result.err == "engine replay: nothing was recorded that could be decided again\n"


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("replay", "--partition", "64"), "--partition: 0 to 63, found 64"),
        (("replay", "--from", "soon"), "--from: a time such as"),
        (("replay", "--from", "2026-11-03", "--to", "2026-11-02"), "--to: a time after --from"),
        (("replay", "--set", "maxbid=1"), "did you mean max_bid?"),
        (("replay", "--interval", "0"), "--interval: seconds above 0"),
        (("forecast", NAME, "--budget", "lots"), "--budget: an amount such as 12.50"),
        (("forecast", NAME, "--budget", "-1"), "--budget: an amount above 0"),
        (("forecast", NAME, "--budget", "1", "--days", "0"), "--days: above 0"),
    ],
)
def test_what_makes_no_sense_is_one_line_and_code_two_for_both(
    engine: "Engine", arguments: tuple[str, ...], line: str
) -> None:
    result = engine(*arguments)
    assert (result.code, result.out) == (2, "")
    assert line in result.err
    assert result.err.count("\n") == 1


def test_a_forecast_rises_with_the_budget_and_says_where_the_traffic_ends(
    recorded: "Engine",
) -> None:
    won = []
    for budget in ("1", "100", "2000", "90000", "99000"):
        result = recorded("forecast", NAME, "--budget", budget, "--days", "1", "--json")
        assert result.code == 0
        found: dict[str, Any] = json.loads(result.out)["expected"]
        assert found["conversions"]["low"] < found["conversions"]["value"]
        assert found["spend_micros"] <= found["budget_micros"]
        won.append(found["conversions"]["value"])
    assert won == sorted(won)
    assert won[0] < won[1]
    assert won[3] == won[4]
    said = recorded("forecast", NAME, "--budget", "99000", "--days", "1")
    assert "more money is not expected to bring more" in said.out
    assert "confidence 0." in said.out
    assert ": sample size " in said.out
    assert "the window alone says " in said.out
    (google, *_) = json.loads(result.out)["forecasts"]
    assert google["cvr"]["low"] < google["cvr"]["value"] < google["cvr"]["high"]
    assert google["condition"] in {"normal", "rising", "falling", "volatile", "thin"}
    assert "data are thin" in said.err


def test_a_forecast_ends_where_the_target_reach_does(recorded: "Engine") -> None:
    shown = 2 * ROUNDS * 10_000  # by the reports

    async def aim(broker: Broker) -> None:
        fleet = Fleet()
        fleet.broker = broker  # type: ignore[assignment]
        stored = await broker.campaigns.get(NAME)
        assert stored is not None
        await fleet.publish(expected=stored.sequence, target_reach=shown + 5_000)

    arguments = ("forecast", NAME, "--budget", "2000", "--days", "1")
    free = json.loads(recorded(*arguments, "--json").out)["expected"]
    assert free["reach"] is None
    assert free["impressions"]["value"] > 5_000
    recorded.with_broker(aim)
    bound = json.loads(recorded(*arguments, "--json").out)["expected"]
    assert bound["reach"]["shown"] == shown
    assert bound["impressions"]["value"] == pytest.approx(5_000)
    assert bound["spend_micros"] < free["spend_micros"]
    lines = recorded(*arguments).out.splitlines()
    assert "  impressions  5,000.0 " in "\n".join(lines)
    said = "target reach 805,000 impressions, 800,000 of them in the samples kept: a chance of 100%"
    assert any(said in line for line in lines)
    assert any("the target reach ends it" in line for line in lines)


def test_a_forecast_of_nobody_names_the_nearest(recorded: "Engine") -> None:
    result = recorded("forecast", "spring-shoe", "--budget", "10")
    assert result.code == 1
    assert f"(did you mean {NAME}?)" in result.err


def test_a_forecast_from_nothing_says_so_and_code_one(engine: "Engine") -> None:
    async def publish(broker: Broker) -> None:
        fleet = Fleet()
        fleet.broker = broker  # type: ignore[assignment]
        await fleet.publish()

    engine.with_broker(publish)
    result = engine("forecast", NAME, "--budget", "10")
    assert (result.code, result.out) == (1, "")
    assert "nothing was seen yet" in result.err


def test_a_forecast_writes_nothing(recorded: "Engine") -> None:
    before = {name: stream.last for name, stream in recorded.server.streams.items()}
    recorded("forecast", NAME, "--budget", "10")
    assert {name: stream.last for name, stream in recorded.server.streams.items()} == before
