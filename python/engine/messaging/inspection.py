"""What a broker says of itself and of the engine's streams: for `engine doctor` and the exporter.

Each question is asked for itself and nothing is changed; what is not permitted is said, and the
rest is asked all the same.
"""

from collections.abc import Collection
from datetime import datetime
from typing import Any

import msgspec

from engine.clock import Clock
from engine.errors import BrokerError, EngineError
from engine.messaging import wire
from engine.messaging.granted import Granted
from engine.messaging.link import Link, NobodyAnswersError, RefusedError, UnansweredError
from engine.messaging.permissions import INFO, USER_INFO
from engine.messaging.streams import differing, wanted_streams

__all__ = ["ServerFacts", "StreamFacts", "server_facts", "stream_facts"]


class ServerFacts(msgspec.Struct, frozen=True, kw_only=True):
    """The server, and what it grants whoever asks."""

    api_level: int | None  # of JetStream; None: it does not say
    jetstream: str = ""  # why JetStream does not answer, "" where it does
    user: str = ""
    account: str = ""
    granted: Granted | None = None
    skew_s: float | None = None  # this machine's clock less the server's
    round_trip_s: float | None = None  # the skew is known to half of it


class StreamFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One stream; `problem` says why there is nothing more to say."""

    stream: str
    messages: int = 0
    bytes: int = 0
    max_bytes: int = -1
    replicas: int = 0
    lagging: tuple[str, ...] = ()  # replicas that are behind or away
    leader: str | None = None
    newest_at: float | None = None  # epoch seconds
    differs: tuple[str, ...] = ()  # settings that the engine relies on and that are otherwise
    problem: str = ""


class _Server(msgspec.Struct, frozen=True):
    time: str = ""


class _User(msgspec.Struct, frozen=True):
    server: _Server = _Server()
    data: Granted | None = None


class _Replica(msgspec.Struct, frozen=True):
    name: str = ""
    current: bool = False
    offline: bool = False


class _Cluster(msgspec.Struct, frozen=True):
    leader: str | None = None
    replicas: list[_Replica] = []


class _State(msgspec.Struct, frozen=True):
    messages: int = 0
    bytes: int = 0
    last_ts: str = ""


class _Stream(msgspec.Struct, frozen=True):
    config: dict[str, Any]
    state: _State = _State()
    cluster: _Cluster | None = None


async def server_facts(link: Link, *, clock: Clock) -> ServerFacts:
    """Return what the server says of itself and of who asks."""
    level, why = None, ""
    try:
        account = wire.answer("JetStream", await link.request(INFO), wire.AccountInfo)
        level = account.api.level
    except NobodyAnswersError:
        why = "JetStream is not enabled"
    except (RefusedError, UnansweredError, BrokerError) as error:
        why = str(error)
    asked_at, began = clock.now(), clock.monotonic()
    try:
        delivery = await link.request(USER_INFO)
        found = msgspec.json.decode(delivery.payload, type=_User)
    except (EngineError, msgspec.MsgspecError):
        return ServerFacts(api_level=level, jetstream=why)
    took = clock.monotonic() - began
    at = _time(found.server.time)
    granted = found.data or Granted()
    return ServerFacts(
        api_level=level,
        jetstream=why,
        user=granted.user,
        account=granted.account,
        granted=granted,
        skew_s=None if at is None else asked_at + took / 2 - at,
        round_trip_s=took,
    )


async def stream_facts(link: Link, streams: Collection[str]) -> list[StreamFacts]:
    """Return what there is to say of some of the engine's streams, in the usual order."""
    return [await _one(link, wanted) for wanted in wanted_streams(1) if wanted["name"] in streams]


async def _one(link: Link, wanted: dict[str, Any]) -> StreamFacts:
    name = wanted["name"]
    try:
        delivery = await link.request(f"$JS.API.STREAM.INFO.{name}", timeout_s=2)
        found = wire.answer(f"stream {name}", delivery, _Stream)
    except RefusedError as error:
        missing = error.code == wire.STREAM_NOT_FOUND
        return StreamFacts(stream=name, problem="is not there" if missing else error.description)
    except (UnansweredError, BrokerError) as error:
        return StreamFacts(stream=name, problem=str(error))
    config, cluster = found.config, found.cluster or _Cluster()
    return StreamFacts(
        stream=name,
        messages=found.state.messages,
        bytes=found.state.bytes,
        max_bytes=int(config.get("max_bytes") or -1),
        replicas=int(config.get("num_replicas") or 1),
        lagging=tuple(one.name for one in cluster.replicas if one.offline or not one.current),
        leader=cluster.leader,
        newest_at=_time(found.state.last_ts) if found.state.messages else None,
        differs=tuple(differing(wanted, config)),
    )


def _time(text: str) -> float | None:
    """Return RFC 3339 with nanoseconds as epoch seconds; None for what is none."""
    whole, dot, rest = text.partition(".")
    digits = rest.rstrip("Zz").partition("+")[0][:6] if dot else ""
    try:
        at = datetime.fromisoformat(f"{whole.rstrip('Zz')}+00:00").timestamp()
        return at + (int(digits) / 10 ** len(digits) if digits else 0.0)
    except ValueError:
        return None
