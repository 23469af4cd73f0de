"""JetStream's API as bytes: requests, answers, error codes and the subjects that carry them.

nats-py's own JetStream layer lacks settings this project needs (persist_mode, allow_atomic) and
costs a task for each message; these are the few messages of the API in use here, as published in
nats-io's `jsm.go` schemas and ADR-22, ADR-31 (direct get) and ADR-37 (pull consumers).
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

import msgspec

from engine.errors import BrokerError
from engine.messaging.link import Delivery, RefusedError, UnansweredError

__all__ = [
    "BATCH_COMMIT",
    "BATCH_ID",
    "BATCH_SEQUENCE",
    "BUSY",
    "CONSUMER_NOT_FOUND",
    "EXPECTED_SEQUENCE",
    "MESSAGE_ID",
    "MESSAGE_NOT_FOUND",
    "NO_STORAGE",
    "STREAM_EXISTS",
    "STREAM_NOT_FOUND",
    "WRITER",
    "WRONG_SEQUENCE",
    "AccountInfo",
    "AckSubject",
    "Api",
    "ApiError",
    "ConsumerInfo",
    "Delivered",
    "Headers",
    "PubAck",
    "Stored",
    "StoredMessage",
    "StreamInfo",
    "StreamState",
    "answer",
    "header_of",
    "headers_of",
    "is_transient",
    "nanoseconds",
    "parse_ack_subject",
    "puback",
    "status_of",
]

BATCH_ID = "Nats-Batch-Id"
BATCH_SEQUENCE = "Nats-Batch-Sequence"
BATCH_COMMIT = "Nats-Batch-Commit"
EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence"
MESSAGE_ID = "Nats-Msg-Id"
WRITER = "Engine-Writer"

WRONG_SEQUENCE = 10071
BUSY = 10164  # the subject has a message in flight on a replicated stream: not a refusal
STREAM_NOT_FOUND = 10059
STREAM_EXISTS = 10058
NO_STORAGE = 10047
CONSUMER_NOT_FOUND = 10014
MESSAGE_NOT_FOUND = 10037

# Refusals that pass: raft without a leader, no quorum, storage catching up, queues full, a message
# of the same id that is being stored this moment (10158, on replicated streams), a batch of which
# some message did not arrive in time (10176).
_TRANSIENT = frozenset({10005, 10008, 10009, 10023, 10158, 10167, 10176, BUSY})


class ApiError(msgspec.Struct, frozen=True):
    """The error part of an answer."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class PubAck(msgspec.Struct, frozen=True):
    """The answer to a publish into a stream."""

    error: ApiError | None = None
    stream: str = ""
    seq: int = 0
    duplicate: bool = False


class Api(msgspec.Struct, frozen=True):
    """The API part of account information."""

    level: int = 0


class AccountInfo(msgspec.Struct, frozen=True):
    """The answer to $JS.API.INFO."""

    api: Api = Api()


class StreamState(msgspec.Struct, frozen=True):
    """The state part of stream information."""

    messages: int = 0
    bytes: int = 0
    first_seq: int = 0
    last_seq: int = 0


class StreamInfo(msgspec.Struct, frozen=True):
    """The answer to $JS.API.STREAM.INFO."""

    config: dict[str, Any]
    state: StreamState = StreamState()


class Delivered(msgspec.Struct, frozen=True):
    """How far a consumer has sent."""

    consumer_seq: int = 0
    stream_seq: int = 0


class ConsumerInfo(msgspec.Struct, frozen=True):
    """The answer to $JS.API.CONSUMER.CREATE and INFO."""

    name: str
    delivered: Delivered = Delivered()
    num_pending: int = 0


class Stored(msgspec.Struct, frozen=True):
    """A message inside the answer to $JS.API.STREAM.MSG.GET; bytes come as base64."""

    subject: str
    seq: int
    time: str = ""  # RFC 3339 with up to nine decimals
    data: bytes = b""
    hdrs: bytes = b""


class StoredMessage(msgspec.Struct, frozen=True):
    """The answer to $JS.API.STREAM.MSG.GET."""

    message: Stored


class AckSubject(NamedTuple):
    """What the reply subject of a consumer's message tells."""

    sequence: int  # in the stream
    delivered: int  # the how-manieth message of this consumer
    stored_at_ns: int  # when the server stored it: with the sequence, what tells messages apart
    pending: int  # matching messages still to come, at the time it was sent


_Answer = TypeVar("_Answer", bound=msgspec.Struct)


class _Refusal(msgspec.Struct, frozen=True):
    error: ApiError | None = None


_refusal_decoder = msgspec.json.Decoder(_Refusal)
_puback_decoder = msgspec.json.Decoder(PubAck)


def parse_ack_subject(reply: str) -> AckSubject | None:
    """Return what `$JS.ACK.…` tells; None for any other subject (that of a status message).

    >>> parse_ack_subject("$JS.ACK.METRICS.reader.1.907.12.1764000000000000000.3")
    AckSubject(sequence=907, delivered=12, stored_at_ns=1764000000000000000, pending=3)
    """
    if not reply.startswith("$JS.ACK."):
        return None
    tokens = reply.split(".")
    # Nine tokens, or eleven and more with a domain and an account in front of the stream.
    at = 5 if len(tokens) == 9 else 7
    told = tokens[at : at + 4]
    digits = "".join(told)  # asked once for all four: this is read for each message
    if len(told) != 4 or "" in told or not (digits.isascii() and digits.isdigit()):
        return None
    return AckSubject(int(told[0]), int(told[1]), int(told[2]), int(told[3]))


def nanoseconds(time: str) -> int:
    """Return a time of the API in nanoseconds since the epoch.

    >>> nanoseconds("2023-11-14T22:13:20.5Z")
    1700000000500000000
    """
    whole, _, fraction = time.removesuffix("Z").partition(".")
    seconds = int(datetime.fromisoformat(f"{whole}+00:00").timestamp())
    return seconds * 1_000_000_000 + int(fraction.ljust(9, "0"))


class Headers(Mapping[str, str]):
    r"""The headers of a message, read from their block when somebody asks for one.

    What the server says of a request comes in the block's first line.

    >>> Headers(b"NATS/1.0 408 Request Timeout\r\nNats-Pending-Messages: 3\r\n\r\n")["Status"]
    '408'
    """

    __slots__ = ("_block", "_read")

    def __init__(self, block: bytes) -> None:
        self._block = block
        self._read: dict[str, str] | None = None

    def __getitem__(self, name: str) -> str:
        if self._read is None and name not in _STATUS and name.encode() not in self._block:
            raise KeyError(name)  # most are asked for what they do not have: nothing need be read
        return self._all()[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._all())

    def __len__(self) -> int:
        return len(self._all())

    def _all(self) -> dict[str, str]:
        if self._read is None:
            self._read = _status_of(self._block) | headers_of(self._block)
        return self._read


_STATUS = ("Status", "Description")  # of the first line, which names neither


def _status_of(block: bytes) -> dict[str, str]:
    line = block.partition(b"\r\n")[0].decode("utf-8", "replace")
    status, _, description = line.removeprefix("NATS/1.0").strip().partition(" ")
    told = {"Status": status, "Description": description.strip()}
    return {name: value for name, value in told.items() if value}


def headers_of(block: bytes) -> dict[str, str]:
    r"""Return all headers of a raw block, by the names they came under.

    >>> headers_of(b"NATS/1.0\r\nEngine-Part: 1/2\r\n\r\n")
    {'Engine-Part': '1/2'}
    """
    lines = (line.partition(":") for line in block.decode("utf-8", "replace").split("\r\n"))
    return {key: value.strip() for key, colon, value in lines if colon}


def header_of(block: bytes, name: str) -> str:
    r"""Return a header from its raw block; "" where there is none.

    >>> header_of(b"NATS/1.0\r\nEngine-Writer: w1\r\n\r\n", "Engine-Writer")
    'w1'
    """
    for line in block.decode("utf-8", "replace").split("\r\n"):
        key, _, value = line.partition(":")
        if key.lower() == name.lower():
            return value.strip()
    return ""


def status_of(delivery: Delivery) -> int:
    """Return the status code of a message without body, 0 for a plain message."""
    headers = delivery.headers
    return int(headers.get("Status", "0")) if headers else 0


def is_transient(error: ApiError) -> bool:
    """Return whether the same request may succeed a little later."""
    return error.code in (429, 503) or error.err_code in _TRANSIENT


def puback(delivery: Delivery) -> PubAck:
    """Return the answer to a publish. Raises UnansweredError where it is none."""
    try:
        return _puback_decoder.decode(delivery.payload)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise UnansweredError(f"not an acknowledgement: {delivery.payload[:80]!r}") from error


def answer(what: str, delivery: Delivery, wanted: type[_Answer]) -> _Answer:
    """Return the answer to an API request.

    Raises:
        UnansweredError: the broker could not answer now.
        RefusedError: it refused; `what` is what was asked.
        BrokerError: the answer is not understood.
    """
    try:
        error = _refusal_decoder.decode(delivery.payload).error
        if error is None:
            return msgspec.json.decode(delivery.payload, type=wanted)
    except (msgspec.MsgspecError, UnicodeDecodeError) as failure:
        raise BrokerError(f"{what}: answer not understood: {failure}") from failure
    if is_transient(error):
        raise UnansweredError(f"{what}: {error.description} ({error.err_code})")
    raise RefusedError(what, error.err_code, error.description)
