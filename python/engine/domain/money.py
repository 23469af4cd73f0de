"""Money: integer micros of one currency; decimals only where people read and write.

>>> to_micros("12.345678")
12345678
>>> from_micros(12_340_000)
'12.34'
"""

from decimal import Context, Decimal, DecimalException, Inexact, InvalidOperation

__all__ = [
    "LARGEST_MICROS",
    "MICROS",
    "from_micros",
    "has_minor_units",
    "is_currency",
    "to_micros",
    "unit_micros",
]

MICROS = 1_000_000
LARGEST_MICROS = 2**53  # about nine billion units: exact in every JSON reader

# Amounts are scaled without rounding: what does not fit is refused, never made to fit.
_EXACT = Context(prec=64, traps=[InvalidOperation, Inexact])

# Currencies without minor units (ISO 4217): larger amounts, so coarser samples.
_WITHOUT_MINOR = frozenset(
    {"BIF", "CLP", "DJF", "GNF", "IDR", "IRR", "ISK", "JPY", "KMF", "KRW"}
    | {"LAK", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF"}
)


def to_micros(amount: str | float | Decimal) -> int:
    """Return an amount, written in decimals, as micros.

    Raises ValueError where it is no number, finer than a micro, or beyond 2**53 micros.
    """
    try:
        value = Decimal(str(amount))
    except InvalidOperation:
        raise ValueError(f"an amount such as 12.50, found {amount!r}") from None
    if not value.is_finite():
        raise ValueError(f"a finite amount, found {amount!r}")
    # Compared before it is scaled: 1e400 would otherwise become an integer of 400 digits.
    if value.copy_abs() > LARGEST_MICROS // MICROS:
        raise ValueError(f"an amount up to {LARGEST_MICROS // MICROS}, found {amount!r}")
    try:
        return int(_EXACT.to_integral_exact(_EXACT.multiply(value, Decimal(MICROS))))
    except DecimalException:
        raise ValueError(f"at most six decimals, found {amount!r}") from None


def from_micros(micros: int) -> str:
    """Return micros as decimals: at least two, at most six."""
    sign = "-" if micros < 0 else ""
    whole, rest = divmod(abs(micros), MICROS)
    digits = f"{rest:06d}".rstrip("0").ljust(2, "0")
    return f"{sign}{whole}.{digits}"


def is_currency(text: str) -> bool:
    """Return whether `text` looks like an ISO 4217 code: three capitals."""
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def has_minor_units(currency: str) -> bool:
    """Return whether a currency counts cents: false for JPY, KRW and their like."""
    return currency not in _WITHOUT_MINOR


def unit_micros(currency: str) -> int:
    """Return the unit, in micros, in which a sample of this currency counts its spend.

    One sample holds up to 2**31 units: 214,748.36 in currencies with cents, 21,474,836 in others.
    """
    return 100 if has_minor_units(currency) else 10_000
