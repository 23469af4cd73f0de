"""Meta's amounts: whole numbers of a currency's smallest unit, by Meta's own table.

Budgets and bids are in hundredths of a unit, but for eleven currencies, in units. Meta's list is
not ISO's: the forint, the Taiwan dollar and two pesos have cents by ISO and none here. A budget
written by the wrong table would be a hundred times too much, so a currency of neither list is
refused. Reports tell spend in units, with decimals.
Source: developers.facebook.com, Marketing API, Currencies.
"""

from engine.domain.money import MICROS
from engine.errors import PlatformRejectedError

__all__ = ["from_minor", "step_micros", "to_minor"]

_UNITS = frozenset(
    {"CLP", "COP", "CRC", "HUF", "IDR", "ISK", "JPY", "KRW", "PYG", "TWD", "VND"},
)
_HUNDREDTHS = frozenset(
    {"AED", "ARS", "AUD", "BDT", "BGN", "BOB", "BRL", "CAD", "CHF", "CNY", "CZK", "DKK"}
    | {"DZD", "EGP", "EUR", "GBP", "GTQ", "HKD", "HNL", "HRK", "ILS", "INR", "KES", "KZT"}
    | {"LKR", "MAD", "MOP", "MXN", "MYR", "NGN", "NIO", "NOK", "NZD", "PEN", "PHP", "PKR"}
    | {"PLN", "QAR", "RON", "RSD", "RUB", "SAR", "SEK", "SGD", "THB", "TRY", "UAH", "USD"}
    | {"UYU", "ZAR"}
)


def step_micros(currency: str) -> int:
    """Return what one of Meta's smallest units is, in micros. Raises PlatformRejectedError."""
    if currency in _UNITS:
        return MICROS
    if currency in _HUNDREDTHS:
        return MICROS // 100
    reason = f"a currency of Meta's table wanted, found {currency!r}: its smallest unit is unknown"
    raise PlatformRejectedError("meta", reason, code="currency")


def to_minor(micros: int, step: int) -> int:
    """Return micros as so many smallest units. Raises ValueError where there is a rest."""
    units, rest = divmod(micros, step)
    if rest:
        raise ValueError(f"a multiple of {step} micros wanted, found {micros}")
    return units


def from_minor(amount: object, step: int) -> int | None:
    """Return an amount of Meta's in micros; None for what is not set, which Meta tells as 0."""
    if amount is None or isinstance(amount, bool) or not str(amount).isdigit():
        return None
    return int(str(amount)) * step or None
