"""The ledger from Python, under frames that come late, doubled, restated and out of order."""

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.book import Book
from engine.core.frames import encode_frame, rows_from_samples
from engine.domain.campaign import Flight
from engine.domain.lifecycle import State
from engine.domain.metrics import Sample
from support.definitions import START, campaign

START_MS = int(START * 1000)
PLATFORMS = ("google", "meta")
WINDOW = 4
BUDGET = 20_000_000

# What a platform would sell in a round, how late it reports, and whether the frame comes twice.
rounds = st.lists(
    st.tuples(
        st.integers(0, 5_000_000),
        st.integers(0, 5_000_000),
        st.integers(0, 6),
        st.booleans(),
        st.sampled_from([State.ACTIVE, State.ACTIVE, State.ACTIVE, State.PAUSED]),
    ),
    min_size=1,
    max_size=40,
)


class Platforms:
    """Two platforms that keep to the newest cap but one, and report as they like."""

    def __init__(self) -> None:
        self.spent = dict.fromkeys(PLATFORMS, 0)
        self.caps = dict.fromkeys(PLATFORMS, 0)  # in force; newer ones are on their way
        self.waiting: list[tuple[int, bytes, bool]] = []  # due in round, frame, doubled
        self.sequence = 0

    def sell(self, number: int, wishes: dict[str, int], caps: dict[str, int], late: int) -> None:
        samples = []
        for platform, wish in wishes.items():
            sold = max(0, min(wish, self.caps[platform] - self.spent[platform]))
            self.spent[platform] += sold
            at = START + 2 * number
            samples.append(Sample("c1", platform, at=at, clicks=sold // 90_000, spend_micros=sold))
        self.caps = caps
        self.sequence += 1
        rows = rows_from_samples(samples, unit_micros=100)
        payload = encode_frame(0, rows, producer=1, sequence=self.sequence, unit_micros=100)
        self.waiting.append((number + late, payload, late % 2 == 1))


def new_book(daily_cap: int | None = None) -> Book:
    book = Book(window=WINDOW)
    flight = Flight(START, START + 100)
    book.put([campaign("c1", budget_micros=BUDGET, flight=flight)])
    return book


def play(book: Book, plan: list[tuple[int, int, int, bool, State]]) -> list[bytes]:
    """Play the rounds; return the bytes of every decision. Checks the ledger at every step."""
    platforms, decisions = Platforms(), []
    flight = Flight(START, START + 100)
    for number, (first, second, late, restart, state) in enumerate(plan):
        # A pause takes caps back: what they allowed is released by reports alone.
        book.put([campaign("c1", state=state, budget_micros=BUDGET, flight=flight)])
        decided = book.decide(START_MS + 2000 * number)
        decisions.append(decided.decisions.tobytes() + decided.series.tobytes())
        committed = decided.settled_micros + decided.reserved_micros
        assert sum(platforms.spent.values()) <= committed <= BUDGET
        caps = dict(zip(PLATFORMS, decided.series["cap_micros"].tolist(), strict=True))
        platforms.sell(number, dict(zip(PLATFORMS, (first, second), strict=True)), caps, late)
        for due, payload, is_doubled in list(platforms.waiting):
            if due <= number:
                book.ingest(payload)
                if is_doubled:
                    assert book.ingest(payload).is_duplicate
                platforms.waiting = [one for one in platforms.waiting if one[1] != payload]
        book.verify()
        if restart:
            book = Book.restore(book.snapshot())
    for _, payload, _ in platforms.waiting:
        book.ingest(payload)
    book.verify()
    settled = int(book.ledger()["settled_micros"][0])
    assert settled == sum(platforms.spent.values()) <= BUDGET, "every micro once"
    return decisions


@settings(max_examples=60, deadline=None)
@given(rounds)
def test_no_sequence_of_reports_spends_more_than_the_budget(
    plan: list[tuple[int, int, int, bool, State]],
) -> None:
    first = play(new_book(), plan)
    without_restarts = [(a, b, late, False, x) for a, b, late, _, x in plan]
    assert play(new_book(), without_restarts) == first, "a restart does not show"


reports = st.lists(
    st.tuples(
        st.integers(1, 30),  # sequence of its frame
        st.sampled_from(PLATFORMS),
        st.integers(0, 10),  # its stretch
        st.integers(0, 3_000_000),  # its spend
    ),
    max_size=60,
)


@settings(max_examples=60, deadline=None)
@given(reports)
def test_settled_spend_is_what_an_obvious_recount_says(
    sent: list[tuple[int, str, int, int]],
) -> None:
    book = new_book()
    seen: set[int] = set()
    windows: dict[str, dict[int, int]] = {platform: {} for platform in PLATFORMS}
    passed = 0
    for number, (sequence, platform, stretch, spend) in enumerate(sent):
        sample = Sample("c1", platform, at=START + 2 * stretch, clicks=5, spend_micros=spend)
        rows = rows_from_samples([sample], unit_micros=100)
        book.ingest(encode_frame(0, rows, producer=1, sequence=sequence, unit_micros=100))
        window = windows[platform]
        if sequence not in seen:
            seen.add(sequence)
            if stretch not in window and len(window) == WINDOW and stretch < min(window):
                passed += spend  # older than the window: added, whatever was before
            else:
                window[stretch] = spend
                if len(window) > WINDOW:
                    passed += window.pop(min(window))
        wanted = passed + sum(sum(window.values()) for window in windows.values())
        assert int(book.ledger()["settled_micros"][0]) == wanted
        book.verify()
        if number % 7 == 0:
            book.decide(START_MS + number)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(0, 2_000_000), min_size=1, max_size=64), st.integers(1, 64))
def test_one_frame_of_many_rows_is_as_many_frames_of_one(spends: list[int], size: int) -> None:
    samples = [
        Sample("c1", PLATFORMS[n % 2], at=START + 2 * (n // 2), clicks=n, spend_micros=spend)
        for n, spend in enumerate(spends)
    ]
    rows = rows_from_samples(samples, unit_micros=100)

    def book_fed(step: int) -> tuple[bytes, bytes]:
        book = new_book()
        for sequence, start in enumerate(range(0, len(rows), step)):
            part: np.ndarray[tuple[int], np.dtype[np.void]] = rows[start : start + step]
            book.ingest(encode_frame(0, part, producer=1, sequence=sequence, unit_micros=100))
        decided = book.decide(START_MS)
        return decided.decisions.tobytes(), decided.series.tobytes()

    assert book_fed(size) == book_fed(1) == book_fed(len(rows))
