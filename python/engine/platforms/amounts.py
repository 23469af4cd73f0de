"""Amounts as platforms write them in answers: decimals to micros, without a detour by floats."""

from decimal import ROUND_HALF_EVEN, Decimal, InvalidOperation

from engine.domain.money import LARGEST_MICROS, MICROS

__all__ = ["decimal_of", "micros_of", "thousandths_of", "whole_of"]


def micros_of(amount: object) -> int:
    """Return an amount in units of its currency as micros, rounded.

    >>> micros_of("12.34"), micros_of(0.1), micros_of(None)
    (12340000, 100000, 0)
    """
    return _scaled(amount, MICROS)


def thousandths_of(count: object) -> int:
    """Return a count that may be a fraction as thousandths, rounded."""
    return _scaled(count, 1_000)


def whole_of(count: object) -> int:
    """Return a count as it is told: a number, a text, or nothing at all."""
    return _scaled(count, 1)


def decimal_of(micros: int) -> str:
    """Return micros in units of their currency, with no more digits than are needed.

    >>> decimal_of(12_340_000), decimal_of(50_000_000)
    ('12.34', '50')
    """
    return f"{(Decimal(micros) / MICROS).normalize():f}"


def _scaled(amount: object, scale: int) -> int:
    if amount is None or amount in ("", "-"):
        return 0
    try:
        # A float is read by its shortest text: 0.1 is a tenth, whatever the bits say.
        value = Decimal(str(amount))
        scaled = (value * scale).to_integral_value(rounding=ROUND_HALF_EVEN)
    except InvalidOperation:
        raise ValueError(f"a number wanted, found {amount!r}") from None
    if not scaled.is_finite() or abs(scaled) > LARGEST_MICROS:
        raise ValueError(f"a number up to {LARGEST_MICROS} wanted, found {amount!r}")
    return int(scaled)
