"""Meta's amounts: its own table of smallest units, and nothing rounded on the way out."""

import pytest

from engine.errors import PlatformRejectedError
from engine.platforms.amounts import decimal_of, micros_of, thousandths_of, whole_of
from engine.platforms.meta.money import from_minor, step_micros, to_minor


@pytest.mark.parametrize(
    ("currency", "budget", "written"),
    [
        ("EUR", 12_340_000, 1_234),
        ("USD", 10_000, 1),
        ("JPY", 5_000_000_000, 5_000),
        ("HUF", 3_000_000_000, 3_000),  # has cents by ISO 4217, and none at Meta
        ("TWD", 400_000_000, 400),
        ("COP", 90_000_000_000, 90_000),
        ("INR", 250_000_000, 25_000),
    ],
)
def test_a_budget_is_written_in_the_smallest_unit_and_read_back(
    currency: str, budget: int, written: int
) -> None:
    step = step_micros(currency)
    assert to_minor(budget, step) == written
    assert from_minor(str(written), step) == budget


def test_a_currency_that_is_in_no_table_is_not_guessed() -> None:
    with pytest.raises(PlatformRejectedError, match="found 'XAF'"):
        step_micros("XAF")


def test_no_amount_is_rounded_on_its_way_out() -> None:
    with pytest.raises(ValueError, match="a multiple of 10000 micros wanted"):
        to_minor(12_345_678, 10_000)


@pytest.mark.parametrize("nothing", [None, "0", 0, "", "-5", True, "1.5"])
def test_what_is_not_set_is_no_amount(nothing: object) -> None:
    assert from_minor(nothing, 10_000) is None


@pytest.mark.parametrize(
    ("told", "micros"),
    [
        ("12.34", 12_340_000),
        (0.1, 100_000),
        (7, 7_000_000),
        *((nothing, 0) for nothing in ("0", None, "", "-")),
        ("12.3456785", 12_345_678),
        ("1e3", 1_000_000_000),
        ("4503599627.370496", 2**52),
    ],
)
def test_amounts_in_units_are_read_exactly(told: object, micros: int) -> None:
    assert micros_of(told) == micros


@pytest.mark.parametrize("told", ["twelve", "nan", "inf", "1e400", {}, "9007199255"])
def test_what_is_no_amount_is_not_taken_for_one(told: object) -> None:
    with pytest.raises(ValueError, match="wanted, found"):
        micros_of(told)


def test_counts_may_be_fractions_and_texts() -> None:
    assert (thousandths_of("2.5"), thousandths_of(3), whole_of("1234"), whole_of(None)) == (
        2_500,
        3_000,
        1_234,
        0,
    )


def test_micros_are_written_with_no_more_digits_than_are_needed() -> None:
    assert [decimal_of(m) for m in (12_340_000, 50_000_000, 1, 0)] == [
        "12.34",
        "50",
        "0.000001",
        "0",
    ]
