"""A row of a file, and a problem with one: what all four formats have in common."""

from collections.abc import Callable
from decimal import Decimal

import msgspec

__all__ = ["BESIDE", "Columns", "Path", "Problem", "Row", "shown"]

Path = tuple[str, ...]
"""Where a field is within its row: ("flight", "ends_at")."""

BESIDE = frozenset({"accounts", "campaigns", "columns"})
"""What may stand beside a list: accounts beside campaigns, and how a backtest reads a log."""

LONGEST_SHOWN = 60


class Row(msgspec.Struct, frozen=True):
    """One campaign or sample as its file says it: names and plain values, nothing converted.

    Values are str, int, Decimal, float (only nan and inf), bool, None, list or dict; where
    `is_text`, as in CSV, all are str and those not given are absent.
    """

    file: str
    line: int  # where it begins, counted from 1
    fields: dict[str, object]
    locate: Callable[[Path], int]  # the line of a field
    is_text: bool = False


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """What is wrong with a row, or with a whole file (line None): one clear line for people."""

    file: str
    line: int | None
    field: str  # "" where no single field is to blame
    wanted: str
    found: str
    campaign: str = ""

    def __str__(self) -> str:
        place = self.file if self.line is None else f"{self.file}:{self.line}"
        who = "".join(f"{part}: " for part in (self.campaign, self.field) if part)
        return _printable(f"{place}: {who}wanted {self.wanted}, found {self.found}")


class Columns(msgspec.Struct, frozen=True):
    """The columns a CSV file may have."""

    names: tuple[str, ...]
    required: tuple[str, ...]
    is_open: Callable[[str], bool] = lambda name: False  # further names, such as labels.team


def shown(value: object) -> str:
    """Return a found value for a line of text: short, printable, in one line.

    >>> shown("12 %"), shown(None), shown(True), shown([1])
    ("'12 %'", 'nothing', 'true', 'a list')
    """
    match value:
        case None:
            return "nothing"
        case bool():
            return str(value).lower()
        case str():
            return repr(_short(value))
        case Decimal() | int() | float():
            return _short(str(value))
        case list():
            return "a list"
        case dict():
            return "a mapping"
    return _short(str(value))


def _printable(text: str) -> str:
    """Return a text with what would disturb a line escaped: names are whatever a file says."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _short(text: str) -> str:
    if len(text) <= LONGEST_SHOWN:
        return text
    return f"{text[: LONGEST_SHOWN - 1]}… ({len(text)} characters)"
