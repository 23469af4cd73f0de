"""The kinds of faults, how often each comes, and what is written down of one."""

import msgspec

__all__ = ["TAKES_OVER", "WEIGHTS", "Fault"]

WEIGHTS = {
    "worker_kill": 4,  # kill -9
    "worker_stop": 3,  # SIGSTOP, later SIGCONT: it comes back and believes it owns everything
    "worker_term": 2,  # SIGTERM: it gives back what it has
    "rolling_restart": 1,  # every worker in turn, as an upgrade does it
    "black_hole": 2,  # nothing arrives, either way; held up data arrives later
    "deaf_link": 1,  # a worker is heard, and hears nothing: its appends go unanswered
    "slow_link": 1,
    "clock_jump": 2,
    "broker_kill": 2,
    "broker_stop": 2,
    "full_stream": 2,  # snapshots, samples or decisions are refused
    "no_snapshots": 1,  # all snapshots are gone, and a worker with them
    "kill_in_outage": 1,  # a worker and the broker at the same time
}
TAKES_OVER = frozenset({"worker_kill", "worker_stop", "worker_term", "black_hole"})
"""The faults after which another worker goes on: what fail-over is measured over."""


class Fault(msgspec.Struct, kw_only=True):
    """One fault. Times are epoch seconds, of the machine's clock."""

    kind: str
    at: float
    over_at: float = 0.0  # when its cause was gone: process there again, link whole, …
    target: str = ""  # the worker's, the server's or the stream's name
