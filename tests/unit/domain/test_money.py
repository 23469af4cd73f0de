"""Decimals and micros: exact, or refused."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.domain.money import LARGEST_MICROS, from_micros, is_currency, to_micros, unit_micros


@given(st.integers(-LARGEST_MICROS, LARGEST_MICROS))
def test_micros_written_as_decimals_are_read_back_to_the_micro(micros: int) -> None:
    if abs(micros) <= LARGEST_MICROS // 1_000_000 * 1_000_000:
        assert to_micros(from_micros(micros)) == micros


@pytest.mark.parametrize(
    ("amount", "wanted"),
    [
        ("1.0000001", "at most six decimals"),
        ("0.00000100000000000000000000000000001", "at most six decimals"),
        ("1e-400", "at most six decimals"),
        (Decimal("1e-999999999"), "at most six decimals"),
        ("1e400", "an amount up to"),
        (Decimal("1e999999999"), "an amount up to"),
        (Decimal("-1e999999999"), "an amount up to"),
        ("nan", "a finite amount"),
        (float("inf"), "a finite amount"),
        ("twelve", "an amount such as 12.50"),
        ("", "an amount such as 12.50"),
    ],
)
def test_what_cannot_be_exact_is_refused(amount: str | float | Decimal, wanted: str) -> None:
    with pytest.raises(ValueError, match=wanted):
        to_micros(amount)


def test_floats_mean_what_they_print() -> None:
    assert to_micros(0.1) == 100_000
    assert to_micros(12.34) == 12_340_000


def test_negative_amounts_keep_their_sign() -> None:
    assert from_micros(-1) == "-0.000001"
    assert to_micros("-0.000001") == -1


def test_currencies_without_cents_count_coarser_units() -> None:
    assert unit_micros("JPY") == 100 * unit_micros("EUR")


def test_a_currency_is_three_capitals() -> None:
    assert [is_currency(text) for text in ("EUR", "eur", "EURO", "E1R", "")] == [
        True,
        False,
        False,
        False,
        False,
    ]
