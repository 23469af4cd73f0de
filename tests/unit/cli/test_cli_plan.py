"""`engine plan` and `engine apply`: a diff by field, then the whole campaign or nothing of it."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from engine.campaigns.repository import Repository
from engine.clock import SystemClock
from engine.domain.lifecycle import State
from engine.messaging.ports import Broker

if TYPE_CHECKING:
    from .conftest import Engine


def row(campaign: str, /, **fields: Any) -> dict[str, Any]:  # noqa: ANN401
    usual: dict[str, Any] = {
        "id": campaign,
        "budget": 100,
        "currency": "EUR",
        "flight": {"starts_at": "2026-01-01", "ends_at": "2099-01-01"},
        "conversion_value": 20,
        "platforms": {"google": {}, "meta": {"max_bid": 2}},
    }
    return usual | fields


@pytest.fixture
def files(tmp_path: Path) -> Callable[..., Path]:
    def write(*rows: dict[str, Any]) -> Path:
        path = tmp_path / "campaigns.json"
        path.write_text(json.dumps(list(rows)))
        return path

    return write


def test_a_plan_says_field_by_field_what_would_change(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    engine("publish", files(row("a"), row("b"), row("gone")))
    changed = row(
        "b", budget=120.5, platforms={"google": {}, "meta": {"max_bid": 3}}, target_cpa=15
    )
    code, out, err = engine("plan", files(row("a"), changed, row("c", name="New")))
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0] == "+ c  (active)"
    assert "    name  New" in lines
    assert "    budget  100.00" in lines
    assert lines[lines.index("~ b") + 1 :] == [
        "    budget                  100.00 → 120.50",
        "    platforms.meta.max_bid  2.00 → 3.00",
        "    target_cpa              none → 15.00",
        "plan: 1 to create, 1 to change, 1 unchanged, 0 refused; 1 live in none of these files",
    ]
    assert json.loads(engine("list", "--json").out)[1]["definition"]["budget_micros"] == 100_000_000
    listed = engine("plan", files(row("a")), "--missing").out
    assert "? b  live, and in none of these files\n? gone  live" in listed


def test_a_plan_as_json_has_every_field_before_and_after(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    engine("publish", files(row("a")))
    found = json.loads(engine("plan", files(row("a", budget=90), row("b")), "--json").out)
    assert found["change"] == [
        {
            "campaign": "a",
            "state": "active",
            "revision": 1,
            "fields": [{"field": "budget", "before": "100.00", "after": "90.00"}],
        }
    ]
    assert [one["campaign"] for one in found["create"]] == ["b"]


def test_a_flight_from_now_on_is_no_change_the_second_time(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    path = files(row("a", flight={"starts_at": "now", "ends_at": "+30d"}))
    assert "1 created" in engine("apply", path, "--yes").out
    assert "0 to change, 1 unchanged" in engine("plan", path).out
    flight = {"starts_at": "now", "ends_at": "+31d"}
    lines = engine("plan", files(row("a", flight=flight))).out.splitlines()
    assert [line.split()[0] for line in lines[1:-1]] == ["flight.ends_at"]
    engine("apply", files(row("a", flight=flight)), "--yes")
    assert "0 to change, 1 unchanged" in engine("plan", files(row("a", flight=flight))).out


def test_a_plan_names_both_campaigns_that_are_linked_to_one_entity(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    link = {"google": {"ad_account": "1234567890", "entity": "adGroups/55"}}
    engine("apply", files(row("a", platforms=link)), "--yes")
    path = files(row("b", platforms=link), row("c"))
    for command in (["plan"], ["apply", "--dry-run"], ["publish", "--dry-run"]):
        code, _, err = engine(*command, path)
        assert code == 1
        assert "b: platforms.google.entity: wanted an entity that no other campaign steers" in err
        assert "adGroups/55 of 1234567890, linked to 'a' too (published already)" in err


def test_the_detailed_exit_code_is_terraforms(engine: "Engine", files: Callable[..., Path]) -> None:
    path = files(row("a"))
    assert engine("plan", path).code == 0
    assert engine("plan", path, "--detailed-exitcode").code == 2
    engine("apply", path, "--yes")
    assert engine("plan", path, "--detailed-exitcode").code == 0
    assert engine("plan", files(row("a", budget=-1)), "--detailed-exitcode").code == 1


def test_apply_shows_the_plan_asks_and_does_it(
    engine: "Engine", files: Callable[..., Path], answer: Callable[..., None]
) -> None:
    path = files(row("a"), row("b"))
    answer("n\n")
    code, out, err = engine("apply", path)
    assert code == 1
    assert "plan: 2 to create" in out
    assert err == "Apply 2 changes? [y/N] nothing was changed\n"
    assert engine("list").err == "no campaigns\n"
    answer("y\n")
    code, out, _ = engine("apply", path, "--note", "launch")
    assert code == 0
    assert out.endswith("2 of 2 applied: 2 created, 0 changed\n")
    assert "launch" in engine("show", "a").out
    code, out, _ = engine("apply", path)  # again: nothing to ask for
    assert code == 0
    assert out == (
        "plan: 0 to create, 0 to change, 2 unchanged, 0 refused; 0 live in none of these files\n"
    )


def test_apply_dry_run_changes_nothing_and_needs_no_terminal(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    assert engine("apply", files(row("a")), "--dry-run").code == 0
    assert engine("list").err == "no campaigns\n"
    code, _, err = engine("apply", files(row("a")))
    assert code == 2
    assert "add --yes" in err


def test_what_somebody_else_changed_since_the_plan_is_left_alone(
    engine: "Engine", files: Callable[..., Path], answer: Callable[..., None]
) -> None:
    engine("publish", files(row("a"), row("b")))

    async def change(broker: Broker) -> None:
        repository = Repository(table=broker.campaigns, clock=SystemClock(), by="somebody")
        stored = await repository.get("a")
        assert stored is not None
        definition = msgspec.structs.replace(stored.campaign.definition, budget_micros=77_000_000)
        await repository.write(definition, State.ACTIVE, expected=stored.revision)

    answer("y\n", lambda: engine.with_broker(change))
    code, out, err = engine("apply", files(row("a", budget=90), row("b", budget=90)))
    assert code == 1
    assert "wanted a campaign as it was when it was planned, found one changed by somebody" in err
    assert out.endswith("1 of 2 applied: 0 created, 1 changed\n")
    budgets = [
        one["definition"]["budget_micros"] for one in json.loads(engine("list", "--json").out)
    ]
    assert budgets == [77_000_000, 90_000_000]


def test_a_campaign_that_moved_on_in_its_life_is_changed_all_the_same(
    engine: "Engine", files: Callable[..., Path], answer: Callable[..., None]
) -> None:
    engine("publish", files(row("a")))

    async def move(broker: Broker) -> None:
        repository = Repository(table=broker.campaigns, clock=SystemClock(), by="w1")
        await repository.move("a", lambda one: State.PAUSED)

    answer("y\n", lambda: engine.with_broker(move))
    assert engine("apply", files(row("a", budget=90))).code == 0
    stored = json.loads(engine("show", "a", "--json").out)
    assert (stored["definition"]["budget_micros"], stored["state"]) == (90_000_000, "paused")


def test_what_cannot_be_read_is_said_and_the_rest_is_planned(
    engine: "Engine", files: Callable[..., Path]
) -> None:
    code, out, err = engine("plan", files(row("a"), row("b", budgett=3)))
    assert code == 1
    assert "did you mean budget?" in err
    assert "1 to create, 0 to change, 0 unchanged, 1 refused" in out
    assert engine("plan").code == 2
    assert engine("apply").code == 2
