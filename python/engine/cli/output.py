"""What commands print: results on stdout, for people or as JSON; everything else on stderr."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import msgspec

from engine.campaigns.files.rows import Problem
from engine.errors import ConfigError

__all__ = ["as_json", "complain", "flush", "progress", "rejects", "say", "show_problems", "utc"]

MOST_SHOWN = 20


def say(line: str) -> None:
    """Print a line of the result."""
    sys.stdout.write(f"{line}\n")


def complain(line: str) -> None:
    """Print a line about what went wrong, or how far things are."""
    sys.stderr.write(f"{line}\n")


def as_json(value: object) -> None:
    """Print a value as one line of JSON; times and money stay numbers."""
    sys.stdout.write(msgspec.json.encode(value).decode())
    sys.stdout.write("\n")


def flush() -> None:
    """Let a reader of a pipe see what has been printed so far."""
    sys.stdout.flush()


def show_problems(problems: list[Problem], total: int, kept_in: Path | None) -> None:
    """Print the first few problems, and how many more there are and where."""
    for problem in problems[:MOST_SHOWN]:
        complain(str(problem))
    more = total - min(MOST_SHOWN, len(problems))
    if more > 0:
        where = f"in {kept_in}" if kept_in else "with --json, or in a file with --rejects FILE"
        complain(f"… and {more:,} more: all of them {where}")


@contextmanager
def rejects(path: Path | None) -> Iterator[Callable[[Problem], None]]:
    """Give a function that keeps a problem in a file, one JSON object a line.

    Raises ConfigError where the file cannot be written, before anything else happens.
    """
    if path is None:
        yield lambda problem: None
        return
    try:
        file = path.open("w", encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"--rejects {path}: a file to write, found {error.strerror}") from None
    with file:
        yield lambda problem: _write(file.write, problem)


@contextmanager
def progress(what: str, total: int | None) -> Iterator[Callable[[int], None]]:
    """Give a function that says how many are done: a bar on stderr, where that is a terminal."""
    if not sys.stderr.isatty():
        yield lambda done: None
        return
    # rich takes a while to import, which scripts need not wait for.
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    columns = (TextColumn(what), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda done: bar.update(task, completed=done)


def utc(at: float) -> str:
    """Return epoch seconds as people read them.

    >>> utc(1_800_000_000)
    '2027-01-15 08:00:00Z'
    """
    from datetime import UTC, datetime

    return f"{datetime.fromtimestamp(at, UTC):%Y-%m-%d %H:%M:%S}Z"


def _write(write: Callable[[str], int], problem: Problem) -> None:
    write(msgspec.json.encode(problem).decode() + "\n")
