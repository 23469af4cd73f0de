"""What `engine demo` refuses before it starts anything."""

from typing import Any

import pytest

from engine.cli import demo
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
