"""Who asks Meta, and where: the fields of its credentials, and how a request is signed."""

import hashlib
import hmac
import re

import httpx2
import msgspec

from engine.errors import PlatformError
from engine.platforms.credentials import Credentials, Secret, masked
from engine.platforms.http import endpoint_of

__all__ = ["ACCESS_LEVELS", "NAME", "Access", "access_of"]

NAME = "meta"
ENDPOINT = "https://graph.facebook.com"
API_VERSION = "v25.0"
CONVERSION_ACTION = "omni_purchase"

# Points in an hour and ad account by the app's tier of the Marketing API, before the 40 more that
# each active ad brings; a question costs one, a change three.
# Source: developers.facebook.com, Marketing API, Rate limiting.
ACCESS_LEVELS = {"development": 300, "standard": 100_000}
POINTS_A_CHANGE = 3

_FIELDS = (
    "access_level",
    "access_token",
    "api_version",
    "app_secret",
    "budget_changes_per_hour",
    "ca",
    "conversion_action",
    "endpoint",
)


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where Meta is, and who asks."""

    endpoint: str
    api_version: str
    ca: str  # certificates in PEM to trust, "" for the usual
    token: Secret
    app_secret: Secret | None
    points_per_hour: int
    budget_changes_per_hour: int  # of one ad set
    conversion_action: str  # which of a report's actions is a conversion

    def sign(self, url: httpx2.URL, headers: httpx2.Headers) -> httpx2.URL:
        """Add who asks: the token, and the proof that the app's secret is known."""
        token = self.token.reveal()
        headers["authorization"] = f"Bearer {token}"
        if self.app_secret is None:
            return url
        proof = hmac.new(self.app_secret.reveal().encode(), token.encode(), hashlib.sha256)
        return url.copy_merge_params({"appsecret_proof": proof.hexdigest()})

    def masked(self, error: PlatformError) -> PlatformError:
        """Return an error without the secrets."""
        return masked(error, self.token, self.app_secret)


def access_of(credentials: Credentials) -> Access:
    """Return what the credentials mean. Raises PlatformCredentialsError."""
    credentials.allow(_FIELDS)
    token = credentials.require_token("access_token")
    level = credentials.text("access_level", "development").lower()
    if level not in ACCESS_LEVELS:
        levels = ", ".join(ACCESS_LEVELS)
        raise credentials.refused(f"access_level: one of {levels} wanted, found {level!r}")
    version = credentials.text("api_version", API_VERSION)
    if re.fullmatch(r"v\d{1,3}\.\d", version) is None:
        raise credentials.refused(f"api_version: such as {API_VERSION} wanted, found {version!r}")
    changes = credentials.text("budget_changes_per_hour", "4")
    if not (changes.isascii() and changes.isdigit() and int(changes) > 0):
        reason = f"budget_changes_per_hour: a number above 0 wanted, found {changes!r}"
        raise credentials.refused(reason)
    return Access(
        endpoint=endpoint_of(credentials, ENDPOINT),
        api_version=version,
        ca=credentials.text("ca"),
        token=token,
        app_secret=credentials.get("app_secret"),
        points_per_hour=ACCESS_LEVELS[level],
        budget_changes_per_hour=int(changes),
        conversion_action=credentials.text("conversion_action", CONVERSION_ACTION),
    )
