"""What a gateway says of itself every second: core subject `engine.gateway.<name>`, not stored.

The dashboard, `engine top` and the metrics exporter read it; nothing is decided by it.
"""

import msgspec

from engine.errors import MalformedMessageError
from engine.messaging.subjects import gateway_subject

__all__ = [
    "AccountStatus",
    "GatewayStatus",
    "decode_gateway_status",
    "encode_gateway_status",
    "gateway_subject",
]


class AccountStatus(msgspec.Struct, frozen=True, kw_only=True):
    """One ad account of one platform, as its gateway sees it."""

    platform: str
    ad_account: str
    is_live: bool  # False: dry run, nothing is changed
    is_held: bool = True  # False: it cannot be, `last_error` says why
    breaker: str = "closed"  # closed, open, half-open
    breaker_until: float | None = None  # when an open one lets a probe through, epoch seconds
    operations_left: int | None = None  # of today's purse; None: no daily limit
    operations_a_day: int | None = None
    operations_reserved: int = 0  # of what is left, for emergency stops
    rate_per_s: float = 0.0  # of the token bucket, after the platform's hints
    waiting: int = 0  # changes in the queue
    held_back: dict[str, int] = {}  # by reason: dead-band, hold-time, purse, learning, not-ready …
    applied: int = 0  # since the gateway's start, as the next three
    rejected: int = 0
    failed: int = 0
    retried: int = 0
    at_risk_micros_per_h: float = 0.0  # what waiting changes are worth together, an hour
    anomalies: dict[str, int] = {}  # alerts that stand, by kind: zero-spend, cpa-spike, ctr-drop
    improved: int = 0  # changes that were judged since the gateway's start, as the next two
    worse: int = 0
    inconclusive: int = 0
    linked: int = 0  # campaigns whose entity here is known
    unlinked: int = 0  # campaigns whose claim does not hold: another currency, or taken
    refused_here: int = 0  # changes that the last look found wrong, since the gateway's start
    duplicate_sales: int = 0  # claimed by two platforms and counted once, since then
    unknown_sales: float = 0.0  # of the look-back, without an order id: perhaps claimed twice
    report_age_s: float | None = None  # since the newest report came in
    last_error: str = ""
    last_error_at: float | None = None


class GatewayStatus(msgspec.Struct, frozen=True, kw_only=True):
    """A gateway's sign of life."""

    gateway: str
    version: str
    started_at: float
    at: float
    is_halted: bool = False
    draining: bool = False  # it is about to leave: its ad accounts are free soon
    accounts: list[AccountStatus] = []
    v: int = 1


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(GatewayStatus)


def encode_gateway_status(status: GatewayStatus) -> bytes:
    return _encoder.encode(status)


def decode_gateway_status(subject: str, payload: bytes) -> GatewayStatus:
    """Return the status in `payload`. Raises MalformedMessageError."""
    try:
        return _decoder.decode(payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise MalformedMessageError(subject, str(error)) from error
