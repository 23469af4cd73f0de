"""The naive rule on a copy of the demo's market, and the page that shows both."""

from engine.cli.demo_page import Moment, demo_page
from engine.market.demo import demo_campaigns
from engine.market.naive import Played, play_naive
from support.demo_page import summary_of

START = 1_700_000_000.0


def play(seconds: float) -> Played:
    definitions = demo_campaigns(20, seed=7, now=START, duration=30, day_seconds=60)
    return play_naive(
        definitions,
        seed=7,
        step_ms=1000,
        day_seconds=60,
        origin_ms=round(START * 1000) - 20_000,
        from_ms=round(START * 1000),
        to_ms=round((START + seconds) * 1000),
        interval_ms=2000,
    )


def test_the_naive_rule_plays_the_same_market_to_the_micro_each_time() -> None:
    played = play(20)
    assert played == play(20)
    assert len(played.at) == 10
    assert 0 < played.spend_micros[0] <= played.spend_micros[-1]
    assert list(played.value_micros) == sorted(played.value_micros)
    assert play(30).spend_micros[:10] == played.spend_micros, "more time changes nothing before"


def test_the_naive_rule_passes_no_budget() -> None:
    definitions = demo_campaigns(20, seed=7, now=START, duration=30, day_seconds=60)
    assert play(60).spend_micros[-1] <= sum(one.budget_micros for one in definitions)


def test_the_page_stands_alone_and_shows_both() -> None:
    history = [Moment(START + i, 1_000_000 * i, 1_100_000 * i, 2_000_000 * i) for i in range(10)]
    text = demo_page(summary_of(), history, play(10))
    assert text.count("<svg") == 2
    assert "ROAS of the naive rule" in text
    assert "http" not in text.replace("http-equiv", "").replace("http://www.w3.org", "")
