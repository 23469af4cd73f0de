"""Who asks TikTok, and where: the fields of its credentials."""

import httpx2
import msgspec

from engine.errors import PlatformError
from engine.platforms.credentials import Credentials, Secret, masked
from engine.platforms.http import endpoint_of

__all__ = ["ACCESS_LEVELS", "NAME", "Access", "Level", "access_of"]

NAME = "tiktok"
ENDPOINT = "https://business-api.tiktok.com"
VALUE_METRIC = "total_complete_payment_rate"  # by its name a rate: it is the value of purchases
NO_METRIC = "none"


class Level(msgspec.Struct, frozen=True):
    """What an app may ask in a second and in a day."""

    per_second: int
    per_day: int


# Source: business-api.tiktok.com, Rate limits.
ACCESS_LEVELS = {
    "basic": Level(10, 864_000),
    "advanced": Level(20, 1_728_000),
    "premium": Level(30, 2_592_000),
}

_FIELDS = (
    "access_level",
    "access_token",
    "advertiser_ids",
    "app_id",
    "app_secret",
    "ca",
    "conversion_metric",
    "endpoint",
    "value_metric",
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where TikTok is, and who asks."""

    endpoint: str
    ca: str  # certificates in PEM to trust, "" for the usual
    token: Secret
    app_id: str
    app_secret: Secret | None
    advertisers: tuple[str, ...]  # ad accounts that are named, where the app's secret is not
    level: Level
    conversion_metric: str
    value_metric: str  # "": none

    def sign(self, url: httpx2.URL, headers: httpx2.Headers) -> httpx2.URL:
        """Add who asks; the app's secret where its ad accounts are asked for."""
        headers["access-token"] = self.token.reveal()
        if self.app_secret is not None and url.path.endswith("/oauth2/advertiser/get/"):
            return url.copy_merge_params(
                {"app_id": self.app_id, "secret": self.app_secret.reveal()}
            )
        return url

    def masked(self, error: PlatformError) -> PlatformError:
        """Return an error without the secrets."""
        return masked(error, self.token, self.app_secret)


def access_of(credentials: Credentials) -> Access:
    """Return what the credentials mean. Raises PlatformCredentialsError."""
    credentials.allow(_FIELDS)
    token = credentials.require_token("access_token")
    if credentials.get("app_secret") or credentials.get("app_id"):
        credentials.require("app_id", "app_secret")
    level = credentials.text("access_level", "basic").lower()
    if level not in ACCESS_LEVELS:
        levels = ", ".join(ACCESS_LEVELS)
        raise credentials.refused(f"access_level: one of {levels} wanted, found {level!r}")
    ids = [each.strip() for each in credentials.text("advertiser_ids").split(",") if each.strip()]
    for each in ids:
        if not (each.isascii() and each.isdigit()):
            raise credentials.refused(f"advertiser_ids: digits and commas wanted, found {each!r}")
    value = credentials.text("value_metric", VALUE_METRIC)
    return Access(
        endpoint=endpoint_of(credentials, ENDPOINT),
        ca=credentials.text("ca"),
        token=token,
        app_id=credentials.text("app_id"),
        app_secret=credentials.get("app_secret"),
        advertisers=tuple(ids),
        level=ACCESS_LEVELS[level],
        conversion_metric=credentials.text("conversion_metric", "conversion"),
        value_metric="" if value == NO_METRIC else value,
    )
