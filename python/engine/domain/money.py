"""Money: integer micros of one currency; decimals only where people read and write.

>>> to_micros("12.345678")
12345678
>>> from_micros(12_340_000)
'12.34'
"""

from decimal import Decimal, InvalidOperation

__all__ = ["MICROS", "from_micros", "is_currency", "to_micros", "unit_micros"]

MICROS = 1_000_000
LARGEST_MICROS = 2**53  # about nine billion units: exact in every JSON reader

# Currencies without minor units (ISO 4217): their amounts are larger, so samples count coarser units.
_WITHOUT_MINOR = frozenset(
    "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF IDR IRR LAK".split()
)


def to_micros(amount: str | float | Decimal) -> int:
    """Return an amount, written in decimals, as micros.

    Raises ValueError where it is no number, finer than a micro, or beyond 2**53 micros.
    """
    try:
        value = Decimal(str(amount)) * MICROS
    except InvalidOperation:
        raise ValueError(f"an amount such as 12.50, found {amount!r}") from None
    if not value.is_finite():
        raise ValueError(f"a finite amount, found {amount!r}")
    if abs(value) > LARGEST_MICROS:
        raise ValueError(f"an amount up to {LARGEST_MICROS // MICROS}, found {amount!r}")
    if value != value.to_integral_value():
        raise ValueError(f"at most six decimals, found {amount!r}")
    return int(value)


def from_micros(micros: int) -> str:
    """Return micros as decimals: at least two, at most six."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def is_currency(text: str) -> bool:
    """Return whether `text` looks like an ISO 4217 code: three capitals."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def unit_micros(currency: str) -> int:
    """Return the unit, in micros, in which a sample of this currency counts its spend.

    One sample holds up to 2**31 units: 214,748.36 in currencies with cents, 21,474,836 in others.
    """
    return 10_000 if currency in _WITHOUT_MINOR else 100
