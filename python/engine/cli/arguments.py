"""Arguments as several commands take them: whole numbers, times, files written at the end."""

import os
from collections.abc import Sequence
from datetime import UTC
from pathlib import Path
from typing import Annotated

from cyclopts import CoercionError, Parameter, Token

from engine.campaigns.files.times import instant
from engine.clock import SystemClock
from engine.errors import ConfigError

__all__ = ["Whole", "check_writable", "time_of"]


def _whole(_type: object, tokens: Sequence[Token]) -> int:
    try:
        return int(tokens[0].value)
    except ValueError:
        raise CoercionError(token=tokens[0], target_type=int) from None


Whole = Annotated[int, Parameter(converter=_whole)]
"""A whole number: 1.5 is refused, where cyclopts would round it."""


def check_writable(flag: str, path: Path) -> None:
    """Raise ConfigError where a file cannot be written: before the work whose result goes there."""
    found = ""
    if path.is_dir():
        found = "a directory"
    elif not path.parent.is_dir():
        found = f"no directory {path.parent}"
    elif not os.access(path if path.exists() else path.parent, os.W_OK):
        found = "no permission to write it"
    if found:
        raise ConfigError(f"{flag} {path}: a file to write, found {found}")


def time_of(flag: str, text: str | None) -> float | None:
    """Return the time that a flag names, in epoch seconds; None where it is not given.

    Raises ConfigError.
    """
    if text is None:
        return None
    now = SystemClock().now()
    try:
        return instant(text, zone=UTC, since=now, now=now)
    except ValueError as error:
        raise ConfigError(f"{flag}: {error}, found {text!r}") from None
