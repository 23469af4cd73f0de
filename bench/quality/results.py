"""The results of a run as one plain object: Q, its parts, every track, with paired intervals."""

import os
import platform
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec
import numpy as np

from bench.quality.entrants import BASE_FORECASTER, ENTRANTS
from bench.quality.forecasts import HORIZONS, METRICS, Errors, relative_error, resampled_errors
from bench.quality.metrics import Q_PARTS, components, quality, summary_of
from bench.quality.seen import Floats
from bench.quality.tracks import GOALS, Judged, Track

DRAWS, SEED = 2000, 20_260_101
LEVEL = (2.5, 97.5)  # percent
TRACKS: tuple[Track, ...] = ("A", "B", "C")


class Resampled(msgspec.Struct, frozen=True, eq=False):
    """How often each case counts in each draw; (draws, cases). The first row counts each once.

    C has the cases of A, so it has A's weights: one campaign-day counts the same in both.
    """

    a: Floats
    b: Floats

    def of(self, track: Track) -> Floats:
        return self.b if track == "B" else self.a


def resampled(a_cases: int, b_cases: int) -> Resampled:
    """Draws cases with replacement, the same for all policies: differences are paired."""
    random = np.random.default_rng(SEED)

    def weights(count: int) -> Floats:
        if not count:
            return np.zeros((DRAWS + 1, 0))
        draws = random.multinomial(count, np.full(count, 1 / count), DRAWS)
        return np.concatenate([np.ones((1, count)), draws])

    return Resampled(a=weights(a_cases), b=weights(b_cases))


def results_of(
    judged: Judged,
    policies: Sequence[str],
    errors: Mapping[str, Sequence[Errors]],
    *,
    about: Mapping[str, Any],
    notes: Sequence[str],
) -> dict[str, Any]:
    """Gathers everything; the first policy is the one that Q, at the top, is about."""
    notes = list(notes)
    weights = resampled(len(judged.cases("A")), len(judged.cases("B")))
    r_f = _forecast_draws(errors)
    forecasters = {name: _forecaster(name, errors, r_f[name]) for name in errors}
    parts = {name: _parts(judged, name, weights, r_f) for name in policies}
    if not judged.cases("B"):
        notes.append("track B needs two markets: it was left out, and Q cannot be given")
    if not errors:
        notes.append("track F was left out: no hourly series, so Q cannot be given")
    first = policies[0]
    return {
        "policy": first,
        "Q": _number(quality(parts[first])[0]),
        "q_interval": _interval(quality(parts[first])[1:]),
        **{name: _number(parts[first][name][0]) for name in (*Q_PARTS, "waste")},
        "tracks": _tracks(judged, first, first, weights),
        "policies": {
            name: {
                "about": ENTRANTS[name].says,
                "Q": _number(quality(parts[name])[0]),
                "q_interval": _interval(quality(parts[name])[1:]),
                "q_behind": _difference(quality(parts[first]), quality(parts[name])),
                **{part: _number(parts[name][part][0]) for part in (*Q_PARTS, "waste")},
                "decision_microseconds": _microseconds(judged, name),
                "tracks": _tracks(judged, name, first, weights),
                "spend_by_round": _spend(judged, name),
            }
            for name in policies
        },
        "traffic_by_round": _rounded(
            np.mean([judged.traffic[case] for case in judged.cases("A")], axis=0)
        ),
        "forecasters": forecasters,
        "cases": {
            track: {
                "all": len(judged.cases(track)),
                "feasible": sum(judged.feasible[case] for case in judged.cases(track)),
            }
            for track in TRACKS
        },
        "bootstrap": {"draws": DRAWS, "seed": SEED, "level": 0.95},
        **about,
        "machine": {
            "system": platform.system(),
            "processor": platform.machine(),
            "cores": os.cpu_count(),
            "python": platform.python_version(),
            "numpy": np.__version__,
        },
        "date": datetime.now(UTC).date().isoformat(),
        "notes": notes,
    }


def _parts(
    judged: Judged, policy: str, weights: Resampled, r_f: Mapping[str, Floats]
) -> dict[str, Floats]:
    unknown = np.full(DRAWS + 1, np.nan)
    return components(
        judged.of("A", "hard", policy),
        judged.of("A", "soft", policy),
        judged.of("B", "hard", policy),
        r_f.get(ENTRANTS[policy].forecaster, unknown),
        weights.a,
        weights.b,
    )


def _tracks(judged: Judged, policy: str, first: str, weights: Resampled) -> dict[str, Any]:
    """Per track and goal: the summary, its share's interval, and how far behind the first it is."""
    found: dict[str, Any] = {}
    for track in TRACKS:
        if not judged.cases(track):
            continue
        for goal in GOALS:
            cases = judged.of(track, goal, policy)
            share = cases.share(goal, weights.of(track))
            lead = judged.of(track, goal, first).share(goal, weights.of(track))
            summary = msgspec.structs.asdict(summary_of(cases))
            found.setdefault(track, {})[goal] = {
                **{key: _number(value) for key, value in summary.items()},
                "interval": _interval(share[1:]),
                "behind": _difference(lead, share),
            }
    return found


def _forecast_draws(errors: Mapping[str, Sequence[Errors]]) -> dict[str, Floats]:
    if not errors:
        return {}
    rows = {name: [one.by_row for one in own] for name, own in errors.items()}
    draws = resampled_errors(rows, BASE_FORECASTER, draws=DRAWS, seed=SEED)
    return {
        name: np.concatenate([[relative_error(own, rows[BASE_FORECASTER])], draws[name]])
        for name, own in rows.items()
    }


def _forecaster(name: str, errors: Mapping[str, Sequence[Errors]], draws: Floats) -> dict[str, Any]:
    own, base = errors[name], errors[BASE_FORECASTER]
    by_row = [one.by_row for one in own], [one.by_row for one in base]

    def only(metric: slice, horizon: slice) -> float:
        cut = [[one[:, metric, horizon] for one in side] for side in by_row]
        return relative_error(*cut)

    return {
        "r_f": _number(draws[0]),
        "interval": _interval(draws[1:]),
        "r_f_by_clock": _number(
            relative_error([one.by_clock for one in own], [one.by_clock for one in base])
        ),
        "by_horizon": {
            str(h): _number(only(slice(None), slice(a, a + 1))) for a, h in enumerate(HORIZONS)
        },
        "by_metric": {
            metric: _number(only(slice(k, k + 1), slice(None))) for k, metric in enumerate(METRICS)
        },
        "by_exchange": [
            _number(relative_error(by_row[0][i : i + 1], by_row[1][i : i + 1]))
            for i in range(len(own))
        ],
    }


def _microseconds(judged: Judged, policy: str) -> float | None:
    runs = [run for run in judged.runs if run.policy == policy]
    decisions = sum(run.decisions for run in runs)
    seconds = sum(run.seconds_deciding for run in runs)
    return round(1e6 * seconds / decisions, 1) if decisions else None


def _spend(judged: Judged, policy: str) -> dict[str, list[float]]:
    """Mean cumulative share of the budget spent by the end of each round, track A."""
    return {
        goal: _rounded(
            np.cumsum(
                np.mean(
                    [
                        run.spend_by_round
                        for run in judged.runs
                        if (run.policy, run.goal, run.case.track) == (policy, goal, "A")
                    ],
                    axis=0,
                )
            )
        )
        for goal in GOALS
    }


def _difference(lead: Floats, other: Floats) -> dict[str, Any]:
    away = lead - other
    return {"by": _number(away[0]), "interval": _interval(away[1:])}


def _interval(draws: Floats) -> list[float] | None:
    known = draws[np.isfinite(draws)]
    return _rounded(np.percentile(known, LEVEL)) if len(known) else None


def _number(value: float | None) -> float | None:
    return None if value is None or not np.isfinite(value) else round(float(value), 5)


def _rounded(values: Floats) -> list[float]:
    return [round(float(value), 5) for value in values]
