"""Reports as samples, against an engine that replaces samples of one time, as the book does."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.metrics import Sample
from engine.gateway.hours import CLICKS, CONVERSIONS, COUNTS, SPEND, Hours
from engine.gateway.telling import TOLD, Telling
from support.platform import row

CELL = 100.0
GROWTH = st.lists(
    st.tuples(
        st.integers(0, 250),  # seconds until the next poll
        st.integers(-40, 200),  # clicks more than were told, or restated away
        st.integers(-400_000, 2_000_000),  # spend
        st.integers(-3000, 9000),  # conversions in thousandths
        st.booleans(),  # whether a gateway dies and another one takes over
    ),
    max_size=40,
)


class Engine:
    """Keeps the newest sample of each time, as a window does."""

    def __init__(self) -> None:
        self.samples: dict[float, Sample] = {}
        self.settled: list[int] = [0]

    def hear(self, sample: Sample) -> None:
        self.samples[sample.at] = sample
        self.settled.append(sum(one.spend_micros for one in self.samples.values()))

    def sum(self, field: str) -> float:
        return float(sum(getattr(one, field) for one in self.samples.values()))


@given(GROWTH)
def test_what_was_told_adds_up_to_what_the_platform_says_and_spend_never_shrinks(
    polls: list[tuple[int, int, int, int, bool]],
) -> None:
    engine, telling = Engine(), Telling(cell_s=CELL)
    telling.grow(1)
    now, truth = 1_000.0, np.zeros((1, COUNTS), np.int64)
    for wait, clicks, spend, conversions, dies in polls:
        now += wait
        for column, more in ((CLICKS, clicks), (SPEND, spend), (CONVERSIONS, conversions)):
            truth[0, column] = max(truth[0, column] + more, 0)
        telling.hear(truth, whole_until=now)
        if dies:  # after the record was stored, before the samples were sent
            heir = Telling(cell_s=CELL)
            heir.grow(1)
            heir.cell = telling.cell
            heir.before, heir.total = telling.before.copy(), telling.total.copy()
            telling = heir
            engine.hear(telling.sample(0, campaign="c", platform="google"))
        sample = telling.sample(0, campaign="c", platform="google")
        engine.hear(sample)
        assert sample.at <= now + 0.001, "never of a time to come"
        assert min(sample.clicks, sample.spend_micros, sample.conversions) >= 0
        assert engine.sum("spend_micros") == telling.total[0, SPEND] >= truth[0, SPEND]
        assert engine.sum("clicks") == telling.total[0, CLICKS] >= truth[0, CLICKS]
    assert engine.settled == sorted(engine.settled)
    # What was taken back is taken off what comes next: with time the two agree again.
    truth += 10_000_000
    telling.hear(truth, whole_until=now)
    engine.hear(telling.sample(0, campaign="c", platform="google"))
    assert engine.sum("spend_micros") == truth[0, SPEND]
    assert round(engine.sum("conversions") * 1000) == truth[0, CONVERSIONS]


@given(GROWTH)
def test_samples_of_a_series_are_sent_in_their_order(
    polls: list[tuple[int, int, int, int, bool]],
) -> None:
    telling = Telling(cell_s=CELL)
    telling.grow(1)
    now, times = 1_000.0, []
    for wait, *_ in polls:
        now += wait
        telling.hear(np.zeros((1, COUNTS), np.int64), whole_until=now)
        times.append(telling.sample(0, campaign="c", platform="google").at)
    assert times == sorted(times)


REPORTS = st.lists(
    st.tuples(
        st.integers(0, 20),  # the first hour asked for
        st.lists(st.tuples(st.integers(0, 2), st.integers(0, 23), st.integers(0, 50)), max_size=40),
    ),
    max_size=12,
)


@given(REPORTS, st.integers(0, 20))
def test_hours_hold_the_newest_report_of_each_stretch(
    reports: list[tuple[int, list[tuple[int, int, int]]]], dropped: int
) -> None:
    hours = Hours(since=0.0, step_s=3600.0)
    hours.grow(3)
    model: dict[tuple[int, int], int] = {}
    for first, rows in reports:
        asked = [(place, hour, clicks) for place, hour, clicks in rows if hour >= first]
        model = {key: value for key, value in model.items() if key[1] < first}
        for place, hour, clicks in asked:
            model[place, hour] = model.get((place, hour), 0) + clicks
        hours.replace(
            ((p, row("e", h * 3600.0, clicks=c), 0) for p, h, c in asked),
            since=first * 3600.0,
            until=24 * 3600.0,
        )
    before = hours.totals()
    hours.drop_before(dropped * 3600.0)
    assert (hours.totals() == before).all(), "what is dropped stays counted"
    for place in range(3):
        wanted = sum(clicks for (p, _), clicks in model.items() if p == place)
        assert before[place, CLICKS] == wanted
    assert TOLD < COUNTS
