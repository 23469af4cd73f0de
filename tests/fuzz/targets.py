"""What is fuzzed in Python: good inputs of each kind, how they are damaged, and what must hold.

A check returns what kind of answer came, in words; it raises `BrokenError` where a property does
not hold, and whatever else it raises is a crash.
"""

import asyncio
import atexit
import json
import random
import tempfile
from collections.abc import Callable, Coroutine, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import msgspec

from engine.campaigns.files.reader import read_definitions
from engine.campaigns.samples import FoundSample, read_samples
from engine.core.book import Book
from engine.core.frames import decode_frame, rows_from_samples, spend_micros
from engine.domain.accounts import Account, Halt, Share
from engine.domain.campaign import Campaign, Guardrails
from engine.domain.codec import decode_entry, encode_campaign, encode_control
from engine.domain.ids import partition_of
from engine.domain.lifecycle import State as Life
from engine.domain.money import unit_micros
from engine.errors import BrokerError, MalformedMessageError
from engine.messaging import wire
from engine.messaging.link import Delivery
from engine.messaging.parts import part_of
from engine.messaging.ports import Message
from engine.messaging.records import (
    Columns,
    Decide,
    Heartbeat,
    Keep,
    Release,
    Take,
    decisions_of,
    decode_heartbeat,
    decode_record,
    encode,
)
from engine.messaging.snapshots import LogSnapshots
from engine.worker.recovery import History
from engine.worker.snapshot import decode_snapshot, restored, snapshot_of
from engine.worker.state import State
from fuzz.mutate import damaged_bytes, damaged_text, damaged_tree
from support.definitions import START, campaign, definition, frame, names_in, report

__all__ = ["TARGETS", "BrokenError", "Target"]

_T = TypeVar("_T")
_LOOP = asyncio.new_event_loop()
atexit.register(_LOOP.close)

P = 25  # where spring-shoes is
AT_MS = int(START * 1000)
EXAMPLES = Path(__file__).parents[2] / "examples"

Damage = Callable[[bytes, Sequence[bytes], random.Random], bytes]


class BrokenError(Exception):
    """A property does not hold."""


class Target(NamedTuple):
    """Something that reads bytes which somebody else has written."""

    name: str
    seeds: Sequence[bytes]
    damage: Damage
    check: Callable[[bytes], str]


def holds(is_so: bool, what: str) -> None:
    if not is_so:
        raise BrokenError(what)


def kind(error: object) -> str:
    """Return what an error says, what was found left out: errors of one kind look alike."""
    words = str(error).split(", found")[0].split(" `")[0]
    return " ".join(word for word in words.split()[:12] if not any(map(str.isdigit, word)))


def _packed_tree(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    if chance.randrange(5) == 0:
        return damaged_bytes(seed, others, chance)
    try:
        tree = msgspec.msgpack.decode(seed)
        return msgspec.msgpack.encode(damaged_tree(tree, chance))
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, TypeError):
        return damaged_bytes(seed, others, chance)


def _json_tree(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    if chance.randrange(4) == 0:
        return damaged_text(seed, others, chance)
    try:
        tree = damaged_tree(json.loads(seed), chance)
        return json.dumps(tree, default=lambda found: str(found)).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return damaged_text(seed, others, chance)


# the chain


def _records() -> list[bytes]:
    fields = {
        "partition": P, "previous": 6, "epoch": 2, "owner": "w1", "at_ms": AT_MS, "round": 3,
        "metrics_sequence": 11, "campaigns_revision": 4,
    }  # fmt: skip
    columns = Columns(
        campaign=["spring-shoes", "spring-jackets"],
        action=[1, 0],
        binding=[0, 1],
        best=[0, -1],
        pacing_multiplier=[1.0, 0.5],
        settled_micros=[5, 6],
        reserved_micros=[7, 8],
        series_count=[2, 1],
        platform=[0, 1, 0],
        bid_micros=[100, 200, 0],
        cap_micros=[1000, 2000, 0],
        cpc_micros=[1.5, None, 2.0],
        cvr=[0.1, None, 0.2],
        roi_micros=[1.0, None, -2.0],
        confidence=[0.5, 0.0, 1.0],
        bound_by=[0, 1, 2],
    )
    amounts = {"decided": 2, "settled_micros": 11, "reserved_micros": 15}
    decide = Decide(**fields, **amounts, platforms=["google", "meta"], changed=columns)  # type: ignore[arg-type]
    keep = Keep(**fields, campaign=["spring-shoes"], settled_micros=[5], reserved_micros=[7])  # type: ignore[arg-type]
    return [encode(one) for one in (Take(**fields), decide, keep, Release(**fields))]  # type: ignore[arg-type]


def _check_record(payload: bytes) -> str:
    try:
        record = decode_record("fuzz", payload)
    except MalformedMessageError as error:
        return kind(error)
    again = encode(record)
    holds(decode_record("fuzz", again) == record, "a record that is encoded again is another one")
    History().add(1, record)
    try:
        decisions = decisions_of(record) if isinstance(record, Decide) else []
    except MalformedMessageError as error:
        return kind(error)
    return f"{type(record).__name__} of {min(len(decisions), 2)}"


def _check_heartbeat(payload: bytes) -> str:
    try:
        beat = decode_heartbeat("fuzz", payload)
    except MalformedMessageError as error:
        return kind(error)
    holds(decode_heartbeat("fuzz", encode(beat)) == beat, "a heartbeat encoded again is another")
    return "heard"


def _heartbeats() -> list[bytes]:
    return [
        encode(Heartbeat(worker="w1", version="1", started_at=START, at=START)),
        encode(Heartbeat(worker="w2", version="1", started_at=1, at=2, partitions=[1, 63])),
    ]


# what comes in to a partition


class _Partition:
    """A state with a past, made once and restored for each case."""

    def __init__(self) -> None:
        self.letters: list[tuple[str, str, bytes]] = []
        state = State(P, Book(window=8, interval_ms=2000), bury=self._bury)
        second = names_in(P, 1)[0]
        known = [campaign(), campaign(second, timezone="Europe/Berlin", account="acme")]
        entries = [Message(P, number, encode_campaign(one)) for number, one in enumerate(known, 1)]
        state.open([*entries, Message(P, 3, encode_control(_SHARE))])
        for number in range(1, 6):
            at = START + 2 * number
            rows = [report("spring-shoes", "google", at=at), report(second, "meta", at=at)]
            state.count([Message(P, number, frame(P, rows, sequence=number))])
            state.decide(round(at * 1000))
        self.second = second
        self.snapshot = snapshot_of(state, chain_sequence=9)
        self.book = state.book.snapshot()

    def _bury(self, origin: str, reason: str, payload: bytes) -> None:
        self.letters.append((origin, reason, payload))

    def state(self) -> State:
        self.letters.clear()
        return restored(decode_snapshot(P, self.snapshot), bury=self._bury)

    def check(self, state: State, payload: bytes) -> str:
        """Require one dead letter and an unchanged book, or none and a book that decides."""
        if self.letters:
            holds(len(self.letters) == 1, "one bad message, more than one dead letter")
            holds(self.letters[0][2] == payload, "a dead letter with another payload")
            holds(state.book.snapshot() == self.book, "a bad message changed the book")
            return kind(self.letters[0][1].partition(": ")[2])
        _check_book(state.book)
        state.decide(state.at_ms + 2000)
        _check_book(state.book)
        return ""


def _check_book(book: Book) -> None:
    book.verify()
    saved = book.snapshot()
    holds(Book.restore(saved).snapshot() == saved, "a restored book is another one")


_SHARE = Share(
    account=Account(id="acme", daily_cap_micros=10**9), partition=P, daily_cap_micros=10**8
)
_PARTITION = _Partition()


def _entries() -> list[bytes]:
    rails = Guardrails(
        daily_cap_micros=10**8,
        max_daily_change=0.5,
        hold_seconds=60,
        blocked_platforms=("meta",),
        blocked_hours=("mon-fri 22-6",),
    )
    rich = campaign(guardrails=rails, timezone="America/New_York", target_cpa_micros=5_000_000)
    return [
        encode_campaign(campaign()),
        encode_campaign(campaign(state=Life.PAUSED, currency="JPY")),
        encode_campaign(rich),
        encode_control(_SHARE),
        encode_control(Halt(is_halted=True)),
    ]


def _check_entry(payload: bytes) -> str:
    with suppress(MalformedMessageError):
        entry = decode_entry("fuzz", payload)
        again = encode_campaign(entry) if isinstance(entry, Campaign) else encode_control(entry)
        holds(decode_entry("fuzz", again) == entry, "an entry that is encoded again is another one")
    state = _PARTITION.state()
    state.open([Message(P, 7, payload)])
    holds(state.campaigns_revision == 7, "the position did not move past an entry")
    # What the core refuses is buried as it was understood, not as it came.
    for number, (origin, reason, _) in enumerate(_PARTITION.letters):
        _PARTITION.letters[number] = (origin, reason, payload)
    return _PARTITION.check(state, payload) or "in force"


def _frames() -> list[bytes]:
    at = START + 12
    rows = [report("spring-shoes", name, at=at) for name in ("google", "meta", "elsewhere")]
    late = [report("spring-shoes", "google", at=START - 900)]
    return [
        frame(P, rows, sequence=6),
        frame(P, [], sequence=7),
        frame(P, late, sequence=3),
        frame(P, rows * 20, sequence=9, producer=2),
    ]


def _check_frame(payload: bytes) -> str:
    state = _PARTITION.state()
    state.count([Message(P, 8, payload)])
    holds(state.metrics_sequence == 8, "the position did not move past a frame")
    try:
        found = decode_frame(payload)
    except MalformedMessageError:
        holds(bool(_PARTITION.letters), "the core counts a frame that Python cannot read")
    else:
        holds(int(found.rows.nbytes) + 32 == len(payload), "rows of a frame are missing")
    return _PARTITION.check(state, payload) or " ".join(str(min(2, n)) for n in state.rows)


def _check_snapshot(payload: bytes) -> str:
    letters: list[object] = []
    try:
        snapshot = decode_snapshot(P, payload)
        state = restored(snapshot, bury=lambda *letter: letters.append(letter))
    except MalformedMessageError as error:
        return kind(error)
    again = snapshot_of(state, chain_sequence=snapshot.chain_sequence)
    state = restored(decode_snapshot(P, again), bury=lambda *letter: letters.append(letter))
    holds(
        snapshot_of(state, chain_sequence=snapshot.chain_sequence) == again,
        "a restored state is another one",
    )
    _check_book(state.book)
    return "restored"


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


# what the broker says


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


# files of people


def _file_check(suffix: str, read: Callable[[Path], str]) -> Callable[[bytes], str]:
    def check(payload: bytes) -> str:
        path = Path(_FOLDER.name, f"a{suffix}")
        path.write_bytes(payload)
        return read(path)

    return check


_FOLDER = tempfile.TemporaryDirectory(prefix="engine-fuzz-")


def _definitions(path: Path) -> str:
    reading = read_definitions([path], now=START)
    holds(bool(reading.found or reading.problems or reading.accounts), "neither read nor refused")
    said = set()
    for problem in (*reading.problems, *reading.warnings):
        holds(str(problem).isprintable(), "a problem in unprintable words")
        said.add(f"{problem.field.partition('.')[0]} {kind(problem.wanted)}")
    for found in reading.found:
        wanted = Campaign(definition=found.definition, state=Life.ACTIVE, changed_at=START)
        payload = encode_campaign(wanted)
        holds(decode_entry("fuzz", payload) == wanted, "a definition does not survive its encoding")
        number = partition_of(found.definition.id)
        letters: list[str] = []
        state = State(number, Book(), bury=lambda _, reason, __: letters.append(reason))
        state.open([Message(number, 1, payload)])
        holds(not letters, f"a file's campaign is none to the core: {letters}")
        state.decide(AT_MS + 2000)
    return "; ".join(sorted(said)[:3]) or "read"


_KNOWN = {
    one.id: one
    for one in (
        definition(platforms=definition().platforms | {}),
        definition("spring-jackets", currency="JPY", timezone="Asia/Tokyo"),
    )
}


def _samples(path: Path) -> str:
    said = set()
    for found in read_samples([path], _KNOWN, now=START):
        if not isinstance(found, FoundSample):
            for problem in found:
                holds(str(problem).isprintable(), "a problem in unprintable words")
                said.add(f"{problem.field} {kind(problem.wanted)}")
            continue
        unit = unit_micros(found.currency)
        rows = rows_from_samples([found.sample], unit_micros=unit)
        spent = int(spend_micros(rows, unit)[0])
        holds(spent == found.sample.spend_micros, "a sample's spend changes on its way")
        said.add("read")
    holds(bool(said), "neither read nor refused")
    return "; ".join(sorted(said)[:3])


def _examples(suffix: str) -> list[bytes]:
    with_accounts = {
        ".yaml": b"accounts:\n  - {id: acme, daily_cap: 50.5}\ncampaigns:\n  - id: a\n    budget: 5\n"
        b"    account: acme\n    target_cpa: 2\n    flight: {starts_at: now, ends_at: +1d}\n"
        b"    platforms: [google]\n",
        ".json": b'{"accounts": [{"id": "acme", "total_cap": 9}], "campaigns": [{"id": "a", "budget": '
        b'1.25, "account": "acme", "flight": {"starts_at": "2026-01-01", "ends_at": "+3d"}, '
        b'"target_roas": 3, "platforms": ["x"]}]}',
    }
    more = [with_accounts[suffix]] if suffix in with_accounts else []
    return [(EXAMPLES / f"campaigns{suffix}").read_bytes(), *more]


_REPORTS = [
    {"campaign": "spring-shoes", "platform": "google", "at": "now", "clicks": 3, "spend": 1.25},
    {"campaign": "spring-jackets", "platform": "meta", "at": 1_700_000_000, "clicks": 0, "spend": 5,
     "impressions": 100, "conversions": 0.5},
]  # fmt: skip
_LINES = b"\n".join(json.dumps(one).encode() for one in _REPORTS)


def _csv_of_samples() -> bytes:
    text = (EXAMPLES / "metrics.csv").read_text(encoding="utf-8")
    return "".join(line for line in text.splitlines(keepends=True) if "summer" not in line).encode()


TARGETS: dict[str, Target] = {
    target.name: target
    for target in (
        Target("record", _records(), _packed_tree, _check_record),
        Target("heartbeat", _heartbeats(), _packed_tree, _check_heartbeat),
        Target("entry", _entries(), _json_tree, _check_entry),
        Target("python_frame", _frames(), damaged_bytes, _check_frame),
        Target("state_snapshot", [_PARTITION.snapshot], _packed_tree, _check_snapshot),
        Target("manifest", _manifests(), _packed_tree, _check_manifest),
        Target("answer", _ANSWERS, _json_tree, _check_answer),
        Target("ack_subject", [_ACK.encode(), b"2/3"], damaged_text, _check_ack_subject),
        *(
            Target(
                f"campaigns{suffix}",
                _examples(suffix),
                _json_tree if suffix == ".json" else damaged_text,
                _file_check(suffix, _definitions),
            )
            for suffix in (".yaml", ".json", ".jsonl", ".csv")
        ),
        Target(
            "samples.json",
            [json.dumps(_REPORTS).encode(), json.dumps({"samples": _REPORTS}).encode()],
            _json_tree,
            _file_check(".json", _samples),
        ),
        Target("samples.jsonl", [_LINES], damaged_text, _file_check(".jsonl", _samples)),
        Target("samples.csv", [_csv_of_samples()], damaged_text, _file_check(".csv", _samples)),
    )
}
