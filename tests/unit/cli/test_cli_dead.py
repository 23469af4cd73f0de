"""`engine dead`: what is listed, what is shown, and what is sent again, once."""

import json
from typing import TYPE_CHECKING

from engine.core.frames import decode_frame
from engine.domain.codec import encode_campaign
from engine.messaging import subjects
from engine.messaging.ports import Broker
from support.definitions import START, campaign, frame, report
from support.one_partition import NAME, P

if TYPE_CHECKING:
    from .conftest import Engine

METRICS, ENTRIES = subjects.METRICS_STREAM, subjects.CAMPAIGNS_STREAM


def bury(engine: "Engine", origin: str, payload: bytes, reason: str = "sequence 1: odd") -> None:
    async def work(broker: Broker) -> None:
        broker.dead_letters.bury(origin, reason, payload)
        await broker.dead_letters.drain()  # type: ignore[attr-defined]  # of both, for tests

    engine.with_broker(work)


def stored(engine: "Engine", stream: str) -> list[bytes]:
    return [entry.delivery.payload for entry in engine.server.streams[stream].entries.values()]


def a_frame() -> bytes:
    return frame(P, [report(NAME, "google", at=START, spend_micros=2_000_000)], sequence=1)


def test_letters_are_listed_newest_first_and_shown_whole(engine: "Engine") -> None:
    bury(engine, f"engine.metrics.{P}", b"no frame", "sequence 7: magic")
    bury(engine, "feed", bytes(20), "a comma")
    code, out, _ = engine("dead", "list")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()] == ["2", "1"]
    assert [row["sequence"] for row in json.loads(engine("dead", "list", "--json").out)] == [2, 1]
    assert len(engine("dead", "list", "--origin", "engine.metrics").out.splitlines()) == 1
    assert engine("dead", "list", "-n", "1").err == "1 of 2 dead letters; --limit N shows more\n"
    code, out, _ = engine("dead", "show", "1")
    assert code == 0
    assert "reason   sequence 7: magic\n" in out
    assert "6e 6f 20 66 72 61 6d 65" in out
    assert out.endswith("  no frame\n")
    assert json.loads(engine("dead", "show", "1", "--json").out)["payload"] == "bm8gZnJhbWU="
    assert engine("dead", "show", "9").code == 1


def test_no_letters_are_no_failure(engine: "Engine") -> None:
    assert engine("dead", "list") == (0, "", "no dead letters\n")
    assert engine("dead", "list", "--json").out == "[]\n"
    assert engine("dead", "retry", "--all") == (0, "", "no dead letters\n")
    assert engine("dead", "retry", "--all", "--json").out == "[]\n"


def test_a_frame_is_sent_again_once(engine: "Engine") -> None:
    bury(engine, f"engine.metrics.{P}", a_frame())
    assert engine("dead", "retry", "1", "--dry-run").out == "       1  would be retried\n"
    assert stored(engine, METRICS) == []
    assert engine("dead", "retry", "1") == (0, "       1  retried\n", "")
    assert engine("dead", "retry", "1") == (0, "       1  gone\n", "")
    assert [decode_frame(one).sequence for one in stored(engine, METRICS)] == [1]
    assert engine("dead", "list").err == "no dead letters\n"


def test_a_letter_that_was_sent_and_not_forgotten_is_stored_once(engine: "Engine") -> None:
    bury(engine, f"engine.metrics.{P}", a_frame())
    bury(engine, f"engine.metrics.{P}", a_frame())  # as if the first had been left in a crash
    assert engine("dead", "retry", "--all").code == 0
    assert len(stored(engine, METRICS)) == 1


def test_what_is_still_not_readable_stays(engine: "Engine") -> None:
    bury(engine, f"engine.metrics.{P}", b"no frame")
    bury(engine, f"engine.metrics.{P + 1}", a_frame())
    bury(engine, f"$KV.engine_campaigns.{P}.>", b"nonsense")
    bury(engine, "engine.decisions.3", b"{}")
    code, out, _ = engine("dead", "retry", "--all", "--json")
    assert code == 1
    results = ["unreadable", "unreadable", "unreadable", "not retryable"]
    assert [row["result"] for row in json.loads(out)] == results
    assert stored(engine, METRICS) == stored(engine, ENTRIES) == []
    assert len(json.loads(engine("dead", "list", "--json").out)) == 4


def test_an_entry_is_written_again_over_itself_and_never_over_a_newer_one(
    engine: "Engine",
) -> None:
    payload = encode_campaign(campaign(NAME))

    async def write(broker: Broker) -> None:
        await broker.campaigns.put(NAME, payload, expected=0)

    engine.with_broker(write)
    bury(engine, f"$KV.engine_campaigns.{P}.>", payload, "sequence 1: odd")
    bury(engine, f"$KV.engine_campaigns.{P}.{NAME}", payload, "sequence 1: odd")
    code, out, _ = engine("dead", "retry", "1", "2", "--json")
    assert code == 0
    assert [row["result"] for row in json.loads(out)] == ["retried", "superseded"]
    assert stored(engine, ENTRIES) == [payload, payload]


def test_numbers_or_all_are_wanted_and_not_both(engine: "Engine") -> None:
    assert engine("dead", "retry").err.endswith("numbers of letters or --all, found none\n")
    assert engine("dead", "retry", "1", "--all").err.endswith("found both\n")
    assert engine("dead", "retry", "1", "--all").code == 2
