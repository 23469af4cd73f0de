"""The dashboard over HTTP: pages, one stream of events a viewer, a few answers, a few orders.

GET  / /campaigns/ID /decisions /platforms /workers /health   the page; its script does the rest
GET  /api/stream?page=…    server-sent events of a view: all of it, then what changed each second
GET  /api/view?page=…      the same once, as JSON
GET  /api/campaigns/ID     what was asked for, and by whom; /past and /outlook are slower
POST /api/campaigns/ID/VERB, /api/halt   where the dashboard was started to change something
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from engine.dashboard.decisions import definition_of
from engine.dashboard.files import Asset, assets
from engine.dashboard.guard import Guard
from engine.dashboard.hub import Hub, TooManyViewersError
from engine.dashboard.live import Live
from engine.dashboard.outlook import Outlooks
from engine.dashboard.past import changes_of, past_fields, read_past
from engine.dashboard.rows import FIELDS, LEVELS
from engine.dashboard.steering import VERBS, Steering
from engine.dashboard.views import parse_view
from engine.domain.campaign import Campaign
from engine.domain.codec import decode_campaign
from engine.domain.ids import is_campaign_id
from engine.errors import (
    BrokerError,
    ConfigError,
    ConflictError,
    DefinitionError,
    EngineError,
    MalformedMessageError,
    TransitionError,
)

__all__ = ["Site"]

_log = structlog.get_logger(__name__)

RETRY_MS = 1_000
LONGEST_NOTE = 200
_PAGES = ("/", "/campaigns/{id}", "/decisions", "/platforms", "/workers", "/health", "/login")


class _Order(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    note: str = ""


class _HaltOrder(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    is_halted: bool
    note: str = ""


class _Login(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    token: str


class Site:
    """The routes. `steering` is None where the dashboard only reads."""

    def __init__(
        self,
        *,
        live: Live,
        hub: Hub,
        outlooks: Outlooks,
        steering: Steering | None,
        version: str,
        place: str,
    ) -> None:
        self._live = live
        self._hub = hub
        self._outlooks = outlooks
        self._steering = steering
        self._version = version
        self._place = place
        self._assets = assets()
        self._past_at_a_time = asyncio.Semaphore(2)
        self._guard: Guard | None = None

    def app(self, *, hosts: tuple[str, ...], token: str, reading_needs_token: bool) -> Guard:
        """Return the ASGI application, guarded."""
        api: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
            ("GET", "/api/stream", self._stream),
            ("GET", "/api/view", self._view),
            ("GET", "/api/about", self._about),
            ("GET", "/api/campaigns/{id}", self._campaign),
            ("GET", "/api/campaigns/{id}/past", self._past),
            ("GET", "/api/campaigns/{id}/outlook", self._outlook),
            ("POST", "/api/campaigns/{id}/{verb}", self._move),
            ("POST", "/api/halt", self._halt),
            ("POST", "/api/login", self._login),
            ("GET", "/healthz", self._healthz),
            ("GET", "/static/{name}", self._static),
        ]
        routes = [Route(path, endpoint, methods=[method]) for method, path, endpoint in api]
        routes += [Route(path, self._page, methods=["GET"]) for path in _PAGES]
        starlette = Starlette(
            routes=routes,
            exception_handlers={EngineError: _refused, 404: _not_found, 405: _not_found},
            max_body_size=16 * 1024,
        )
        self._guard = Guard(
            starlette, hosts=hosts, token=token, reading_needs_token=reading_needs_token
        )
        return self._guard

    async def _page(self, request: Request) -> Response:
        return self._file(request, self._assets["index.html"])

    async def _static(self, request: Request) -> Response:
        asset = self._assets.get(request.path_params["name"])
        if asset is None:
            return _json({"error": "no such file"}, 404)
        return self._file(request, asset)

    def _file(self, request: Request, asset: Asset) -> Response:
        headers = {"etag": asset.mark, "cache-control": "no-cache", "vary": "accept-encoding"}
        if request.headers.get("if-none-match") == asset.mark:
            return Response(status_code=304, headers=headers)
        if "gzip" in request.headers.get("accept-encoding", ""):
            headers["content-encoding"] = "gzip"
            return Response(asset.packed, media_type=asset.kind, headers=headers)
        return Response(asset.body, media_type=asset.kind, headers=headers)

    async def _about(self, request: Request) -> Response:
        return _json(
            {
                "version": self._version,
                "place": self._place,
                "may_change": self._steering is not None,
                "fields": FIELDS,
                "levels": LEVELS,
            }
        )

    async def _healthz(self, request: Request) -> Response:
        is_well = self._live.broker.is_connected and self._live.is_caught_up
        return _json({"ready": is_well, "viewers": self._hub.viewers}, 200 if is_well else 503)

    async def _view(self, request: Request) -> Response:
        body = self._hub.once(parse_view(request.query_params))
        return Response(body, media_type="application/json", headers=_FRESH)

    async def _stream(self, request: Request) -> Response:
        messages = self._hub.watch(parse_view(request.query_params))
        try:
            first = await anext(messages)
        except TooManyViewersError as error:
            return _json({"error": str(error)}, 503)
        return StreamingResponse(
            self._events(first, messages),
            media_type="text/event-stream",
            headers=_FRESH | {"x-accel-buffering": "no"},
        )

    async def _events(self, first: bytes, messages: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
        yield b"retry: %d\n\ndata: %b\n\n" % (RETRY_MS, first)
        async for message in messages:
            yield b"data: %b\n\n" % message

    async def _campaign(self, request: Request) -> Response:
        name = _campaign_id(request)
        campaign = await self._entry(name)
        changes = await changes_of(self._live.broker.campaigns, name)
        return _json(
            {
                "campaign": msgspec.to_builtins(campaign),
                "changes": changes,
            }
        )

    async def _past(self, request: Request) -> Response:
        name = _campaign_id(request)
        async with self._past_at_a_time:
            past = await read_past(self._live.broker.chain, name)
        return _json(past_fields(past, definition_of(self._live.campaigns, name)))

    async def _outlook(self, request: Request) -> Response:
        campaign = await self._entry(_campaign_id(request))
        return _json(await self._outlooks.of(campaign))

    async def _entry(self, name: str) -> Campaign:
        message = await self._live.broker.campaigns.get(name)
        if message is None:
            raise DefinitionError("campaign", "a published campaign", name)
        return decode_campaign(name, message.payload)

    async def _move(self, request: Request) -> Response:
        name, verb = _campaign_id(request), request.path_params["verb"]
        if self._steering is None:
            return _json({"error": _READ_ONLY}, 403)
        if verb not in VERBS:
            return _json({"error": f"one of {', '.join(VERBS)}, found {verb[:20]!r}"}, 404)
        order = await _body(request, _Order)
        before, after = await self._steering.move(name, verb, note=order.note[:LONGEST_NOTE])
        _log.info("campaign_moved", campaign=name, was=before.value, state=after.value)
        return _json({"campaign": name, "was": before.value, "state": after.value})

    async def _halt(self, request: Request) -> Response:
        if self._steering is None:
            return _json({"error": _READ_ONLY}, 403)
        order = await _body(request, _HaltOrder)
        turned = await self._steering.halt(order.is_halted, note=order.note[:LONGEST_NOTE])
        _log.warning("kill_switch_turned", is_halted=order.is_halted, partitions=turned)
        return _json({"is_halted": order.is_halted, "partitions": turned})

    async def _login(self, request: Request) -> Response:
        login = await _body(request, _Login)
        guard = self._guard
        if guard is None or not guard.opens(login.token.strip()):
            await self._live.clock.sleep(0.5)  # whoever guesses has to wait
            return _json({"error": "that is not the token"}, 401)
        cookie = guard.session(is_secure=_came_by_https(request))
        return _json({"is_known": True}, 200, {"set-cookie": cookie})


_FRESH = {"cache-control": "no-store"}
_READ_ONLY = "this dashboard only reads: start it with --allow-changes"
_STATUS = (
    (ConfigError, 400),
    (DefinitionError, 404),
    (TransitionError, 409),
    (ConflictError, 409),
    (MalformedMessageError, 422),
    (BrokerError, 503),
)


_BodyT = TypeVar("_BodyT", bound=msgspec.Struct)


async def _body(request: Request, kind: type[_BodyT]) -> _BodyT:
    try:
        return msgspec.json.decode(await request.body() or b"{}", type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ConfigError(f"body: {error}") from error


def _came_by_https(request: Request) -> bool:
    """Return whether a browser asked by HTTPS: here, or a proxy that stands before this.

    uvicorn takes X-Forwarded-Proto from a proxy that it trusts. Of others the browser itself tells
    by the Origin, which makes no cookie but its own a safer one.
    """
    by_origin = request.headers.get("origin", "").startswith("https://")
    return request.url.scheme == "https" or by_origin


def _campaign_id(request: Request) -> str:
    name: str = request.path_params["id"]
    if not is_campaign_id(name):
        raise ConfigError(f"id: 1 to 64 of A-Z a-z 0-9 _ -, found {name[:80]!r}")
    return name


async def _refused(request: Request, error: Exception) -> Response:
    status = next((code for kind, code in _STATUS if isinstance(error, kind)), 500)
    return _json({"error": str(error)}, status)


async def _not_found(request: Request, error: Exception) -> Response:
    return _json({"error": "nothing is here"}, getattr(error, "status_code", 404))


def _json(body: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:  # noqa: ANN401 - JSON
    return Response(
        msgspec.json.encode(body),
        status_code=status,
        media_type="application/json",
        headers=_FRESH | (headers or {}),
    )
