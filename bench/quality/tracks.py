"""Tracks A, B and C: every policy through every campaign's day, shared by processes.

A: one platform. B: three platforms (a campaign on three markets at once) under one budget. C: A
where winners pay what they bid. Everything left to chance is the same for all policies.
"""

from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Literal

import msgspec
import numpy as np

from bench.quality.days import Folder, nominal, read_folder
from bench.quality.entrants import ENTRANTS
from bench.quality.metrics import Best, Cases, Score, gather, score_of, traffic_of
from bench.quality.optimum import frontier_of, optimum
from bench.quality.replay import brief_of, chance_of, replay
from bench.quality.seen import Floats, Goal, Maker

Track = Literal["A", "B", "C"]
GOALS: tuple[Goal, ...] = ("hard", "soft")
PLATFORMS_OF_B = 3


class Plan(msgspec.Struct, frozen=True):
    """What to run; small, for it is sent to every process, which reads the days itself."""

    folder: Path
    prefix: str
    history: Path | None
    policies: tuple[str, ...]
    seeds: tuple[int, ...]
    expected: float | None = None  # opportunities of a day and platform; None: their scale


class Case(msgspec.Struct, frozen=True):
    """A campaign on the markets that are its platforms."""

    track: Track
    markets: tuple[str, ...]
    campaign: int


class Run(msgspec.Struct, frozen=True, eq=False):
    """One policy for one goal on one case: scores by seed, and mean spend share by round."""

    case: Case
    policy: str
    goal: Goal
    scores: tuple[Score, ...]
    spend_by_round: Floats
    decisions: int
    seconds_deciding: float


class Judged(msgspec.Struct, frozen=True, eq=False):
    """Everything that was run, and what hindsight says of every case."""

    runs: tuple[Run, ...]
    bests: dict[Case, tuple[float, float]]
    feasible: dict[Case, bool]
    traffic: dict[Case, Floats]

    def cases(self, track: Track) -> list[Case]:
        return [case for case in self.bests if case.track == track]

    def of(self, track: Track, goal: Goal, policy: str) -> Cases:
        """The scores of a policy over a track's cases, in the order of `cases`."""
        runs = {
            run.case: run.scores for run in self.runs if (run.policy, run.goal) == (policy, goal)
        }
        cases = self.cases(track)
        return gather(
            [runs[case] for case in cases],
            [self.bests[case] for case in cases],
            [self.feasible[case] for case in cases],
        )


def cases_of(folder: Folder) -> Iterator[Case]:
    """All cases of a folder: B takes markets by threes (a pair if there are no more)."""
    names = sorted(folder.days)
    track: Track
    for track in ("A", "C"):
        for name in names:
            for line in folder.days[name]:
                yield Case(track=track, markets=(name,), campaign=line.campaign)
    size = min(PLATFORMS_OF_B, len(names))
    if size < 2:
        return
    for first in range(0, len(names) - size + 1, size):
        group = tuple(names[first : first + size])
        for line in folder.days[group[0]]:
            if all(
                any(other.campaign == line.campaign for other in folder.days[name])
                for name in group
            ):
                yield Case(track="B", markets=group, campaign=line.campaign)


def judge(plan: Plan, cases: Sequence[Case], processes: int) -> Judged:
    """Runs all cases, every n-th in each process: cases of a kind take about as long."""
    shares = [tuple(cases[i::processes]) for i in range(processes)]
    shares = [share for share in shares if share]
    if len(shares) == 1:
        parts = [judge_share(plan, shares[0])]
    else:
        with ProcessPoolExecutor(len(shares)) as pool:
            parts = list(pool.map(judge_share, [plan] * len(shares), shares))
    return Judged(
        runs=tuple(run for part in parts for run in part.runs),
        bests={case: best for case in cases for p in parts if (best := p.bests.get(case))},
        feasible={case: p.feasible[case] for case in cases for p in parts if case in p.feasible},
        traffic={case: p.traffic[case] for case in cases for p in parts if case in p.traffic},
    )


def judge_share(plan: Plan, cases: Sequence[Case]) -> Judged:
    """Runs some of the cases, in this process."""
    folder = read_folder(plan.folder, plan.prefix, plan.history)
    expected = {
        name: plan.expected or nominal(float(np.mean([len(line.p) for line in lines])))
        for name, lines in folder.days.items()
    }
    school = _School(folder)
    judged = Judged(runs=(), bests={}, feasible={}, traffic={})
    runs: list[Run] = []
    for case in cases:
        lines = [
            next(line for line in folder.days[name] if line.campaign == case.campaign)
            for name in case.markets
        ]
        brief = brief_of(lines, [expected[name] for name in case.markets])
        frontier = frontier_of(lines)
        best = Best(frontier, *optimum(frontier, brief.budget, brief.target_cpa))
        judged.bests[case] = best.soft, best.hard
        judged.feasible[case] = best.is_feasible
        judged.traffic[case] = traffic_of(lines)
        chances = [chance_of(lines, seed) for seed in plan.seeds]
        for name in plan.policies:
            maker = school.maker(name, case.markets)
            for goal in GOALS if ENTRANTS[name].has_goals else GOALS[:1]:
                outcomes = [
                    replay(
                        lines,
                        maker(goal=goal, first_price=case.track == "C"),
                        brief,
                        chance,
                        first_price=case.track == "C",
                    )
                    for chance in chances
                ]
                run = Run(
                    case=case,
                    policy=name,
                    goal=goal,
                    scores=tuple(
                        score_of(outcome, brief, best, judged.traffic[case]) for outcome in outcomes
                    ),
                    spend_by_round=np.mean([o.cost_by_round for o in outcomes], axis=0)
                    / brief.budget,
                    decisions=sum(o.decisions for o in outcomes),
                    seconds_deciding=sum(o.seconds_deciding for o in outcomes),
                )
                runs.append(run)
                if not ENTRANTS[name].has_goals:  # it does the same whatever the goal
                    runs.append(msgspec.structs.replace(run, goal="soft"))
    return msgspec.structs.replace(judged, runs=tuple(runs))


class _School:
    """Policies taught once per set of past days; none learns from a day that it is judged on."""

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._makers: dict[tuple[str, tuple[str, ...]], Maker] = {}

    def maker(self, policy: str, markets: tuple[str, ...]) -> Maker:
        past = self._folder.past_without(markets)
        key = policy, tuple(day.name for day in past)
        if key not in self._makers:
            self._makers[key] = ENTRANTS[policy].teach(past, self._folder.rounds)
        return self._makers[key]
