"""Finds in flat results what was measured at several sizes: keys such as `numba_100000_step_ms`."""

import re
from collections.abc import Sequence

from bench.speed.figures import Results

__all__ = ["PEERS", "by_size"]

PEERS = {
    "numba": "numba, sums",
    "numpy": "numpy, sums",
    "numpy_windows": "numpy, windows",
    "go": "Go, all cores",
    "river": "river",
    "python": "Python",
}
"""Peers by what they are called in keys."""


def by_size(results: Results, what: str, key: str) -> Sequence[tuple[int, float]]:
    """Return sizes with what was found for each, ascending; `what` and `key` stand around it."""
    pattern = re.compile(rf"{re.escape(what)}_(\d+)_{re.escape(key)}")
    found = []
    for name, value in results.items():
        match = pattern.fullmatch(name)
        if match is not None and isinstance(value, int | float):
            found.append((int(match[1]), float(value)))
    return sorted(found)
