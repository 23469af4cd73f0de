"""What comes in to a partition: one dead letter and an unchanged book, or a book that decides."""

from contextlib import suppress

from engine.core.book import Book
from engine.core.frames import decode_frame
from engine.domain.accounts import Account, Halt, Share
from engine.domain.campaign import Campaign, Guardrails
from engine.domain.codec import decode_entry, encode_campaign, encode_control
from engine.domain.lifecycle import State as Life
from engine.errors import MalformedMessageError
from engine.messaging.ports import Message
from engine.worker.snapshot import decode_snapshot, restored, snapshot_of
from engine.worker.state import State
from fuzz.mutate import damaged_bytes
from fuzz.promises import Target, holds, json_tree, kind, packed_tree
from support.definitions import START, campaign, frame, names_in, report

__all__ = ["TARGETS"]

P = 25  # where spring-shoes is


class _Partition:
    """A state with a past, made once and restored for each case."""

    snapshot: bytes

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


TARGETS = (
    Target("entry", _entries(), json_tree, _check_entry),
    Target("python_frame", _frames(), damaged_bytes, _check_frame),
    Target("state_snapshot", [_PARTITION.snapshot], packed_tree, _check_snapshot),
)
