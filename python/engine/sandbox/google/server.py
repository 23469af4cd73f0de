"""The local Google Ads: answers to SearchStream, mutates and the rest, on this machine only."""

import itertools
from collections.abc import AsyncIterator, Callable
from typing import Any, Self

import grpc
from google.ads.googleads.v26.services.types import (
    ad_group_service,
    bidding_strategy_service,
    campaign_budget_service,
    campaign_service,
    customer_service,
    google_ads_service,
)
from google.protobuf import any_pb2

from engine.clock import Clock
from engine.platforms.credentials import Credentials, Secret
from engine.sandbox.faults import Call, Fault, Faults, Trouble
from engine.sandbox.google import gaql
from engine.sandbox.google.failures import (
    FAILURE_KEY,
    Refused,
    error_of,
    failure_of,
    of_quota,
    of_trouble,
)
from engine.sandbox.google.mutates import Checked, apply, check
from engine.sandbox.google.rows import rows_of
from engine.sandbox.google.tokens import TokenServer
from engine.sandbox.quotas import Quota
from engine.sandbox.state import Account, Books
from engine.sandbox.tls import Certificates

__all__ = ["GoogleSandbox"]

_PACKAGE = "google.ads.googleads.v26.services"
_ROWS_A_PART = 1_000
_GARBAGE = b"\xff\xff\xff\xff"
_INVALID_ARGUMENT = 3

# Services that mutate: their name, method, kind of entity, messages.
_MUTATES = [
    ("AdGroupService", "MutateAdGroups", "adGroups", ad_group_service),
    ("CampaignService", "MutateCampaigns", "campaigns", campaign_service),
    ("CampaignBudgetService", "MutateCampaignBudgets", "campaignBudgets", campaign_budget_service),
    (
        "BiddingStrategyService",
        "MutateBiddingStrategies",
        "biddingStrategies",
        bidding_strategy_service,
    ),
]
_Part = google_ads_service.SearchGoogleAdsStreamResponse.pb()
_Accessible = customer_service.ListAccessibleCustomersResponse.pb()


class GoogleSandbox:
    """A server over books. `async with` starts and stops it; the port stays the same."""

    def __init__(
        self,
        *,
        books: Books,
        clock: Clock,
        faults: Faults | None = None,
        quota: Quota | None = None,
        certificates: Certificates | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.tokens = TokenServer(clock=clock)
        self.port = 0
        self.heard: list[tuple[str, dict[str, str]]] = []  # methods, and the headers they came with
        self._books = books
        self._quota = quota or Quota(clock=clock)
        self._certificates = certificates
        self._clock = clock
        self._numbers = itertools.count(1)
        self._server: Any = None

    async def __aenter__(self) -> Self:
        await self.tokens.start()
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.kill()
        await self.tokens.stop()

    @property
    def endpoint(self) -> str:
        """Return the address for the credentials."""
        return f"{'https' if self._certificates else 'http'}://127.0.0.1:{self.port}"

    def credentials(self, **changed: str) -> Credentials:
        """Return credentials that it accepts, some of them changed ("": left out)."""
        fields = {
            "client_id": "client-1",
            "client_secret": "secret-1",
            "refresh_token": "refresh-1",
            "token_uri": f"http://127.0.0.1:{self.tokens.port}/token",
            "endpoint": self.endpoint,
            "ca": self._certificates.ca.decode() if self._certificates else "",
        } | changed
        given = {name: Secret(value) for name, value in fields.items() if value}
        return Credentials("google", given, source="the sandbox")

    async def start(self) -> None:
        """Listen, on the port of before where there was one."""
        server = grpc.aio.server(options=[("grpc.so_reuseport", 0)])
        server.add_generic_rpc_handlers(self._handlers())
        address = f"127.0.0.1:{self.port}"
        if self._certificates is None:
            self.port = server.add_insecure_port(address)
        else:
            pair = (self._certificates.key, self._certificates.certificate)
            self.port = server.add_secure_port(address, grpc.ssl_server_credentials([pair]))
        await server.start()
        self._server = server

    async def kill(self) -> None:
        """Go away at once; calls under way are cut."""
        server, self._server = self._server, None
        if server is not None:
            await server.stop(None)

    def _handlers(self) -> list[Any]:
        search = google_ads_service.SearchGoogleAdsStreamRequest
        services = {
            "GoogleAdsService": {
                "SearchStream": grpc.unary_stream_rpc_method_handler(
                    self._search, search.pb().FromString, _serialised
                )
            },
            "CustomerService": {
                "ListAccessibleCustomers": grpc.unary_unary_rpc_method_handler(
                    self._accessible,
                    customer_service.ListAccessibleCustomersRequest.pb().FromString,
                    _serialised,
                )
            },
        }
        for service, method, kind, messages in _MUTATES:
            request = getattr(messages, f"{method}Request").pb()
            response = getattr(messages, f"{method}Response").pb()
            services[service] = {
                method: grpc.unary_unary_rpc_method_handler(
                    self._mutate(method, kind, response), request.FromString, _serialised
                )
            }
        return [
            grpc.method_handlers_generic_handler(f"{_PACKAGE}.{name}", methods)
            for name, methods in services.items()
        ]

    async def _search(self, request: Any, context: Any) -> AsyncIterator[Any]:
        request_id = self._request_id()
        try:
            account = self._admit("SearchStream", request.customer_id, context)
            query = gaql.parse(request.query)
            fault = await self._trouble(_call_of(query))
            self._charge(1)
            rows = list(rows_of(query, account, self._books))
        except Refused as refused:
            await _abort(context, refused, request_id)
            return
        paths = list(query.fields)
        for start in range(0, max(len(rows), 1), _ROWS_A_PART):
            part = _Part(results=rows[start : start + _ROWS_A_PART], request_id=request_id)
            part.field_mask.paths.extend(paths)
            if fault is not None and fault.trouble is Trouble.GARBLED:
                yield _GARBAGE
                return
            if fault is not None and fault.trouble is not Trouble.SLOW:
                del part.results[len(part.results) // 2 :]
                yield part
                await _abort(context, of_trouble(fault), request_id)
            yield part

    async def _accessible(self, request: Any, context: Any) -> Any:
        request_id = self._request_id()
        try:
            self._authenticate("ListAccessibleCustomers", context)
            await self._trouble(Call.ACCOUNTS)
            self._charge(1)
        except Refused as refused:
            await _abort(context, refused, request_id)
        names = [f"customers/{each.id}" for each in self._books.accounts() if not each.manager]
        await context.send_initial_metadata((("request-id", request_id),))
        return _Accessible(resource_names=names)

    def _mutate(self, method: str, kind: str, response_type: Any) -> Callable[[Any, Any], Any]:
        async def mutate(request: Any, context: Any) -> Any:
            request_id = self._request_id()
            try:
                account = self._admit(method, request.customer_id, context)
                fault = await self._trouble(Call.APPLY)
                self._charge(len(request.operations))
                checked = check(kind, request.operations, account, self._books)
                errors = [error for each in checked for error in each.errors]
                if errors and not request.partial_failure:
                    raise Refused(grpc.StatusCode.INVALID_ARGUMENT, *errors)
            except Refused as refused:
                await _abort(context, refused, request_id)
                return None
            answer = response_type()
            if errors:
                _tell(answer.partial_failure_error, errors, request_id)
            if not request.validate_only:
                self._apply(request, checked, account, answer)
            context.set_trailing_metadata((("request-id", request_id),))
            if fault is not None and fault.trouble is Trouble.GARBLED:
                return _GARBAGE
            if fault is not None and fault.trouble is not Trouble.SLOW:
                await _abort(context, of_trouble(fault), request_id)
            return answer

        return mutate

    def _apply(self, request: Any, checked: list[Checked], account: Account, answer: Any) -> None:
        for operation, each in zip(request.operations, checked, strict=True):
            result = answer.results.add()
            if not each.errors:
                apply(each, account, self._books)
                result.resource_name = operation.update.resource_name

    def _admit(self, method: str, customer_id: str, context: Any) -> Account:
        """Return the ad account that is asked for. Raises Refused."""
        login = self._authenticate(method, context)
        if not (customer_id.isascii() and customer_id.isdigit()):
            error = error_of("request_error", "INVALID_CUSTOMER_ID", "Invalid customer ID.")
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
        account = next((each for each in self._books.accounts() if each.id == customer_id), None)
        if (
            account is None
            or login not in {account.manager, account.id, ""}
            or (account.manager and not login)
        ):
            said = (
                "User doesn't have permission to access customer. Note: If you're accessing a"
                " client customer, the manager's customer id must be set in the"
                " 'login-customer-id' header."
            )
            error = error_of("authorization_error", "USER_PERMISSION_DENIED", said)
            raise Refused(grpc.StatusCode.PERMISSION_DENIED, error)
        return account

    def _authenticate(self, method: str, context: Any) -> str:
        """Return the manager of the header. Raises Refused where the token is not good."""
        metadata = {name: str(value) for name, value in context.invocation_metadata()}
        self.heard.append((method, metadata))
        token = metadata.get("authorization", "").removeprefix("Bearer ")
        if not self.tokens.is_good(token):
            said = "OAuth token in the header is not valid."
            error = error_of("authentication_error", "OAUTH_TOKEN_INVALID", said)
            raise Refused(grpc.StatusCode.UNAUTHENTICATED, error)
        login = metadata.get("login-customer-id", "")
        if login and not any(each.id == login for each in self._books.accounts()):
            said = "The login customer id is not known."
            error = error_of("header_error", "INVALID_LOGIN_CUSTOMER_ID", said)
            raise Refused(grpc.StatusCode.INVALID_ARGUMENT, error)
        return login

    async def _trouble(self, call: Call) -> Fault | None:
        return await self.faults.meet(call, clock=self._clock, refused=of_trouble)

    def _charge(self, operations: int) -> None:
        refusal = self._quota.take(operations)
        if refusal is not None:
            raise of_quota(refusal)

    def _request_id(self) -> str:
        return f"sandbox-{next(self._numbers)}"


def _call_of(query: gaql.Query) -> Call:
    if query.has_metrics:
        return Call.REPORT
    return Call.ACCOUNTS if query.resource in {"customer", "customer_client"} else Call.INSPECT


def _tell(status: Any, errors: list[Any], request_id: str) -> None:
    """Fill the status of a partial failure."""
    detail = any_pb2.Any()
    detail.Pack(failure_of(errors, request_id))
    status.code = _INVALID_ARGUMENT
    status.message = "; ".join(error.message for error in errors[:3])
    status.details.append(detail)


async def _abort(context: Any, refused: Refused, request_id: str) -> None:
    trailing: list[tuple[str, str | bytes]] = [("request-id", request_id)]
    if refused.errors:
        failure = failure_of(refused.errors, request_id)
        trailing.append((FAILURE_KEY, failure.SerializeToString()))
    await context.abort(refused.status, str(refused), tuple(trailing))


def _serialised(message: Any) -> bytes:
    serialised: bytes = message if isinstance(message, bytes) else message.SerializeToString()
    return serialised
