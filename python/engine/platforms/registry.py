"""Which adapters there are, by name, and how one is made.

An adapter is an entry point of the group `campaign_engine.platforms`: a callable that takes
credentials and a clock and returns a `Platform`. Those of this package are known without being
installed; a third party's package adds its own. Nothing is imported before it is asked for.
"""

from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import Protocol, cast

from engine.clock import Clock
from engine.domain.ids import is_platform
from engine.errors import ConfigError
from engine.platforms.credentials import Credentials
from engine.platforms.port import Platform

__all__ = ["GROUP", "OWN", "Maker", "make_platform", "platform_names"]

GROUP = "campaign_engine.platforms"
OWN = {
    "google": "engine.platforms.google.adapter:make",
    "meta": "engine.platforms.meta.adapter:make",
    "tiktok": "engine.platforms.tiktok.adapter:make",
}
_EXTRAS = {"google": "google", "meta": "platforms", "tiktok": "platforms"}


class Maker(Protocol):
    """What an entry point names. It touches no network: the first call does."""

    def __call__(self, credentials: Credentials, *, clock: Clock) -> Platform:
        """Return an adapter. Raises PlatformCredentialsError where the credentials do not do."""
        ...


def platform_names() -> list[str]:
    """Return the names of all adapters that are installed, sorted."""
    return sorted({*OWN, *(point.name for point in entry_points(group=GROUP))})


def make_platform(name: str, credentials: Credentials, *, clock: Clock) -> Platform:
    """Return the adapter of that name.

    Raises:
        ConfigError: there is none, two packages claim the name, or what it needs is not installed.
        PlatformCredentialsError: the credentials do not do.
    """
    return _maker(name)(credentials, clock=clock)


def _maker(name: str) -> Maker:
    path = OWN.get(name) or _foreign(name).value
    module, _, attribute = path.partition(":")
    try:
        return cast("Maker", getattr(import_module(module), attribute))
    except ModuleNotFoundError as error:
        if name not in OWN:
            raise ConfigError(f"{name} needs a package that is not there: {error.name}") from error
        if (error.name or "").split(".")[0] == "engine":
            raise  # ours is broken: no extra mends it
        raise ConfigError(
            f"{name} needs: pip install 'campaign-engine[{_EXTRAS[name]}]'"
        ) from error
    except AttributeError as error:
        raise ConfigError(f"{name}: {path} wanted, found no {attribute!r}") from error


def _foreign(name: str) -> EntryPoint:
    found = [point for point in entry_points(group=GROUP) if point.name == name]
    if not found or not is_platform(name):
        known = ", ".join(platform_names())
        raise ConfigError(f"an ad platform wanted ({known}), found {name!r}")
    if len({point.value for point in found}) > 1:
        packages = " and ".join(sorted(point.dist.name for point in found if point.dist))
        raise ConfigError(f"{name}: one adapter wanted, found one in each of {packages}")
    return found[0]
