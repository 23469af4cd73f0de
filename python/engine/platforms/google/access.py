"""Who asks Google, and where: the fields of its credentials, and tokens that expire.

A refresh token (with its client's id and secret) or a service account's key is turned into an
access token, good for an hour, in a thread: google-auth has no other way that it keeps up.
"""

import asyncio
import json
from functools import partial
from typing import Any, Protocol
from urllib.parse import urlsplit

import msgspec
from google.auth import exceptions as auth_errors
from google.auth.transport.requests import Request
from google.oauth2 import credentials as user_credentials
from google.oauth2 import service_account

from engine.errors import PlatformCredentialsError, PlatformUnavailableError
from engine.platforms.credentials import Credentials, Secret

__all__ = ["ACCESS_LEVELS", "Access", "Tokens", "access_of"]

NAME = "google"
SCOPE = "https://www.googleapis.com/auth/adwords"
ENDPOINT = "https://googleads.googleapis.com"
TOKEN_URI = "https://oauth2.googleapis.com/token"
_TOKEN_TIMEOUT_S = 10.0
_LOOPBACK = {"127.0.0.1", "localhost", "::1"}

# Operations in 24 hours by the access level of the Google Cloud project (None: no limit); what is
# asked counts as one, what is changed as many as are changed. `test` reaches test accounts only.
ACCESS_LEVELS: dict[str, int | None] = {
    "test": 15_000,
    "explorer": 2_880,
    "basic": 15_000,
    "standard": None,
}

_FIELDS = (
    "access_level",
    "ca",
    "client_id",
    "client_secret",
    "developer_token",
    "endpoint",
    "impersonated_email",
    "login_customer_id",
    "refresh_token",
    "service_account",
    "token_uri",
)


class Tokens(Protocol):
    """Where access tokens come from."""

    async def fresh(self) -> Secret:
        """Return one that is good now. Raises PlatformCredentialsError, …UnavailableError."""
        ...

    def forget(self) -> None:
        """Take the present one for expired: the platform refused it."""
        ...


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """Where Google is, and who asks."""

    host: str  # host:port
    is_plain: bool  # without TLS: to this machine only
    ca: str  # certificates in PEM to trust, "" for those that gRPC brings
    login_customer_id: str  # the manager through whom ad accounts are reached
    developer_token: Secret | None
    operations_per_day: int | None
    tokens: Tokens


def access_of(credentials: Credentials) -> Access:
    """Return what the credentials mean. Raises PlatformCredentialsError."""
    credentials.allow(_FIELDS)
    host, is_plain = _endpoint(credentials)
    level = credentials.text("access_level", "explorer").lower()
    if level not in ACCESS_LEVELS:
        levels = ", ".join(ACCESS_LEVELS)
        raise credentials.refused(f"access_level: one of {levels} wanted, found {level!r}")
    return Access(
        host=host,
        is_plain=is_plain,
        ca=credentials.text("ca"),
        login_customer_id=_customer_id(credentials, "login_customer_id"),
        developer_token=credentials.get("developer_token"),
        operations_per_day=ACCESS_LEVELS[level],
        tokens=_tokens(credentials),
    )


def _endpoint(credentials: Credentials) -> tuple[str, bool]:
    address = credentials.text("endpoint", ENDPOINT)
    parts = urlsplit(address if "://" in address else f"https://{address}")
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.path.strip("/"):
        raise credentials.refused(f"endpoint: https://host:port wanted, found {address!r}")
    is_plain = parts.scheme == "http"
    if is_plain and parts.hostname not in _LOOPBACK:
        raise credentials.refused(
            f"endpoint: https, as tokens travel there, wanted, found {address!r}"
        )
    return parts.netloc if parts.port else f"{parts.netloc}:443", is_plain


def _customer_id(credentials: Credentials, name: str) -> str:
    found = credentials.text(name)
    digits = found.replace("-", "")
    if found and not (digits.isascii() and digits.isdigit() and len(digits) == 10):
        raise credentials.refused(f"{name}: ten digits wanted, found {found!r}")
    return digits


def _tokens(credentials: Credentials) -> Tokens:
    if credentials.get("service_account"):
        return _OAuth(_service_account(credentials), credentials)
    if not credentials.get("refresh_token"):
        found = ", ".join(credentials) or "nothing"
        raise credentials.refused(f"refresh_token or service_account wanted, found {found}")
    client_id, client_secret, refresh = credentials.require(
        "client_id", "client_secret", "refresh_token"
    )
    return _OAuth(
        user_credentials.Credentials(
            None,
            refresh_token=refresh.reveal(),
            client_id=client_id.reveal(),
            client_secret=client_secret.reveal(),
            token_uri=credentials.text("token_uri", TOKEN_URI),
            scopes=[SCOPE],
        ),
        credentials,
    )


def _service_account(credentials: Credentials) -> Any:
    try:
        info = json.loads(credentials.text("service_account"))
        account = service_account.Credentials.from_service_account_info(info, scopes=[SCOPE])
    except (ValueError, AttributeError, TypeError, auth_errors.GoogleAuthError):
        # What the parsers say may quote the key.
        reason = "service_account: a key of a service account in JSON wanted"
        raise credentials.refused(reason) from None
    subject = credentials.text("impersonated_email")
    return account.with_subject(subject) if subject else account


class _OAuth:
    """Tokens by google-auth."""

    def __init__(self, source: Any, credentials: Credentials) -> None:
        self._source = source
        self._credentials = credentials
        self._one_at_a_time = asyncio.Lock()
        self._session = Request()

    async def fresh(self) -> Secret:
        if self._source.valid:
            return Secret(self._source.token)
        async with self._one_at_a_time:
            if not self._source.valid:
                await self._refresh()
        return Secret(self._source.token)

    def forget(self) -> None:
        self._source.token = None

    async def _refresh(self) -> None:
        request = partial(self._session, timeout=_TOKEN_TIMEOUT_S)
        try:
            async with asyncio.timeout(2 * _TOKEN_TIMEOUT_S):
                await asyncio.to_thread(self._source.refresh, request)
        except auth_errors.RefreshError as error:
            if error.retryable:
                raise PlatformUnavailableError(NAME, "no access token: try later") from None
            raise PlatformCredentialsError(
                NAME,
                f"{self._credentials.source}: an access token wanted, found a refusal",
                code=_oauth_code(error),
            ) from None
        except (auth_errors.GoogleAuthError, TimeoutError) as error:
            kind = type(error).__name__
            reason = f"the token server did not answer ({kind})"
            raise PlatformUnavailableError(NAME, reason) from None


def _oauth_code(error: Exception) -> str:
    """Return OAuth's own word, such as invalid_grant."""
    body = error.args[1] if len(error.args) > 1 else None
    code = body.get("error", "") if isinstance(body, dict) else ""
    return code if isinstance(code, str) else ""
