"""Token buckets, purses and breakers: what they promise, whatever they are asked."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from engine.gateway.breaker import Breaker, BreakerSettings, State
from engine.gateway.bucket import TokenBucket
from engine.gateway.purse import Purse, day_of

steps = st.lists(
    st.tuples(st.floats(0.0, 30.0), st.integers(1, 20), st.booleans()), min_size=1, max_size=60
)


@given(rate=st.floats(0.1, 50.0), burst=st.floats(1.0, 100.0), steps=steps)
def test_a_bucket_gives_no_more_than_its_burst_and_what_came_in(
    rate: float, burst: float, steps: list[tuple[float, int, bool]]
) -> None:
    bucket = TokenBucket(rate=rate, burst=burst, now=0.0)
    now, taken = 0.0, 0
    for wait, count, _ in steps:
        now += wait
        taken += count if bucket.take(count, now=now) else 0
        assert taken <= burst + rate * now + 1e-6


@given(rate=st.floats(0.1, 50.0), steps=steps)
def test_a_penalty_is_a_silence_and_never_raises_what_is_given(
    rate: float, steps: list[tuple[float, int, bool]]
) -> None:
    bucket = TokenBucket(rate=rate, burst=10.0, now=0.0)
    now = 0.0
    for wait, delay, is_penalty in steps:
        now += wait
        if is_penalty:
            before = bucket.rate
            bucket.penalise(delay, now=now)
            assert bucket.rate <= max(before, rate)
            assert not bucket.take(1, now=now + delay * 0.99)
            assert bucket.ready_in(1, now=now) >= delay - 1e-6
        assert rate / 64 - 1e-9 <= bucket.rate <= rate + 1e-9
    now += 3600.0
    bucket.available(now)
    assert bucket.rate == rate, "it recovers"


@given(
    a_day=st.integers(1, 20_000),
    reserve=st.floats(0.0, 0.5),
    wants=st.lists(st.tuples(st.floats(0, 3600), st.integers(0, 500), st.booleans()), max_size=80),
)
def test_a_purse_is_never_overdrawn_and_its_reserve_is_for_emergencies(
    a_day: int, reserve: float, wants: list[tuple[float, int, bool]]
) -> None:
    purse = Purse(a_day=a_day, reserve=reserve)
    purse.begin(0.0, day_s=86_400.0)
    now, ordinary = 0.0, 0
    for wait, count, is_emergency in wants:
        now = min(now + wait, 86_399.0)
        given_ = min(count, purse.available(now, is_emergency=is_emergency))
        purse.spend(given_)
        ordinary += 0 if is_emergency else given_
        assert purse.used <= a_day
        assert ordinary <= (a_day - purse.reserved) * min(now / 86_400 + 0.02, 1.0) + 1e-6


def test_an_exhausted_purse_gives_nothing_until_the_day_is_over() -> None:
    purse = Purse(a_day=1000)
    purse.begin(0.0, day_s=86_400.0)
    purse.exhaust()
    assert purse.available(80_000.0, is_emergency=True) == 0
    purse.begin(86_400.0, day_s=86_400.0)
    assert purse.available(86_400.0 + 43_200.0) > 400


@pytest.mark.parametrize("a_day", [1000, None])
def test_a_purse_that_is_empty_for_an_hour_gives_again_when_the_hour_is_over(
    a_day: int | None,
) -> None:
    purse = Purse(a_day=a_day)
    purse.begin(0.0, day_s=86_400.0)
    purse.exhaust(until=43_200.0)
    assert purse.available(43_199.0, is_emergency=True) == 0
    assert purse.available(43_200.0, is_emergency=True) >= 1000
    assert purse.left == a_day


def test_a_day_of_a_quota_is_as_long_as_its_clocks_make_it() -> None:
    assert day_of(1_774_746_000.0, "Europe/Berlin")[1] == 82_800.0  # 2026-03-29, one hour less
    assert day_of(1_792_900_000.0, "Europe/Berlin")[1] == 90_000.0  # 2026-10-25, one hour more


class Shared(RuleBasedStateMachine):
    """A breaker against a model that counts."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker(BreakerSettings(calls=4, least=2, open_s=10.0, longest_s=100.0))
        self.now = 0.0
        self.probing_until = -1.0

    @rule(seconds=st.floats(0.1, 200.0))
    def time_passes(self, seconds: float) -> None:
        self.now += seconds

    @precondition(lambda self: self.breaker.may_call(self.now))
    @rule(does=st.booleans(), luck=st.floats(0, 1))
    def an_ordinary_call(self, does: bool, luck: float) -> None:
        assert self.breaker.state is State.CLOSED
        if does:
            assert not self.breaker.succeeded(self.now)
        else:
            self.breaker.failed(self.now, reason="x", luck=luck)

    @precondition(lambda self: self.breaker.may_probe(self.now))
    @rule()
    def a_probe_begins(self) -> None:
        assert not self.breaker.may_call(self.now)
        assert self.now >= self.probing_until, "one at a time"
        self.breaker.probe(self.now)
        self.probing_until = self.breaker.until
        assert not self.breaker.may_probe(self.now)

    @precondition(lambda self: self.breaker.state is State.HALF_OPEN)
    @rule(does=st.booleans(), luck=st.floats(0, 1))
    def a_probe_is_answered(self, does: bool, luck: float) -> None:
        opened = self.breaker.opened
        if does:
            assert self.breaker.succeeded(self.now)
            assert self.breaker.state is State.CLOSED
            assert self.breaker.opened == 0
        else:
            assert self.breaker.failed(self.now, reason="x", luck=luck)
            assert self.breaker.opened == opened + 1
        self.probing_until = -1.0

    @precondition(lambda self: self.breaker.state is State.OPEN)
    @rule(does=st.booleans())
    def a_call_from_before_is_answered(self, does: bool) -> None:
        until = self.breaker.until
        answered = self.breaker.succeeded if does else self.breaker.failed
        assert not answered(self.now)
        assert (self.breaker.state, self.breaker.until) == (State.OPEN, until)

    @invariant()
    def it_is_open_for_no_longer_than_it_may(self) -> None:
        assert self.breaker.until <= self.now + 125.0
        assert (self.breaker.state is State.CLOSED) == (self.breaker.opened == 0)


TestBreaker = Shared.TestCase
