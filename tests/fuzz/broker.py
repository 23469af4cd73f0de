"""What the broker says and keeps: answers of its API, subjects of messages, pieces of snapshots."""

import asyncio
import atexit
from collections.abc import Coroutine, Sequence
from typing import Any, TypeVar

from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.link import Delivery
from engine.messaging.parts import part_of
from engine.messaging.ports import Message
from engine.messaging.snapshots import LogSnapshots
from fuzz.mutate import damaged_text
from fuzz.promises import Target, holds, json_tree, packed_tree

__all__ = ["TARGETS"]

_T = TypeVar("_T")
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)

P = 25


class _Log:
    """A log that holds the chunks of one snapshot."""

    def __init__(self, chunks: Sequence[bytes]) -> None:
        self.stored: list[bytes] = list(chunks)

    async def publish(self, subject: str, payload: bytes) -> int:
        self.stored.append(payload)
        return len(self.stored)

    async def get_sequence(self, sequence: int) -> Message | None:
        is_there = 1 <= sequence <= len(self.stored)
        return Message(P, sequence, self.stored[sequence - 1]) if is_there else None


def _manifests() -> list[bytes]:
    log = _Log([])
    for payload in (b"small", b"x" * 600_000):
        _run(LogSnapshots(log=log).put(P, payload))  # type: ignore[arg-type]
    return [one for one in log.stored if len(one) < 10_000]


def _check_manifest(payload: bytes) -> str:
    log = _Log([b"x" * 524_288, b"x" * 75_712])
    found = _run(LogSnapshots(log=log)._whole(payload))  # type: ignore[arg-type]
    return "nothing" if found is None else "whole"


def _run(doing: Coroutine[Any, Any, _T]) -> _T:
    return _LOOP.run_until_complete(doing)


_ANSWERS = [
    b'{"type":"io.nats.jetstream.api.v1.stream_info_response","config":{"name":"S","subjects":["a"]},'
    b'"state":{"messages":3,"first_seq":1,"last_seq":3}}',
    b'{"name":"c","num_pending":4,"delivered":{"consumer_seq":1,"stream_seq":2}}',
    b'{"message":{"subject":"a","seq":7,"data":"AAEC","hdrs":"TkFUUy8xLjANCkE6IGINCg0K","time":"2026"}}',
    b'{"error":{"code":404,"err_code":10037,"description":"no message found"}}',
    b'{"stream":"S","seq":7,"duplicate":true}',
    b'{"api":{"level":2}}',
]
_ACK = "$JS.ACK.S.c.1.7.3.1700000000000000000.0"


def _check_answer(payload: bytes) -> str:
    said = []
    delivery = Delivery("_INBOX.x", "", None, payload)
    for wanted in (wire.StreamInfo, wire.ConsumerInfo, wire.StoredMessage, wire.AccountInfo):
        try:
            found = wire.answer("fuzz", delivery, wanted)
        except BrokerError as error:
            said.append(type(error).__name__)
        else:
            said.append("read")
            if isinstance(found, wire.StoredMessage):
                wire.header_of(found.message.hdrs, "A")
    try:
        said.append("refused" if wire.puback(delivery).error else "stored")
    except BrokerError as error:
        said.append(type(error).__name__)
    return " ".join(said)


def _check_ack_subject(payload: bytes) -> str:
    subject = payload.decode(errors="replace")
    found = wire.parse_ack_subject(subject)
    number, count = part_of({"Engine-Part": subject})
    holds(number >= 0 and count >= 0, "a part with a number below nothing")
    return "none" if found is None else "found"


TARGETS = (
    Target("manifest", _manifests(), packed_tree, _check_manifest),
    Target("answer", _ANSWERS, json_tree, _check_answer),
    Target("ack_subject", [_ACK.encode(), b"2/3"], damaged_text, _check_ack_subject),
)
