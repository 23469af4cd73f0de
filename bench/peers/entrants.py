"""Who takes part, and what is missing for those who cannot."""

import os
from importlib.util import find_spec

from bench.peers import core_sweep, numpy_sums, numpy_windows, plain_python
from bench.peers.race import Entrant

__all__ = ["core", "missing", "others"]


def core() -> Entrant:
    """Return the core through its Python API."""
    return Entrant("core", core_sweep.Peer, slot_bytes=1200)


def others() -> list[Entrant]:
    """Return the peers that this machine has what they need for."""
    found = [
        Entrant("numpy, sums", numpy_sums.Peer, slot_bytes=1200),
        Entrant("numpy, windows", numpy_windows.Peer, slot_bytes=2100, most_campaigns=100_000),
        Entrant("Python", plain_python.Peer, slot_bytes=15_000, most_campaigns=1000, weighs=False),
    ]
    if find_spec("numba") is not None:
        from bench.peers import numba_sums

        found.insert(0, Entrant("numba", numba_sums.Peer, slot_bytes=1200))
    if find_spec("river") is not None:
        from bench.peers import river_rolling

        found.insert(
            -1, Entrant("river", river_rolling.Peer, slot_bytes=50_000, most_campaigns=1000)
        )
    from bench.peers import go_engine

    if go_engine.is_here():
        cores = os.cpu_count() or 1
        found.insert(-1, Entrant("Go", go_engine.Peer, slot_bytes=2800, cores=cores))
    return found


def missing() -> list[str]:
    """Return a line for each peer that cannot take part, with what it would need."""
    names = {one.name for one in others()}
    wanted = {
        "numba": "numba is not installed: pip install campaign-engine[bench]",
        "river": "river is not installed: pip install campaign-engine[bench]",
        "Go": "go is not on the PATH: https://go.dev/dl",
    }
    return [f"{name} left out: {line}" for name, line in wanted.items() if name not in names]
