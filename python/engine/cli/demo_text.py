"""Numbers as the demo writes them: money, shares, and a dash for what has no answer."""

from engine.domain.money import MICROS

__all__ = ["NONE", "exit_text", "money", "per_second", "percent", "price", "ratio", "share"]

NONE = "-"


def money(micros: int | None) -> str:
    """Return an amount in whole dollars: the demo's campaigns are all in USD."""
    return NONE if micros is None else f"${micros / MICROS:,.0f}"


def price(micros: float | None) -> str:
    """Return the price of a click."""
    return NONE if micros is None else f"{micros / MICROS:.2f}"


def share(fraction: float | None) -> str:
    """Return a small fraction, such as a cvr."""
    return NONE if fraction is None else f"{100 * fraction:.1f}%"


def percent(fraction: float | None) -> str:
    """Return a fraction of something whole."""
    return NONE if fraction is None else f"{100 * fraction:.0f}%"


def ratio(number: float | None) -> str:
    """Return a ratio, such as a roas."""
    return NONE if number is None else f"{number:.2f}"


def per_second(rate: float | None) -> str:
    """Return a rate."""
    return NONE if rate is None else f"{rate:,.0f}/s"


def exit_text(code: int | None) -> str:
    """Return how a process ended."""
    if code is None:
        return "still runs"
    return f"ended by signal {-code}" if code < 0 else f"ended with exit code {code}"
