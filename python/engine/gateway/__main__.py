"""`python -m engine.gateway`: the same as `engine gateway`."""

import signal
import sys


def main() -> int:
    """Run the command on the process's arguments; return the exit code."""
    # Imports take a moment, in which a stop means: leave, for nothing is held yet.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: sys.exit(0))
    from engine.cli.__main__ import run

    return run(["gateway", *sys.argv[1:]])


if __name__ == "__main__":
    sys.exit(main())
