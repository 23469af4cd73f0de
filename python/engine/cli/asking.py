"""A question before something that cannot be undone, or concerns many."""

import sys
from typing import Annotated

from cyclopts import Parameter

from engine.cli.output import complain

__all__ = ["FAILED", "NOT_UNDERSTOOD", "DryRun", "Note", "Yes", "agreed"]

Note = Annotated[str, Parameter(help="Why, for people.")]
Yes = Annotated[bool, Parameter(name=["--yes", "-y"], negative="", help="Do not ask.")]
DryRun = Annotated[bool, Parameter(negative="", help="Say what would be done; change nothing.")]

FAILED, NOT_UNDERSTOOD = 1, 2


def agreed(question: str, *, command: str, nothing: str) -> int | None:
    """Ask, and return None for a yes; otherwise the exit code, having said why.

    `nothing` is what is said after a no. Without a terminal to ask on nobody is asked: --yes is
    wanted.
    """
    if not sys.stdin.isatty():
        complain(f"engine {command}: without a terminal to ask on, add --yes (or --dry-run)")
        return NOT_UNDERSTOOD
    sys.stderr.write(f"{question} [y/N] ")
    sys.stderr.flush()
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        complain(nothing)
        return FAILED
    return None
