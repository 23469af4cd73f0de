"""A policy is shown what it may see and nothing that leads further."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import numpy as np
import pytest

from bench.quality.days import read_folder
from bench.quality.replay import brief_of, chance_of, replay
from bench.quality.seen import Brief, Floats, PastDay, Seen, Shown
from support.auction_days import write_folder


class Nosy:
    """A policy that keeps everything it is handed, and bids."""

    def __init__(self) -> None:
        self.handed: list[object] = []
        self.seen: list[Seen] = []
        self.shown: list[Shown] = []

    def start(self, brief: Brief) -> None:
        self.handed.append(brief)

    def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
        self.handed += [*seen, remaining]
        self.seen += seen
        return [60 * one.p for one in seen]

    def observe(self, t: int, platform: int, shown: Shown) -> None:
        self.handed.append(shown)
        self.shown.append(shown)


def leads_to(things: Sequence[object]) -> Iterator[tuple[str, object]]:
    """Everything that can be reached by attributes, keys and the bases of views."""
    waiting: list[tuple[str, object]] = [("", thing) for thing in things]
    while waiting:
        name, thing = waiting.pop()
        yield name, thing
        if isinstance(thing, msgspec.Struct):
            waiting += [(field, getattr(thing, field)) for field in thing.__struct_fields__]
        elif isinstance(thing, dict):
            waiting += [(str(key), value) for key, value in thing.items()]
        elif isinstance(thing, list | tuple):
            waiting += [(name, one) for one in thing]
        elif isinstance(thing, np.ndarray) and thing.base is not None:
            waiting.append(("base", thing.base))


@pytest.fixture
def nosy(tmp_path: Path) -> Nosy:
    folder = read_folder(write_folder(tmp_path), "an_new", tmp_path)
    lines = [folder.days[name][0] for name in ("an_new_m0", "an_new_m1")]
    policy = Nosy()
    replay(lines, policy, brief_of(lines, [500, 500]), chance_of(lines, 0), first_price=False)
    policy.handed.append(folder.past_without(["an_new_m0"]))
    return policy


def test_no_attribute_that_a_policy_can_reach_is_the_evaluators(nosy: Nosy) -> None:
    names = {name for name, _ in leads_to(nosy.handed)}
    assert names & {"true_value", "soft_best", "hard_best", "frontier", "base", "value"} == set()
    assert {"p", "sigma", "least_winning", "converted", "target_cpa"} <= names


def test_no_array_that_a_policy_can_reach_is_longer_than_its_round(nosy: Nosy) -> None:
    longest = max(len(one.p) for one in nosy.seen)
    past = [thing for thing in nosy.handed if isinstance(thing, tuple)]
    reached = leads_to([thing for thing in nosy.handed if thing not in past])
    arrays = [thing for _, thing in reached if isinstance(thing, np.ndarray)]
    assert arrays
    assert max(len(array) for array in arrays) == longest
    assert all(isinstance(day, PastDay) for days in past for day in days)


def test_what_a_policy_writes_into_its_arrays_changes_nothing(tmp_path: Path) -> None:
    class Vandal(Nosy):
        def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
            bids = [60 * one.p for one in seen]
            for one in seen:
                one.p[:] = 1.0
                one.sigma[:] = 0.0
            return bids

        def observe(self, t: int, platform: int, shown: Shown) -> None:
            shown.least_winning[:] = 0.0

    folder = read_folder(write_folder(tmp_path), "an_new", tmp_path)
    lines = folder.days["an_new_m0"][:1]
    brief, chance = brief_of(lines, [500]), chance_of(lines, 0)
    first, second = (
        replay(lines, policy, brief, chance, first_price=False) for policy in (Vandal(), Nosy())
    )
    assert (first.value, first.cost) == (second.value, second.cost)


def test_the_least_winning_price_is_all_that_is_shown_of_others(nosy: Nosy) -> None:
    for shown in nosy.shown:
        paid = shown.price[shown.won & (shown.slot == 2)]
        assert (paid == shown.least_winning[shown.won & (shown.slot == 2)]).all()
        assert (shown.price[~shown.won] == 0).all()


def test_bids_of_another_shape_or_no_numbers_are_refused(tmp_path: Path) -> None:
    class Broken(Nosy):
        def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
            return [np.full(len(one.p), np.nan) for one in seen]

    class Short(Nosy):
        def decide(self, t: int, seen: Sequence[Seen], remaining: float) -> Sequence[Floats]:
            return [one.p[1:] for one in seen]

    folder = read_folder(write_folder(tmp_path), "an_new", None)
    lines = folder.days["an_new_m0"][:1]
    for policy in (Broken(), Short()):
        with pytest.raises(ValueError, match="round 0"):
            replay(lines, policy, brief_of(lines, [500]), chance_of(lines, 0), first_price=False)
