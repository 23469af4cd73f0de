"""`engine changes` and `engine rollback`, by the journal."""

import json
from typing import TYPE_CHECKING, Any

from engine.messaging.changes import (
    Change,
    Done,
    Intend,
    JournalRecord,
    Settled,
    Take,
    Verdict,
    decode_order,
    encode_journal,
)
from engine.messaging.ports import Broker
from engine.messaging.subjects import changes_subject, orders_subject

if TYPE_CHECKING:
    from .conftest import Engine

SUBJECT = changes_subject("google", "123")
AT = 1_800_000_000


def change(number: int, lever: str, before: float | None, value: float, **fields: Any) -> Change:  # noqa: ANN401
    wanted: dict[str, Any] = {"campaign": "spring", "entity": "adGroups/5", "why": "bid"} | fields
    return Change(id=f"c{number}", lever=lever, before=before, value=value, **wanted)


def keep(engine: "Engine", *batches: tuple[int, Change, str], is_dry_run: bool = False) -> None:
    """Write a journal of batches of one change each: seconds after AT, what became of it."""

    async def work(broker: Broker) -> None:
        head = 0

        async def append(record: type[JournalRecord], at: int, **fields: Any) -> int:  # noqa: ANN401
            nonlocal head
            common: dict[str, Any] = {
                "platform": "google", "ad_account": "123", "previous": head, "epoch": 1,
                "owner": "g1", "at_ms": (AT + at) * 1000,
            }  # fmt: skip
            payload = encode_journal(record(**common, **fields))
            head = await broker.journal.append(SUBJECT, payload, expected=head)
            return head

        await append(Take, 0)
        for at, one, result in batches:
            intend = await append(Intend, at, changes=[one], is_dry_run=is_dry_run)
            if result:
                settled = Settled(
                    id=one.id, result=result, reason="" if result == "applied" else "no"
                )
                await append(Done, at, intend=intend, results=[settled])
        await append(Verdict, 9, change="c1", verdict="worse")

    engine.with_broker(work)


def orders(engine: "Engine") -> list[list[tuple[str, str, float]]]:
    found = []

    async def work(broker: Broker) -> None:
        async for message in broker.journal.read(orders_subject("google", "123")):
            order = decode_order("", message.payload)
            found.append([(one.entity, one.lever, one.value) for one in order.settings])

    engine.with_broker(work)
    return found


def test_changes_say_from_what_to_what_why_and_what_came_of_it(engine: "Engine") -> None:
    keep(
        engine,
        (1, change(1, "bid", 500_000, 800_000, partition=25, sequence=7), "applied"),
        (2, change(2, "serving", None, 0.0, why="halt"), "rejected"),
        (3, change(3, "target-roas", 3.5, 4.0, campaign="other"), ""),
    )
    code, out, _ = engine("changes")
    assert code == 0
    first, second, third = out.splitlines()
    assert "google/123  spring  adGroups/5  bid 0.50 → 0.80  bid (decision 25/7)" in first
    assert first.endswith("applied, worse  [c1]")
    assert "serving ? → off  halt  rejected: no  [c2]" in second
    assert "target-roas 3.5 → 4" in third
    assert "  open  [c3]" in third
    assert len(engine("changes", "--campaign", "other").out.splitlines()) == 1
    assert len(engine("changes", "--result", "applied", "-n", "1").out.splitlines()) == 1
    assert json.loads(engine("changes", "-n", "1", "--json").out)["result"] == "open"
    assert engine("changes", "--result", "odd").code == 2


def test_no_changes_are_no_failure(engine: "Engine") -> None:
    assert engine("changes") == (0, "", "no changes yet\n")


def test_a_rollback_sets_each_lever_to_what_was_before_the_first_of_its_changes(
    engine: "Engine",
) -> None:
    keep(
        engine,
        (1, change(1, "bid", 500_000, 600_000), "applied"),
        (5, change(2, "bid", 600_000, 800_000), "applied"),
        (6, change(3, "bid", 800_000, 900_000), "applied"),
        (7, change(4, "serving", 1.0, 0.0), "rejected"),
        (8, change(5, "daily-budget", None, 9_000_000), "applied"),
    )
    to = "2027-01-15T08:00:02"
    code, out, err = engine("rollback", "--to", to, "--dry-run")
    assert (code, out) == (0, "google/123  spring  adGroups/5  bid 0.90 → 0.60\n")
    assert "daily-budget: nobody knew what was in force before c5" in err
    assert orders(engine) == []
    assert engine("rollback", "--to", to, "--yes").code == 0
    assert orders(engine) == [[("adGroups/5", "bid", 600_000.0)]]
    assert engine("rollback", "--change", "c3", "--yes").code == 0
    assert orders(engine)[1] == [("adGroups/5", "bid", 800_000.0)]
    assert engine("rollback", "--release").code == 0
    assert orders(engine)[2] == []


def test_a_dry_run_has_changed_nothing_that_could_be_set_back(engine: "Engine") -> None:
    keep(engine, (1, change(1, "bid", 500_000, 600_000), "applied"), is_dry_run=True)
    assert engine("rollback", "--to", "2027-01-01", "--yes").err == "nothing to set back\n"


def test_a_rollback_asks_and_says_what_it_does_not_understand(engine: "Engine") -> None:
    keep(engine, (1, change(1, "bid", 500_000, 600_000), "applied"))
    assert engine("rollback", "--to", "1h").code == 2  # no terminal to ask on
    assert "a time such as" in engine("rollback", "--to", "noon", "--yes").err
    assert engine("rollback", "--yes").code == 2
    assert engine("rollback", "--to", "1h", "--change", "c1", "--yes").code == 2
    assert engine("rollback", "--change", "c9", "--yes").code == 1
    assert engine("rollback", "--to", "2027-01-01", "--campaign", "no", "--yes").code == 0
    assert orders(engine) == []
