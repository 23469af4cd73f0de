"""Steering by expression: counted, shown, asked, and nothing done that was not agreed to."""

import json
import time
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

from engine.domain.campaign import Flight
from engine.domain.lifecycle import State
from engine.messaging.ports import Broker
from support.chain import decided, put
from support.definitions import campaign

if TYPE_CHECKING:
    from .conftest import Engine

NOW = time.time()  # the commands' own clock says the same
FLIGHT = Flight(starts_at=NOW - 3600, ends_at=NOW + 86_400)
LOSING: dict[str, dict[str, float]] = {"google": {}, "meta": {"roi_micros": -100_000.0}}
WINNING: dict[str, dict[str, float]] = {"google": {}, "meta": {}}


@pytest.fixture
def fleet(engine: "Engine") -> "Engine":
    """Three that lose on meta (one paused, one stopped), one that wins, one never decided."""

    async def work(broker: Broker) -> None:
        states = {"paused-1": State.PAUSED, "stopped-1": State.STOPPED}
        for name in ("losing-1", "paused-1", "stopped-1", "winning-1", "young-1"):
            state = states.get(name, State.ACTIVE)
            await put(broker, campaign(name, state=state, flight=FLIGHT))
            if name != "young-1":
                bids = WINNING if name == "winning-1" else LOSING
                await decided(broker, name, bids, at=NOW, settled_micros=12_000_000)

    engine.with_broker(work)
    return engine


def states(engine: "Engine") -> dict[str, str]:
    rows = json.loads(engine("list", "--json").out)
    return {row["definition"]["id"]: row["state"] for row in rows}


WHERE = "platform=meta and roi<0"


def test_the_choice_is_counted_and_shown_and_nothing_is_done(fleet: "Engine") -> None:
    before = states(fleet)
    code, out, err = fleet("pause", "--where", WHERE, "--dry-run")
    assert (code, out) == (0, "")
    lines = err.splitlines()
    assert lines[0] == (
        "3 campaigns of 5 fit, 1 would be paused; 1 is already; 1 cannot be, from where in life "
        "they are; 1 not chosen, as what is asked is not known of them"
    )
    assert lines[1] == (
        "  losing-1  active  spent 12.00 of 100.00 USD  meta bid 0.50 roi -0.10 "
        "(and 1 other platforms)"
    )
    assert lines[2] == "a campaign is paused on all its platforms: 1 are on others too"
    assert states(fleet) == before
    rows = json.loads(fleet("pause", "--where", WHERE, "--dry-run", "--json").out)
    assert rows == [
        {"campaign": "losing-1", "was": "active", "platforms": ["meta"], "action": "pause"}
    ]


@pytest.mark.parametrize(
    ("where", "slip"),
    [
        ("platform=mta", "mta"),
        ("platform!=mta", "mta"),
        ("roi<0 and platforms in (google, goggle)", "goggle"),
        ("not best=meto", "meto"),
    ],
)
def test_a_slip_of_the_pen_in_a_platform_chooses_nobody(
    fleet: "Engine", where: str, slip: str
) -> None:
    before = states(fleet)
    for command in (["pause", "--yes"], ["list"]):
        code, out, err = fleet(*command, "--where", where)
        assert (code, out) == (2, "")
        assert "one of google, meta (did you mean " in err
        assert err.rstrip().splitlines()[-1].index("^") - 2 == where.index(slip)
    assert states(fleet) == before


def test_a_platform_that_nobody_is_on_may_be_asked_for(fleet: "Engine") -> None:
    assert fleet("list", "--where", "platform=tiktok").code == 0
    assert "0 campaigns of 5 fit" in fleet("pause", "--where", "platform=tiktok", "--yes").err


def test_with_yes_just_the_chosen_are_moved(fleet: "Engine") -> None:
    code, out, _ = fleet("pause", "--where", WHERE, "--yes", "--note", "meta loses")
    assert (code, out) == (0, "1 of 1 campaign paused\n")
    assert states(fleet) == {
        "losing-1": "paused",
        "paused-1": "paused",
        "stopped-1": "stopped",
        "winning-1": "active",
        "young-1": "active",
    }
    assert "meta loses" in fleet("show", "losing-1").out
    code, out, _ = fleet("resume", "--where", "state=paused", "--yes", "--json")
    assert sorted(row["campaign"] for row in json.loads(out)) == ["losing-1", "paused-1"]
    assert states(fleet)["paused-1"] == "active"


def test_without_a_terminal_nobody_is_asked_and_nothing_is_done(fleet: "Engine") -> None:
    code, _, err = fleet("stop", "--where", "state=active")
    assert code == 2
    assert "add --yes" in err
    assert states(fleet)["losing-1"] == "active"


def test_a_no_does_nothing(fleet: "Engine", answer: Callable[..., None]) -> None:
    answer("n\n")
    code, _, err = fleet("stop", "--where", WHERE)
    assert code == 1
    assert "Stop 2 campaigns for good? [y/N]" in err
    assert err.endswith("nothing was stopped\n")
    assert states(fleet)["losing-1"] == "active"


def test_a_yes_does_it(fleet: "Engine", answer: Callable[..., None]) -> None:
    answer("y\n")
    assert fleet("stop", "--where", WHERE).out == "2 of 2 campaigns stopped\n"
    assert states(fleet)["losing-1"] == states(fleet)["paused-1"] == "stopped"


def test_a_choice_that_changed_while_it_was_looked_at_is_not_carried_out(
    fleet: "Engine", answer: Callable[..., None]
) -> None:
    async def work(broker: Broker) -> None:
        for name in ("new-1", "new-2"):
            await put(broker, campaign(name, flight=FLIGHT))

    # On a loop of its own, in a thread: the command is between two connections, and waits.
    answer("y\n", lambda: fleet.with_broker(work))
    code, _, err = fleet("pause", "--where", "state=active")
    assert code == 1
    assert "from 3 campaigns to 5: nothing was paused" in err
    assert set(states(fleet).values()) == {"active", "paused", "stopped"}
    assert states(fleet)["losing-1"] == "active"


def test_nobody_is_moved_who_was_not_agreed_to(
    fleet: "Engine", answer: Callable[..., None]
) -> None:
    async def work(broker: Broker) -> None:
        await put(broker, campaign("new-1", flight=FLIGHT))

    answer("y\n", lambda: fleet.with_broker(work))
    assert fleet("pause", "--where", "state=active").code == 0  # one more is no other choice
    assert states(fleet)["losing-1"] == "paused"
    assert states(fleet)["new-1"] == "active"


def test_a_script_says_how_many_it_expects(fleet: "Engine") -> None:
    code, _, err = fleet("pause", "--where", "state=active", "--yes", "--expect", "2")
    assert code == 1
    assert "2 campaigns as expected, found 3: nothing was paused" in err
    assert states(fleet)["losing-1"] == "active"
    assert fleet("pause", "--where", "state=active", "--yes", "--expect", "3").code == 0


def test_an_expression_that_fits_nobody_is_no_failure(fleet: "Engine") -> None:
    code, out, err = fleet("pause", "--where", "id=nobody", "--yes")
    assert (code, out) == (0, "")
    assert err == "0 campaigns of 5 fit, 0 can be paused\n"


def test_a_mistake_is_pointed_at_before_there_is_a_connection(engine: "Engine") -> None:
    code, out, err = engine("pause", "--where", "rio < 0", "--nats", "nats://127.0.0.1:1")
    assert (code, out) == (2, "")
    assert err == "engine: --where: a field (did you mean roi?), found 'rio'\n  rio < 0\n  ^\n"
    assert engine("pause", "a", "--where", "roi<0").err.endswith("ids or --where, found both\n")


def test_the_list_takes_an_expression(fleet: "Engine") -> None:
    code, out, err = fleet("list", "--where", WHERE)
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:]] == ["losing-1", "paused-1",
                                                                  "stopped-1"]  # fmt: skip
    assert err == "1 not listed, as what is asked is not known of them\n"


def test_ids_that_nobody_has_come_with_the_nearest(fleet: "Engine") -> None:
    assert "did you mean losing-1?" in fleet("pause", "lossing-1").err
    assert "did you mean losing-1?" in fleet("show", "losing1").err


def test_a_dry_run_of_names_moves_nothing(fleet: "Engine") -> None:
    assert fleet("pause", "losing-1", "--dry-run").out == "losing-1: active → would be paused\n"
    assert states(fleet)["losing-1"] == "active"
