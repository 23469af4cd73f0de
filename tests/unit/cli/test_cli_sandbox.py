"""`engine sandbox` and the demo's --platforms: which names are taken, what is told of each."""

import pytest

from engine.cli.demo_platforms import PlatformTotals, PlatformWatch
from engine.cli.sandbox import platforms_of
from engine.clock import SystemClock
from engine.errors import ConfigError
from engine.messaging.gateway_status import AccountStatus, GatewayStatus, encode_gateway_status
from engine.messaging.memory import MemoryBroker, MemoryServer
from support.waiting import wait_until


def test_platforms_are_taken_with_commas_and_each_once() -> None:
    assert platforms_of("google, meta,google") == ("google", "meta")


@pytest.mark.parametrize("text", ["", " , ", "google,amazon", "Google"])
def test_a_platform_there_is_no_sandbox_of_is_refused(text: str) -> None:
    with pytest.raises(ConfigError, match="some of google, meta, tiktok wanted"):
        platforms_of(text)


def test_what_a_gateway_did_is_told_in_a_line() -> None:
    totals = PlatformTotals(applied=1_204, failed=2, held_back={"rate": 9, "purse": 40})
    assert totals.in_words() == ("1,204 changes applied, 2 failed, 49 held back (purse 40, rate 9)")
    assert PlatformTotals().in_words() == "0 changes applied, 0 held back"


def _applied(watch: PlatformWatch) -> int:
    return sum(totals.applied for totals in watch.totals().values())


async def test_the_newest_word_of_each_ad_account_counts() -> None:
    broker = MemoryBroker(server=MemoryServer(), name="demo", clock=SystemClock())
    watch = PlatformWatch(broker)

    async def say(*accounts: AccountStatus) -> None:
        status = GatewayStatus(gateway="g", version="0", started_at=0, at=1, accounts=[*accounts])
        await broker.gateways.beat("g", encode_gateway_status(status))

    def account(name: str, applied: int, **fields: object) -> AccountStatus:
        given = {"platform": "meta", "ad_account": name, "is_live": True, "applied": applied}
        return AccountStatus(**(given | fields))  # type: ignore[arg-type]

    async with watch.following():
        assert not watch.is_held()
        await broker.gateways.beat("g", b"nonsense")
        await say(account("a", 1), account("b", 10, held_back={"rate": 1}))
        await say(account("a", 2, held_back={"rate": 2, "purse": 3}))
        await wait_until(lambda: _applied(watch) == 12, what="both ad accounts")
        assert watch.is_held()
    [(name, totals)] = watch.totals().items()
    assert (name, totals.applied) == ("meta", 12)
    assert totals.held_back == {"rate": 3, "purse": 3}
