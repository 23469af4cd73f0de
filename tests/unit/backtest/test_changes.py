"""What `--set` may change, and what it says where it may not."""

import pytest

from engine.backtest.changes import apply_changes, parse_change
from engine.domain.campaign import Strategy
from engine.errors import ConfigError
from support.definitions import definition


def test_fields_are_set_where_they_belong() -> None:
    texts = ["budget=x1.5", "max_bid=2.50", "max_change=0.2", "strategy=even-pacing"]
    found = apply_changes(definition(), [parse_change(text) for text in texts])
    assert found.budget_micros == 150_000_000
    assert found.guardrails.max_bid_micros == 2_500_000
    assert found.guardrails.max_change == 0.2
    assert found.strategy is Strategy.EVEN_PACING


def test_a_factor_of_nothing_is_nothing() -> None:
    assert apply_changes(definition(), [parse_change("daily_cap=x2")]) == definition()


def test_the_window_is_the_engines_and_no_campaigns() -> None:
    assert apply_changes(definition(), [parse_change("window=32")]) == definition()


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("max_chang=0.2", "did you mean max_change?"),
        ("max_change", "field=value such as max_change=0.2"),
        ("max_change=big", "a number such as 0.2, found 'big'"),
        ("max_change=nan", "a number such as 0.2, found 'nan'"),
        ("budget=x0", "a factor above 0 such as x1.5"),
        ("budget=1e99", "an amount up to"),
        ("strategy=even-pace", "did you mean even-pacing?"),
        ("window=1", "samples from 2 to 127"),
        ("window=x2", "samples from 2 to 127"),
    ],
)
def test_a_change_that_makes_no_sense_is_refused_with_what_would(text: str, line: str) -> None:
    with pytest.raises(ConfigError, match=r"--set") as refused:
        parse_change(text)
    assert line in str(refused.value)


def test_a_change_that_makes_no_campaign_names_the_field() -> None:
    with pytest.raises(ConfigError, match=r"spring-shoes: guardrails\.max_change"):
        apply_changes(definition(), [parse_change("max_change=7")])
