"""What each role may do on the broker: the one place it is written down.

`rights_of` follows from what the code sends. `messaging.accounts` writes the server's configuration
from it, `messaging.granted` compares it at a start with what the server says was granted, and
tests/fleet/test_security.py tries each refusal on a real server.

Reading a stream is asking its API and hearing the answers in an inbox of one's own. Inboxes begin
with the user's name: no user hears the answers to another.
"""

from enum import StrEnum
from typing import NamedTuple

from engine.messaging import subjects

__all__ = ["DISCONNECTED", "INFO", "STREAMS_READ", "USER_INFO", "Rights", "Role", "rights_of"]

INFO = "$JS.API.INFO"
USER_INFO = "$SYS.REQ.USER.INFO"
"""Asked for what the server grants the asker."""
DISCONNECTED = "$SYS.ACCOUNT.ENGINE.DISCONNECT"
"""Tells workers of a connection that has ended, long before its heartbeats are missed."""


class Role(StrEnum):
    """Who connects."""

    WORKER = "worker"  # decides: appends to the chains
    GATEWAY = "gateway"  # reports what platforms sold, obeys decisions; the market is one
    PUBLISHER = "publisher"  # writes campaigns, and orders changes to be rolled back
    DASHBOARD = "dashboard"  # reads everything and writes nothing
    OPERATOR = "operator"  # makes streams, and sends dead letters again


class Rights(NamedTuple):
    """Subjects that may be published to and subscribed to; wildcards as the server has them."""

    publish: tuple[str, ...]
    subscribe: tuple[str, ...]


_METRICS, _DECISIONS = subjects.metrics_subject("*"), subjects.decisions_subject("*")
_CAMPAIGNS = subjects.campaign_subject("*", "*")
_CONTROLS = subjects.control_subject("*", "*.*")  # shares of accounts, and the kill switch
_BEATS = subjects.heartbeat_subject("*")
_DEAD = subjects.dead_subject(">")
_CHANGES, _ORDERS = subjects.changes_subject("*", "*"), subjects.orders_subject("*", "*")
_BREAKERS, _REPORTED = "engine.breaker.>", subjects.reported_subject("*", "*")
_GATEWAYS = subjects.gateway_subject("*")

STREAMS_READ: dict[Role, tuple[str, ...]] = {
    Role.WORKER: (
        subjects.METRICS_STREAM,
        subjects.DECISIONS_STREAM,
        subjects.CAMPAIGNS_STREAM,
        subjects.STATE_STREAM,
    ),
    Role.GATEWAY: (
        subjects.METRICS_STREAM,  # recalls what it sold before it was started anew
        subjects.DECISIONS_STREAM,
        subjects.CAMPAIGNS_STREAM,
        subjects.CHANGES_STREAM,
        subjects.REPORTED_STREAM,
    ),
    Role.PUBLISHER: (subjects.CAMPAIGNS_STREAM, subjects.CHANGES_STREAM),
    Role.DASHBOARD: (
        subjects.METRICS_STREAM,
        subjects.DECISIONS_STREAM,
        subjects.CAMPAIGNS_STREAM,
        subjects.DEAD_STREAM,
        subjects.CHANGES_STREAM,
    ),
    Role.OPERATOR: (
        subjects.METRICS_STREAM,
        subjects.DECISIONS_STREAM,
        subjects.CAMPAIGNS_STREAM,
        subjects.STATE_STREAM,
        subjects.DEAD_STREAM,
        subjects.CHANGES_STREAM,
        subjects.REPORTED_STREAM,
    ),
}

# A worker writes campaigns too: their state, when a flight begins or ends or a budget is spent.
_WRITES: dict[Role, tuple[str, ...]] = {
    Role.WORKER: (_DECISIONS, subjects.state_subject(">"), _CAMPAIGNS, _DEAD, _BEATS),
    Role.GATEWAY: (_METRICS, _DEAD, _CHANGES, _BREAKERS, _REPORTED, _GATEWAYS),
    Role.PUBLISHER: (_CAMPAIGNS, _CONTROLS, _ORDERS),
    Role.DASHBOARD: (),
    # Streams, consumers and backups are $JS's. Not the chains: nobody but a worker appends.
    Role.OPERATOR: ("$JS.>", _METRICS, _CAMPAIGNS, _CONTROLS, _ORDERS, _DEAD),
}

_HEARS: dict[Role, tuple[str, ...]] = {
    Role.WORKER: (_BEATS,),
    Role.GATEWAY: (_GATEWAYS,),  # whether another one lives
    Role.PUBLISHER: (),
    Role.DASHBOARD: (_BEATS, _GATEWAYS),
    Role.OPERATOR: (_BEATS, _GATEWAYS),
}


def rights_of(role: Role, *, user: str) -> Rights:
    """Return what `user` needs in order to play `role`."""
    inbox = f"_INBOX.{user}.>"
    asks = [INFO, USER_INFO, inbox]  # a client sends to itself to know that the server has read
    for stream in STREAMS_READ[role]:
        asks += _reading(stream)
    return Rights(
        publish=tuple(dict.fromkeys((*_WRITES[role], *asks))),
        subscribe=(*_HEARS[role], inbox),
    )


def _reading(stream: str) -> list[str]:
    """Return the subjects of the API by which a stream is read, and nothing in it changed."""
    return [
        f"$JS.API.STREAM.INFO.{stream}",
        f"$JS.API.STREAM.MSG.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}",
        f"$JS.API.DIRECT.GET.{stream}.>",
        f"$JS.API.CONSUMER.CREATE.{stream}.*",
        f"$JS.API.CONSUMER.DELETE.{stream}.*",
        f"$JS.API.CONSUMER.MSG.NEXT.{stream}.*",
    ]
