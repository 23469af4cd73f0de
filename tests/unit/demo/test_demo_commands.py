from typing import Any

import pytest

from engine.cli import demo, market
from engine.errors import ConfigError


@pytest.mark.parametrize(
    "wrong",
    [
        {"duration": 0.0},
        {"campaigns": 0},
        {"workers": 0},
        {"interval": 0.0},
        {"step": float("nan")},
        {"day_seconds": float("inf")},
    ],
    ids=str,
)
def test_a_demo_that_makes_no_sense_is_refused_in_one_line(wrong: dict[str, Any]) -> None:
    flag = f"--{next(iter(wrong)).replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"^{flag}: at least .*, found") as caught:
        demo.command(**wrong)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("flag", "text"), [("step", "fast"), ("seed", "x"), ("day_seconds", "0"), ("log_level", "loud")]
)
def test_a_market_that_makes_no_sense_is_refused_in_one_line(flag: str, text: str) -> None:
    name = f"--{flag.replace('_', '-')}"
    with pytest.raises(ConfigError, match=f"^{name}: .*, found '{text}'"):
        market.command(**{flag: text})
