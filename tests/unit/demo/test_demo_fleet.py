"""The demo's children are asked to stop, then killed, and never left behind."""

from pathlib import Path

import pytest

from engine.cli.demo_fleet import Fleet
from engine.clock import SystemClock
from support.waiting import wait_until

OBEDIENT = """
import signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
sys.stderr.write("ready\\n"); sys.stderr.flush()
signal.pause()
"""
STUBBORN = OBEDIENT.replace("lambda *_: sys.exit(0)", "signal.SIG_IGN").replace(
    "signal.pause()", "while True: signal.pause()"
)
FAILING = "raise SystemExit('the reason')"


@pytest.fixture
def fleet(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Fleet:
    for name, code in (("obedient", OBEDIENT), ("stubborn", STUBBORN), ("failing", FAILING)):
        (tmp_path / f"{name}.py").write_text(code)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return Fleet(logs=tmp_path / "logs", clock=SystemClock())


async def started(fleet: Fleet, name: str) -> None:
    await fleet.start(name, name, [])
    await wait_until(lambda: "ready" in fleet.last_words(name), within_s=20.0)


async def test_a_child_is_asked_to_stop_and_does(fleet: Fleet) -> None:
    async with fleet:
        await started(fleet, "obedient")
        await fleet.stop(("obedient",), grace_seconds=20.0)
        assert [child.exit_code for child in fleet.children] == [0]


async def test_a_child_that_does_not_stop_within_the_grace_is_killed(fleet: Fleet) -> None:
    async with fleet:
        await started(fleet, "stubborn")
        await fleet.stop(("stubborn",), grace_seconds=0.1)
        assert [child.exit_code for child in fleet.children] == [-9]


async def test_nobody_is_left_behind_when_the_demo_fails(fleet: Fleet) -> None:
    async def fails() -> None:
        async with fleet:
            await started(fleet, "stubborn")
            await started(fleet, "obedient")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fails()
    assert all(child.exit_code is not None for child in fleet.children)


async def test_a_second_signal_waits_for_nobody(fleet: Fleet) -> None:
    async with fleet:
        await started(fleet, "stubborn")
        fleet.hurry()
        await fleet.stop(("stubborn",), grace_seconds=1_000.0)
        assert [child.exit_code for child in fleet.children] == [-9]


async def test_the_last_words_of_a_child_are_kept(fleet: Fleet) -> None:
    async with fleet:
        await fleet.start("failing", "failing", [])
        await wait_until(lambda: fleet.children[0].exit_code is not None, within_s=20.0)
        assert fleet.children[0].exit_code == 1
        assert fleet.last_words("failing") == "the reason"
