"""Scores of published policies that come with the data, on the days that are judged here."""

import csv
from collections.abc import Collection
from pathlib import Path

from bench.quality.metrics import FEASIBLE, TOLERANCE

FILE = "reference_policy_scores.csv"


def shipped_scores(folder: Path, markets: Collection[str]) -> dict[str, dict[str, float | None]]:
    """Summaries, by policy, of the rows of these markets; {} without such a file or rows.

    A file of another form is not an error: nothing here depends on it.
    """
    rows: dict[str, list[dict[str, float]]] = {}
    try:
        with (folder / FILE).open(newline="", encoding="utf-8") as lines:
            for line in csv.DictReader(lines):
                if line["market"] in markets:
                    numbers = {
                        name: float(line[name])
                        for name in ("score", "V", "cpa_ratio", "waste", "pace")
                    }
                    numbers["soft_best"] = float(line["oracle"])
                    numbers["hard_best"] = float(line["oracle_hard"])
                    rows.setdefault(line["policy"], []).append(numbers)
    except (OSError, KeyError, ValueError):
        return {}
    return {name: _summary(own) for name, own in sorted(rows.items())}


def _summary(rows: list[dict[str, float]]) -> dict[str, float | None]:
    def total(name: str) -> float:
        return sum(row[name] for row in rows)

    within = [row["V"] for row in rows if row["cpa_ratio"] <= TOLERANCE]
    feasible = [row for row in rows if row["hard_best"] >= FEASIBLE * row["soft_best"]]
    broken = [row for row in feasible if row["cpa_ratio"] > TOLERANCE]
    return {
        "s_soft": round(total("score") / total("soft_best"), 5),
        "s_hard": round(sum(within) / total("hard_best"), 5),
        "violations": round(len(broken) / len(feasible), 5) if feasible else None,
        "waste": round(total("waste") / len(rows), 5),
        "pace": round(total("pace") / len(rows), 5),
    }
