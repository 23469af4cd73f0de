"""Calls to Google: a token, headers, a deadline, raw answers, and errors of the port's kinds.

Each call is made once, and anew only where Google found its token too old to look further. Rows
are raw protobuf: the library's own wrappers read eleven times slower.
"""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Any

import structlog
from google.ads.googleads.v26.services.types.google_ads_service import (
    SearchGoogleAdsStreamRequest,
    SearchGoogleAdsStreamResponse,
)

from engine.errors import PlatformCredentialsError, PlatformError, PlatformUnavailableError
from engine.platforms.google.access import NAME, Access
from engine.platforms.google.channel import Clients
from engine.platforms.google.errors import CALL_ERRORS, platform_error

__all__ = ["Calls"]

_log = structlog.get_logger(__name__)
_STALE_TOKEN = {
    "authentication_error.OAUTH_TOKEN_EXPIRED",
    "authentication_error.OAUTH_TOKEN_INVALID",
    "authentication_error.OAUTH_TOKEN_REVOKED",
}
_Search = SearchGoogleAdsStreamRequest.pb()


class Calls:
    """Makes calls with one set of credentials. The first one opens the connection."""

    def __init__(self, access: Access, *, timeout_s: float) -> None:
        self._access = access
        self._timeout_s = timeout_s
        self._clients: Clients | None = None
        self._managers: dict[str, str] = {}

    def reach(self, ad_account: str, *, through: str) -> None:
        """Remember the manager through whom an ad account is reached."""
        self._managers[ad_account] = through

    async def ask(
        self, method: Callable[[Clients], Any], request: Any, ad_account: str = ""
    ) -> Any:
        """Return the answer to a request. Raises PlatformError."""
        try:
            return await self._ask(method, request, ad_account)
        except PlatformCredentialsError as error:
            if error.code not in _STALE_TOKEN:
                raise
        # Nothing was done: with a new token it is the first call still.
        return await self._ask(method, request, ad_account)

    async def rows(
        self, ad_account: str, query: str, *, timeout_s: float | None = None, login: str = ""
    ) -> AsyncGenerator[Any, None]:
        """Iterate the rows that answer a question; who may leave early closes it.

        Raises PlatformError.
        """
        timeout_s = timeout_s or self._timeout_s
        try:
            async with aclosing(self._rows(ad_account, query, timeout_s, login)) as rows:
                async for row in rows:
                    yield row
                return
        except PlatformCredentialsError as error:
            if error.code not in _STALE_TOKEN:
                raise
        # Tokens are looked at before the first row is sent: none was seen.
        async with aclosing(self._rows(ad_account, query, timeout_s, login)) as rows:
            async for row in rows:
                yield row

    async def aclose(self) -> None:
        """Close the connection; it is opened anew by a later call."""
        clients, self._clients = self._clients, None
        if clients is not None:
            await clients.aclose()

    async def _ask(self, method: Callable[[Clients], Any], request: Any, ad_account: str) -> Any:
        clients = await self._ready()
        try:
            answer = await method(clients)(
                request=request,
                retry=None,
                timeout=self._timeout_s,
                metadata=self._login(ad_account),
            )
        except CALL_ERRORS as error:
            raise self._refused(error) from error
        except asyncio.CancelledError:
            _raise_if_closed()
            raise
        return _read(answer)

    async def _rows(
        self, ad_account: str, query: str, timeout_s: float, login: str
    ) -> AsyncGenerator[Any, None]:
        request = SearchGoogleAdsStreamRequest.wrap(_Search(customer_id=ad_account, query=query))
        clients = await self._ready()
        stream = None
        request_id = ""
        try:
            stream = await clients.ads.search_stream(
                request=request,
                retry=None,
                timeout=timeout_s,
                metadata=self._login(ad_account, login),
            )
            async for part in stream:
                answer = SearchGoogleAdsStreamResponse.pb(_read(part))
                request_id = answer.request_id
                for row in answer.results:
                    yield row
        except CALL_ERRORS as error:
            raise self._refused(error) from error
        except asyncio.CancelledError:
            _raise_if_closed()
            raise
        finally:
            if stream is not None:
                stream.cancel()  # of no effect where it has ended
            _log.debug("google_question", ad_account=ad_account, request=request_id)

    async def _ready(self) -> Clients:
        token = await self._access.tokens.fresh()
        if self._clients is None:
            self._clients = Clients(self._access)
        self._clients.headers.token = token
        return self._clients

    def _login(self, ad_account: str, login: str = "") -> list[tuple[str, str]]:
        manager = login or self._access.login_customer_id or self._managers.get(ad_account, "")
        return [("login-customer-id", manager)] if manager else []

    def _refused(self, error: BaseException) -> PlatformError:
        found = platform_error(error)
        if isinstance(found, PlatformCredentialsError):
            self._access.tokens.forget()  # it may have been revoked: the next call asks anew
        return found


def _raise_if_closed() -> None:
    """Raise where nobody cancelled this task: gRPC says so too when its channel is closed."""
    task = asyncio.current_task()
    if task is not None and not task.cancelling():
        raise PlatformUnavailableError(NAME, "the connection was closed") from None


def _read(answer: Any) -> Any:
    """Return an answer. Raises where gRPC could not read it: it then gives None, and no error."""
    if answer is None:
        raise PlatformUnavailableError(NAME, "an answer that can be read wanted, found another")
    return answer
