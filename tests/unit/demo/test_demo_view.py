"""The demo's screen: what fits a terminal, and what it says of trouble."""

import io

import pytest
from rich.console import Console

from engine.cli.demo_summary import progress_line
from engine.cli.demo_view import Child, DemoState, render
from engine.domain.lifecycle import State
from engine.metrics.watch import CampaignView, View
from support.definitions import campaign
from support.demo_view import state, view, worker, workers


def drawn(shown: View, around: DemoState, *, width: int = 80, height: int = 24) -> list[str]:
    out = io.StringIO()
    console = Console(file=out, width=width, height=height, force_terminal=False)
    console.print(render(shown, around, width=width, height=height))
    return out.getvalue().splitlines()


@pytest.mark.parametrize("height", [12, 16, 24, 50, 120])
@pytest.mark.parametrize("width", [60, 80, 104, 200])
def test_the_screen_fits_the_terminal(width: int, height: int) -> None:
    lines = drawn(view(), state(), width=width, height=height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width


def test_the_screen_of_a_usual_terminal_says_what_matters() -> None:
    text = "\n".join(drawn(view(), state()))
    for words in ("00:23 / 00:30", "nats://127.0.0.1:40435", "45,678", "$19,000", "95%",
                  "2.16", "worker-2", "alive", "campaign-with", "google", "pacing"):  # fmt: skip
        assert words in text


@pytest.mark.parametrize("width", [40, 50, 60, 70, 80, 104])
def test_a_narrow_terminal_leaves_figures_out_and_not_whose_they_are(width: int) -> None:
    lines = drawn(view(), state(), width=width)
    [row] = [line for line in lines if "worker-2" in line]
    assert "alive (pid 102)" in row
    assert "…" not in row


def test_a_taller_terminal_shows_more_campaigns() -> None:
    rows = [
        sum("campaign-with" in line for line in drawn(view(), state(), height=height))
        for height in (24, 40)
    ]
    assert rows[0] >= 8
    assert rows[1] == rows[0] + 16


def test_a_worker_that_was_killed_is_named() -> None:
    children = (Child("market", 1, None), Child("worker-1", 2, -9), Child("worker-2", 3, None))
    shown = view(workers=workers(worker("worker-1", heard_ago_s=4.0), worker("worker-2")))
    text = "\n".join(drawn(shown, state(children=children)))
    assert "gone (signal 9)" in text
    assert "worker-1 ended; the others go on" in text
    assert "worker-1 gone" in progress_line(shown, state(children=children))


def test_a_worker_that_is_not_heard_is_called_silent() -> None:
    shown = view(workers=workers(worker("worker-1", heard_ago_s=0.7), worker("worker-2")))
    assert "silent" in "\n".join(drawn(shown, state()))


def test_a_worker_of_somebody_else_is_shown_too() -> None:
    shown = view(workers=workers(worker("worker-1"), worker("worker-2"), worker("visitor")))
    assert any("visitor" in line and "alive" in line for line in drawn(shown, state()))


def test_a_broker_that_is_away_is_said() -> None:
    assert "nats-server does not answer" in "\n".join(drawn(view(is_connected=False), state()))


def test_before_anything_has_happened_there_are_dashes_and_no_nan() -> None:
    idle = CampaignView(campaign("new", state=State.SCHEDULED), None, 0, 0, 0, 0)
    shown = view(
        campaigns=(idle,),
        workers={},
        spend_micros=0,
        plan_micros=0,
        budget_micros=0,
        value_micros=0,
        spend_history=(),
        delay_ms=None,
    )
    text = "\n".join(drawn(shown, state(), width=120))
    assert "scheduled" in text
    assert "nan" not in text.lower()
    assert "roas -" in progress_line(shown, state())
