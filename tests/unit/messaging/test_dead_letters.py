"""How dead letters are written down, and what a full queue does."""

import asyncio
from typing import cast

from engine.clock import SystemClock
from engine.messaging.dead import (
    MAX_PAYLOAD,
    QUEUE,
    JetStreamDeadLetters,
    dead_letter,
    letter,
)
from engine.messaging.link import Delivery, Link, RefusedError, UnansweredError


class LinkStub:
    """Answers requests as a script says, and keeps what it was asked."""

    def __init__(self, *faults: Exception) -> None:
        self.faults = list(faults)
        self.asked: list[tuple[str, bytes]] = []
        self.is_connected = True

    async def request(self, subject: str, payload: bytes, **options: object) -> Delivery:
        if self.faults:
            raise self.faults.pop(0)
        self.asked.append((subject, payload))
        return Delivery(subject, "", None, b'{"stream":"ENGINE_DEAD","seq":1}')


def letters_over(link: LinkStub) -> JetStreamDeadLetters:
    return JetStreamDeadLetters(link=cast("Link", link), clock=SystemClock())


def test_an_origin_becomes_a_subject_whatever_it_holds() -> None:
    assert letter("engine.metrics.4", "r", b"").subject == "engine.dead.engine.metrics.4"
    assert letter("my file > *.csv", "r", b"").subject == "engine.dead.my_file____.csv"
    assert letter("..", "r", b"").subject == "engine.dead.unknown"
    assert letter("x" * 1000, "r", b"").subject == "engine.dead." + "x" * 200


def test_headers_are_one_line_and_read_back_whole() -> None:
    reason = "wanted: a\r\nfound: ü, 100 %"
    written = letter("feed", reason, b"p")
    assert all(text.isascii() and "\n" not in text for text in written.headers.values())
    assert dead_letter(7, written.headers, written.payload) == (7, "feed", reason, b"p", 0.0)


def test_a_large_payload_is_cut_and_the_reason_says_so() -> None:
    written = letter("feed", "too long", bytes(MAX_PAYLOAD + 5))
    assert len(written.payload) == MAX_PAYLOAD
    assert dead_letter(1, written.headers, b"").reason.endswith(
        f"(first {MAX_PAYLOAD} of {MAX_PAYLOAD + 5} bytes)"
    )


def test_a_full_queue_gives_up_its_oldest() -> None:
    letters = letters_over(LinkStub())
    for n in range(QUEUE + 3):
        letters.bury("feed", "r", b"%d" % n)
    assert letters.given_up == 3


async def test_a_letter_is_published_again_until_it_is_answered_or_refused() -> None:
    link = LinkStub(UnansweredError("away"), RefusedError("engine.dead.feed", 10054, "too large"))
    letters = letters_over(link)
    letters.bury("feed", "r", b"refused")
    letters.bury("feed", "r", b"kept")
    task = asyncio.ensure_future(letters.run())
    await asyncio.wait_for(letters.drain(), 5)
    task.cancel()
    assert link.asked == [("engine.dead.feed", b"kept")]
    assert letters.given_up == 1
