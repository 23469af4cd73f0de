"""Which column, or expression over columns, each field of a log is read from."""

import difflib
from collections.abc import Iterable, Mapping

from engine.errors import ConfigError

__all__ = ["FIELDS", "REQUIRED", "did_you_mean", "mapping_of", "parse_map"]

REQUIRED = ("campaign", "platform", "at", "clicks", "spend")
FIELDS = (*REQUIRED, "impressions", "conversions", "bid")


def parse_map(text: str) -> tuple[str, str]:
    """Return the field and the column of a text such as "spend=cost".

    >>> parse_map("spend = cost_micros / 1e6")
    ('spend', 'cost_micros / 1e6')

    Raises ConfigError.
    """
    field, equals, column = (part.strip() for part in text.partition("="))
    if not equals or not column:
        raise ConfigError(f"--map {text}: field=column such as spend=cost, found {text!r}")
    _check(f"--map {text}", field)
    return field, column


def mapping_of(given: object, *, where: str) -> dict[str, str]:
    """Return what a campaigns file has under `columns`. Raises ConfigError; `where` is the file."""
    if given is None:
        return {}
    if not isinstance(given, Mapping):
        kind = type(given).__name__
        raise ConfigError(f"{where}: columns: a mapping from field to column, found {kind}")
    for field, column in given.items():
        _check(f"{where}: columns", str(field))
        if not isinstance(column, str) or not column.strip():
            wanted = "a column or an expression over columns, as text"
            raise ConfigError(f"{where}: columns.{field}: {wanted}, found {column!r}")
    return {str(field): column.strip() for field, column in given.items()}


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return a hint to the known name nearest to `name`; "" where none is near."""
    by_lower = {one.lower(): one for one in known}
    near = difflib.get_close_matches(name.lower(), by_lower, n=1, cutoff=0.6)
    return f" (did you mean {by_lower[near[0]]}?)" if near else ""


def _check(where: str, field: str) -> None:
    if field not in FIELDS:
        hint = did_you_mean(field, FIELDS)
        raise ConfigError(f"{where}: one of {', '.join(FIELDS)}{hint}, found {field!r}")
