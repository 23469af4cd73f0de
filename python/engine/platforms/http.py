"""JSON over HTTP as adapters ask for it: one call, one deadline, errors of the port's kinds.

What shows who asks is added below everything that logs: no line of a library's log has it.
"""

import asyncio
import ssl
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import urlsplit

import httpx2
import msgspec

from engine.errors import (
    PlatformCredentialsError,
    PlatformError,
    PlatformRejectedError,
    PlatformThrottledError,
    PlatformUnavailableError,
)
from engine.platforms.credentials import Credentials

__all__ = ["Answer", "Http", "Signer", "bare_error", "endpoint_of", "retry_after"]

Signer = Callable[[httpx2.URL, httpx2.Headers], httpx2.URL]
"""Adds to the headers, and returns the address, of a request that is about to leave."""

_LOOPBACK = {"127.0.0.1", "localhost", "::1"}
_STATUS_TOO_MANY = 429


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a platform answered."""

    status: int
    headers: Mapping[str, str]  # names in lower case
    body: Any  # of JSON; None: it was none


def endpoint_of(credentials: Credentials, default: str) -> str:
    """Return where a platform is: https, or http to this machine.

    Raises PlatformCredentialsError.
    """
    address = credentials.text("endpoint", default).rstrip("/")
    parts = urlsplit(address)
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.query:
        raise credentials.refused(f"endpoint: https://host wanted, found {address!r}")
    if parts.scheme == "http" and parts.hostname not in _LOOPBACK:
        raise credentials.refused(
            f"endpoint: https, as tokens travel there, wanted, found {address!r}"
        )
    return address


class Http:
    """Calls to one address. The first one opens the connection."""

    def __init__(
        self, platform: str, *, endpoint: str, ca: str, sign: Signer, timeout_s: float
    ) -> None:
        self._platform = platform
        self._endpoint = endpoint
        self._ca = ca
        self._sign = sign
        self._timeout_s = timeout_s
        self._client: httpx2.AsyncClient | None = None

    async def get(
        self, path: str, params: Mapping[str, str], *, timeout_s: float | None = None
    ) -> Answer:
        """Return the answer to a question. Raises PlatformUnavailableError where there is none."""
        return await self._ask("GET", path, timeout_s, params=dict(params))

    async def post_form(self, path: str, form: Mapping[str, str]) -> Answer:
        """Return the answer to a form. Raises PlatformUnavailableError where there is none."""
        return await self._ask("POST", path, None, data=dict(form))

    async def post_json(self, path: str, body: object) -> Answer:
        """Return the answer to JSON. Raises PlatformUnavailableError where there is none."""
        headers = {"content-type": "application/json"}
        content = msgspec.json.encode(body)
        return await self._ask("POST", path, None, content=content, headers=headers)

    async def aclose(self) -> None:
        """Close connections; they are opened anew by a later call."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    async def _ask(self, method: str, path: str, timeout_s: float | None, **request: Any) -> Answer:  # noqa: ANN401 # httpx2's own arguments
        timeout_s = timeout_s or self._timeout_s
        if self._client is None:
            self._client = self._opened()
        try:
            async with asyncio.timeout(timeout_s):
                got = await self._client.request(method, f"{self._endpoint}/{path}", **request)
        except TimeoutError:
            raise self._unavailable(f"no answer within {timeout_s:g} s") from None
        except (httpx2.HTTPError, httpx2.StreamError, ssl.SSLError, OSError) as error:
            # What the library says may hold an address; its kind tells enough.
            raise self._unavailable(f"no answer: {type(error).__name__}") from None
        headers = {name.lower(): value for name, value in got.headers.items()}
        return Answer(status=got.status_code, headers=headers, body=_decoded(got.content))

    def _opened(self) -> httpx2.AsyncClient:
        verify = ssl.create_default_context(cadata=self._ca) if self._ca else True
        inner = httpx2.AsyncHTTPTransport(verify=verify)
        # The deadline is ours: the library's are of single steps.
        return httpx2.AsyncClient(transport=_Signed(inner, self._sign), timeout=None)

    def _unavailable(self, reason: str) -> PlatformUnavailableError:
        return PlatformUnavailableError(self._platform, reason)


class _Signed(httpx2.AsyncBaseTransport):
    def __init__(self, inner: httpx2.AsyncBaseTransport, sign: Signer) -> None:
        self._inner = inner
        self._sign = sign

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = httpx2.Headers(request.headers)
        url = self._sign(request.url, headers)
        signed = httpx2.Request(
            request.method,
            url,
            headers=headers,
            stream=request.stream,
            extensions=request.extensions,
        )
        return await self._inner.handle_async_request(signed)

    async def aclose(self) -> None:
        await self._inner.aclose()


def bare_error(platform: str, answer: Answer) -> PlatformError:
    """Return what an answer means that says nothing of its own: by its status alone."""
    code = f"HTTP {answer.status}"
    if answer.status == _STATUS_TOO_MANY:
        wait = retry_after(answer.headers)
        return PlatformThrottledError(platform, "too many calls", code=code, retry_after_s=wait)
    if answer.status in {401, 403}:
        return PlatformCredentialsError(platform, "not let in", code=code)
    if 400 <= answer.status < 500 and answer.status != 408:
        return PlatformRejectedError(platform, "refused without a reason", code=code)
    reason = "an answer that can be read wanted, found another"
    return PlatformUnavailableError(platform, reason, code=code)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds of a Retry-After; None where there is none, or a date."""
    said = headers.get("retry-after", "")
    return float(said) if said.isascii() and said.isdigit() else None


def _decoded(content: bytes) -> Any:  # noqa: ANN401 # whatever JSON holds
    try:
        return msgspec.json.decode(content)
    except msgspec.DecodeError:
        return None
