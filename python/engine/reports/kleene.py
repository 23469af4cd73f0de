"""Kleene's logic over rows: what holds, what does not, and what is not known (None)."""

from collections.abc import Callable
from typing import TypeVar

__all__ = [
    "Judge",
    "Value",
    "all_of",
    "any_of",
    "compared",
    "compared_with",
    "in_currency",
    "is_none",
    "not_so",
    "of_texts",
]

_RowT = TypeVar("_RowT")
Value = float | str | tuple[str, ...] | None
Judge = Callable[[_RowT], bool | None]


def any_of(parts: list[Judge[_RowT]]) -> Judge[_RowT]:
    """Return whether one of the parts holds; None where none does, and one is not known."""

    def judge(row: _RowT) -> bool | None:
        found: bool | None = False
        for part in parts:
            one = part(row)
            if one:
                return True
            if one is None:
                found = None
        return found

    return judge


def all_of(parts: list[Judge[_RowT]]) -> Judge[_RowT]:
    """Return whether all parts hold; None where none fails, and one is not known."""

    def judge(row: _RowT) -> bool | None:
        found: bool | None = True
        for part in parts:
            one = part(row)
            if one is False:
                return False
            if one is None:
                found = None
        return found

    return judge


def not_so(part: Judge[_RowT]) -> Judge[_RowT]:
    def judge(row: _RowT) -> bool | None:
        one = part(row)
        return None if one is None else not one

    return judge


def is_none(get: Callable[[_RowT], Value], *, is_wanted: bool) -> Judge[_RowT]:
    return lambda row: (get(row) is None) == is_wanted


def compared_with(
    get: Callable[[_RowT], Value], wanted: float, compare: Callable[[float, float], bool]
) -> Judge[_RowT]:
    def judge(row: _RowT) -> bool | None:
        found = get(row)
        return compare(found, wanted) if isinstance(found, int | float) else None

    return judge


def compared(
    get: Callable[[_RowT], Value],
    other: Callable[[_RowT], Value],
    compare: Callable[[float, float], bool],
) -> Judge[_RowT]:
    def judge(row: _RowT) -> bool | None:
        one, two = get(row), other(row)
        if isinstance(one, int | float) and isinstance(two, int | float):
            return compare(one, two)
        return None

    return judge


def of_texts(get: Callable[[_RowT], Value], is_it: Callable[[str], bool]) -> Judge[_RowT]:
    def judge(row: _RowT) -> bool | None:
        found = get(row)
        if isinstance(found, tuple):
            return any(is_it(one) for one in found)
        return is_it(found) if isinstance(found, str) else None

    return judge


def in_currency(
    judge: Judge[_RowT], currency: str, currency_of: Callable[[_RowT], str]
) -> Judge[_RowT]:
    """Let amounts of another currency be undecided: they are neither more nor less."""
    return lambda row: judge(row) if currency_of(row) == currency else None
