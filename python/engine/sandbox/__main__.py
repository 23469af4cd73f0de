"""`python -m engine.sandbox`: `engine sandbox` as a module."""

import sys

from engine.cli.__main__ import run

__all__: list[str] = []

if __name__ == "__main__":
    sys.exit(run(["sandbox", *sys.argv[1:]]))
