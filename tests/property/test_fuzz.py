"""The short form of `make fuzz`, and every input on which a property once did not hold."""

from pathlib import Path

import pytest

from fuzz.loop import check, fuzz
from fuzz.targets import TARGETS

REGRESSIONS = Path(__file__).parents[1] / "fuzz" / "regressions"
KEPT = sorted(path for path in REGRESSIONS.glob("*/*") if path.is_file())


@pytest.mark.parametrize("name", TARGETS)
def test_damaged_inputs_break_no_promise(name: str) -> None:
    found = fuzz(TARGETS[name], seconds=30.0, cases=40)
    assert found.cases == 40 or found.failures
    assert [(failure.what, failure.payload) for failure in found.failures] == []


@pytest.mark.parametrize("path", KEPT, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_an_input_that_once_failed_does_not_fail_again(path: Path) -> None:
    check(TARGETS[path.parent.name], path.read_bytes())
