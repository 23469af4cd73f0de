"""The streams the engine needs, and how they come to be.

A stream that is missing is created. One that exists keeps its limits (an operator may have sized
them for the machine); settings the engine's correctness rests on are put right where the server
allows, and otherwise the start is refused in one line. Nothing is ever deleted.
"""

from collections.abc import Collection, Sequence
from typing import Any

import msgspec
import structlog

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import subjects, wire
from engine.messaging.link import Link, RefusedError, UnansweredError
from engine.messaging.ports import StreamSize

__all__ = [
    "MAX_CHUNK",
    "MAX_ENTRY",
    "MAX_FRAME",
    "MAX_RECORD",
    "METRICS_KEPT_S",
    "check",
    "differing",
    "provision",
    "sizes",
    "wanted_streams",
]

# The most bytes of a message's body; the server counts headers too, hence the room above.
MAX_FRAME = 256 * 1024
MAX_ENTRY = 64 * 1024  # a campaign
MAX_RECORD = 1_000_000  # a decision record, under the server's default max_payload of 1 MiB
MAX_CHUNK = 512 * 1024  # a snapshot larger than this is stored in pieces
_HEADERS = 4096

METRICS_KEPT_S = 7200
"""How long frames are kept: what was decided over them can be decided again for as long."""

_MIB = 1024 * 1024
_SECOND = 1_000_000_000  # durations on the wire are nanoseconds
_HOUR = 3600 * _SECOND

# Another value of these makes it another stream: the server would refuse the change, or the
# engine could not trust what is in it.
_FIXED = ("subjects", "retention", "storage", "deny_delete", "deny_purge")
# The engine relies on these, and the server lets them be changed.
_RELIED_ON = (
    *("discard", "allow_direct", "allow_atomic", "max_msgs_per_subject", "duplicate_window"),
    "compression",
)
# Where an acknowledged write must be on the disk.
_SYNCED = (
    subjects.DECISIONS_STREAM,
    subjects.CAMPAIGNS_STREAM,
    subjects.CHANGES_STREAM,
    subjects.REPORTED_STREAM,
)

_log = structlog.get_logger(__name__)


def wanted_streams(replicas: int) -> list[dict[str, Any]]:
    """Return the configuration of each stream, as the API takes it.

    `persist_mode: async` lets metrics, snapshots and dead letters go unsynced beside decisions
    that are synced one by one; the server allows it on one replica only.
    """
    base: dict[str, Any] = {
        "retention": "limits",
        "storage": "file",
        "discard": "old",
        "num_replicas": replicas,
        "allow_direct": True,
        "duplicate_window": 120 * _SECOND,
        # Replicas of a stream with s2 did not survive kill -9 (docs/decisions/0006).
        "compression": "none",
    }
    unsynced = {"persist_mode": "async"} if replicas == 1 else {}
    return [
        base
        | unsynced
        | {
            "name": subjects.METRICS_STREAM,
            "description": "frames of metric samples, by partition",
            "subjects": [subjects.metrics_subject("*")],
            "max_age": METRICS_KEPT_S * _SECOND,
            "max_bytes": 2048 * _MIB,
            "max_msg_size": MAX_FRAME + _HEADERS,
        },
        base
        | {
            "name": subjects.DECISIONS_STREAM,
            "description": "the decision chain of each partition, appended by compare-and-swap",
            "subjects": [subjects.decisions_subject("*")],
            "max_age": 7 * 24 * _HOUR,
            "max_bytes": 2048 * _MIB,
            "deny_delete": True,
            "deny_purge": True,
            "allow_atomic": True,
        },
        base
        | {
            "name": subjects.CAMPAIGNS_STREAM,
            "description": "campaign definitions and states: a key-value bucket",
            "subjects": [f"$KV.{subjects.CAMPAIGNS_BUCKET}.>"],
            "max_msgs_per_subject": 8,
            "max_msg_size": MAX_ENTRY + _HEADERS,
            "max_bytes": 1024 * _MIB,
            # What `nats kv` expects of a bucket; the engine itself never deletes an entry.
            "discard": "new",
            "deny_delete": True,
            "allow_atomic": True,
            "allow_rollup_hdrs": True,
        },
        base
        | unsynced
        | {
            "name": subjects.STATE_STREAM,
            "description": "snapshots of books, the newest few of each partition: a cache",
            "subjects": [subjects.state_subject(">")],
            "max_msgs_per_subject": 3,
            "max_bytes": 1024 * _MIB,
        },
        base
        | unsynced
        | {
            "name": subjects.DEAD_STREAM,
            "description": "what could not be read, with its origin and the reason",
            "subjects": [subjects.dead_subject(">")],
            "max_age": 7 * 24 * _HOUR,
            "max_bytes": 256 * _MIB,
        },
        base
        | {
            "name": subjects.CHANGES_STREAM,
            "description": "what gateways changed on ad platforms, and why; breakers and orders",
            "subjects": [
                subjects.changes_subject("*", "*"),
                subjects.orders_subject("*", "*"),
                "engine.breaker.>",
            ],
            "max_age": 90 * 24 * _HOUR,
            "max_bytes": 1024 * _MIB,
            "deny_delete": True,
            "deny_purge": True,
            "compression": "s2",
        },
        base
        | {
            "name": subjects.REPORTED_STREAM,
            "description": "how far the reports of each ad account have become samples",
            "subjects": [subjects.reported_subject("*", "*")],
            "max_msgs_per_subject": 3,
            "max_bytes": 256 * _MIB,
            "compression": "s2",
        },
    ]


async def provision(link: Link, *, clock: Clock, replicas: int) -> None:
    """Create what is missing and check what is there.

    Raises:
        BrokerError: a stream exists with settings the engine cannot work with.
        UnansweredError: the broker stopped answering.
    """
    for wanted in wanted_streams(replicas):
        await _provide(link, wanted, clock=clock)


async def check(link: Link, *, streams: Collection[str]) -> None:
    """Check that streams are there, for a user who may not make them.

    Raises:
        BrokerError: one is missing, or has settings the engine cannot work with.
        UnansweredError: the broker stopped answering.
    """
    missing = []
    for wanted in wanted_streams(1):
        name = wanted["name"]
        if name not in streams:
            continue
        found = await _config(link, name)
        if found is None:
            missing.append(name)
        elif changed := _changes(name, wanted=wanted, found=found):
            wrong = ", ".join(f"{field} {_shown(found.get(field))}" for field in changed)
            raise BrokerError(f"stream {name} has {wrong}: `engine provision` puts that right")
    if missing:
        names = ", ".join(missing)
        raise BrokerError(f"no stream {names}: `engine provision` makes it, as an operator")


async def sizes(link: Link, *, streams: Sequence[str]) -> list[StreamSize]:
    """Return how much streams hold; one that is missing is left out.

    Raises:
        BrokerError: the broker is away, or does not permit it.
    """
    found = []
    for name in streams:
        info = await _info(link, name)
        if info is None:
            continue
        max_bytes, max_age = info.config.get("max_bytes", -1), info.config.get("max_age", 0)
        found.append(
            StreamSize(
                name=name,
                messages=info.state.messages,
                bytes=info.state.bytes,
                first_sequence=info.state.first_seq,
                last_sequence=info.state.last_seq,
                max_bytes=max_bytes if max_bytes > 0 else None,
                max_age_s=max_age / _SECOND if max_age > 0 else None,
            )
        )
    return found


async def _provide(link: Link, wanted: dict[str, Any], *, clock: Clock) -> None:
    name = wanted["name"]
    tries = 0
    while True:
        found = await _config(link, name)
        try:
            if found is None:
                await _ask(link, f"$JS.API.STREAM.CREATE.{name}", wanted)
                _log.info("stream_created", stream=name, replicas=wanted["num_replicas"])
                return
            changed = _changes(name, wanted=wanted, found=found)
            if changed:
                await _ask(link, f"$JS.API.STREAM.UPDATE.{name}", found | changed)
                _log.info("stream_updated", stream=name, changed=changed)
            return
        except RefusedError as error:
            # While two make one stream, the server counts its storage twice, and may refuse both.
            if error.code not in (wire.STREAM_EXISTS, wire.NO_STORAGE) or tries > 3:
                raise
        except UnansweredError:
            # Several nodes provisioning one new cluster at once may meet a stream half made.
            if tries > 3:
                raise
        tries += 1
        await clock.sleep(0.1 * tries)


async def _config(link: Link, name: str) -> dict[str, Any] | None:
    info = await _info(link, name)
    return None if info is None else info.config


async def _info(link: Link, name: str) -> wire.StreamInfo | None:
    try:
        delivery = await link.request(f"$JS.API.STREAM.INFO.{name}", timeout_s=5)
        return wire.answer(f"stream {name}", delivery, wire.StreamInfo)
    except RefusedError as error:
        if error.code == wire.STREAM_NOT_FOUND:
            return None
        raise


async def _ask(link: Link, subject: str, config: dict[str, Any]) -> None:
    delivery = await link.request(subject, msgspec.json.encode(config), timeout_s=5)
    wire.answer(f"stream {config['name']}", delivery, wire.StreamInfo)


def _changes(name: str, *, wanted: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    for field in _FIXED:
        want, have = wanted.get(field), found.get(field)
        if _differ(want, have):
            raise BrokerError(
                f"stream {name} exists with {field} {_shown(have)}, wanted {_shown(want)}: "
                "move it out of the way (nothing is deleted here) and start again"
            )
    if found.get("persist_mode") == "async" and name in _SYNCED:
        raise BrokerError(
            f"stream {name} exists with persist_mode async: an acknowledged write may be lost with "
            "the machine's power; move it out of the way and start again"
        )
    return {
        field: wanted.get(field, found.get(field))
        for field in _RELIED_ON
        if field in wanted and _differ(wanted[field], found.get(field))
    }


def differing(wanted: dict[str, Any], found: dict[str, Any]) -> list[str]:
    """Return the settings the engine rests on in which a stream differs, in words."""
    fields = [*_FIXED, *(field for field in _RELIED_ON if field in wanted)]
    return [
        f"{field} {_shown(found.get(field))}, wanted {_shown(wanted.get(field))}"
        for field in fields
        if _differ(wanted.get(field), found.get(field))
    ]


def _differ(want: object, have: object) -> bool:
    """Compare settings; the server leaves out, or spells out, what has its default."""
    defaults = (None, False, "", "default", "none")
    return want != have and not (want in defaults and have in defaults)


def _shown(value: object) -> str:
    return "unset" if value is None else msgspec.json.encode(value).decode()
