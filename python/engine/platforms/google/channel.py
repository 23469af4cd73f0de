"""A channel of our own to Google: headers, deadlines and request ids, and no leaks.

The library's own asynchronous path leaves a task with an unretrieved error behind for each call
that fails, and at DEBUG its log shows the headers, tokens with them. So its generated clients are
built over a channel that lets nobody else's interceptors in.
"""

from collections.abc import Callable
from typing import Any, Self

import grpc
import structlog
from google.ads.googleads.v26.services.services import (
    ad_group_service,
    bidding_strategy_service,
    campaign_budget_service,
    campaign_service,
    customer_service,
    google_ads_service,
)

from engine.platforms.credentials import Secret
from engine.platforms.google.access import Access

__all__ = ["Clients"]

_log = structlog.get_logger(__name__)
_OPTIONS = [
    ("grpc.max_send_message_length", -1),
    ("grpc.max_receive_message_length", -1),
    # A connection that a firewall forgot is found within seconds, not by a call's deadline.
    ("grpc.keepalive_time_ms", 30_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.max_pings_without_data", 0),
    # What moves money is asked once: the gateway alone decides to ask again.
    ("grpc.enable_retries", 0),
    ("grpc.service_config_disable_resolution", 1),
    ("grpc.initial_reconnect_backoff_ms", 500),
    ("grpc.max_reconnect_backoff_ms", 10_000),
]


class Clients:
    """The generated clients that are used, over one channel. Made where an event loop runs."""

    def __init__(self, access: Access) -> None:
        headers = _Headers(access)
        self.headers = headers
        interceptors = [_UnaryHeaders(headers), _StreamHeaders(headers)]
        if access.is_plain:
            options = [*_OPTIONS, ("grpc.enable_http_proxy", 0)]  # this machine is near
            inner = grpc.aio.insecure_channel(access.host, options, interceptors=interceptors)
        else:
            trusted = access.ca.encode() or None
            inner = grpc.aio.secure_channel(
                access.host,
                grpc.ssl_channel_credentials(root_certificates=trusted),
                _OPTIONS,
                interceptors=interceptors,
            )
        self._channel = _OwnChannel(inner)
        self.ads = self._client(google_ads_service, "GoogleAdsService")
        self.customers = self._client(customer_service, "CustomerService")
        self.campaigns = self._client(campaign_service, "CampaignService")
        self.ad_groups = self._client(ad_group_service, "AdGroupService")
        self.budgets = self._client(campaign_budget_service, "CampaignBudgetService")
        self.strategies = self._client(bidding_strategy_service, "BiddingStrategyService")

    async def aclose(self) -> None:
        """Close the connection; calls under way end as cancelled."""
        await self._channel.close()

    def _client(self, module: Any, name: str) -> Any:
        client = getattr(module, f"{name}AsyncClient")
        transport = client.get_transport_class("grpc_asyncio")(channel=self._channel)
        return client(transport=transport)


class _Headers:
    """What every call carries; the token is set before a call, in the same breath."""

    def __init__(self, access: Access) -> None:
        self.token = Secret("")
        self.login_customer_id = access.login_customer_id
        self._developer_token = access.developer_token

    def added_to(self, details: grpc.aio.ClientCallDetails) -> grpc.aio.ClientCallDetails:
        """Return the details of a call with the headers in it. Raises where it has no deadline."""
        if details.timeout is None:
            raise RuntimeError(f"{details.method}: a deadline wanted, found none")
        added = [(name, value) for name, value in details.metadata or () if name != _LOGIN]
        logins = [value for name, value in details.metadata or () if name == _LOGIN]
        added.append(("authorization", f"Bearer {self.token.reveal()}"))
        if self._developer_token is not None:
            added.append(("developer-token", self._developer_token.reveal()))
        login = logins[0] if logins else self.login_customer_id
        if login:
            added.append((_LOGIN, login))
        return grpc.aio.ClientCallDetails(
            details.method,
            details.timeout,
            grpc.aio.Metadata(*added),
            details.credentials,
            details.wait_for_ready,
        )


_LOGIN = "login-customer-id"


class _UnaryHeaders(grpc.aio.UnaryUnaryClientInterceptor):  # type: ignore[misc] # untyped base
    def __init__(self, headers: _Headers) -> None:
        self._headers = headers

    async def intercept_unary_unary(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: object
    ) -> Any:
        call = await continuation(self._headers.added_to(details), request)
        code = await call.code()  # waits for the end, and does not raise where it was bad
        request_id = _request_id(await call.trailing_metadata())
        # What Google's support asks for; streams tell it in each of their messages.
        _log.debug("google_call", method=_text(details.method), code=code.name, request=request_id)
        return call


class _StreamHeaders(grpc.aio.UnaryStreamClientInterceptor):  # type: ignore[misc] # untyped base
    def __init__(self, headers: _Headers) -> None:
        self._headers = headers

    async def intercept_unary_stream(
        self, continuation: Callable[..., Any], details: grpc.aio.ClientCallDetails, request: object
    ) -> Any:
        return await continuation(self._headers.added_to(details), request)


def _request_id(metadata: Any) -> str:
    return next((_text(value) for name, value in metadata or () if name == "request-id"), "")


def _text(value: str | bytes) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else value


class _OwnChannel(grpc.aio.Channel):  # type: ignore[misc] # untyped base
    """A channel to which the generated transports cannot add their interceptor.

    They append one that logs headers to the list of this name; here nobody reads that list.
    """

    def __init__(self, inner: grpc.aio.Channel) -> None:
        self._inner = inner
        self._unary_unary_interceptors: list[object] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.close()

    async def close(self, grace: float | None = None) -> None:
        await self._inner.close(grace)

    def get_state(self, try_to_connect: bool = False) -> grpc.ChannelConnectivity:
        return self._inner.get_state(try_to_connect)

    async def wait_for_state_change(self, last_observed_state: grpc.ChannelConnectivity) -> None:
        await self._inner.wait_for_state_change(last_observed_state)

    async def channel_ready(self) -> None:
        await self._inner.channel_ready()

    def unary_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner.unary_unary(*args, **kwargs)

    def unary_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner.unary_stream(*args, **kwargs)

    def stream_unary(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner.stream_unary(*args, **kwargs)

    def stream_stream(self, *args: Any, **kwargs: Any) -> Any:
        return self._inner.stream_stream(*args, **kwargs)
