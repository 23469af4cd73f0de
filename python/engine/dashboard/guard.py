"""Who may ask the dashboard, and what a browser may do with its answers: one ASGI layer around all.

* Only hosts it goes by are answered: another page's name that resolves to this machine (DNS
  rebinding) is not one of them.
* A page may load this dashboard's own files and nothing else; no inline script or style runs.
* What changes something must come from this dashboard's own pages (Origin), as JSON, with the
  token. Where reading needs the token too, a browser shows a cookie that the token was traded for.
"""

import hmac
import secrets
from collections.abc import Awaitable, Callable, Iterable, MutableMapping
from http.cookies import CookieError, SimpleCookie
from typing import Any

import msgspec

__all__ = ["HEADERS", "LOCAL_HOSTS", "Guard", "host_of", "is_local"]

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LOCAL_HOSTS = ("127.0.0.1", "localhost", "[::1]")
COOKIE = "engine_dashboard"
MOST_SESSIONS = 1_000
_READS = ("GET", "HEAD")
_FREE = ("/login", "/api/login", "/static/", "/healthz")  # without the token, where it is needed

HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; "
        "font-src 'self'; connect-src 'self'; manifest-src 'self'; base-uri 'none'; "
        "form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_ENCODED = [(name.encode(), value.encode()) for name, value in HEADERS.items()]


def is_local(host: str) -> bool:
    """Return whether an address to listen on is reached from this machine only."""
    return host in ("127.0.0.1", "localhost", "::1", "[::1]")


def host_of(header: str) -> str:
    """Return the name in a Host header, or in an Origin without its scheme.

    >>> host_of("[::1]:8787"), host_of("Engine.example:443"), host_of("localhost")
    ('[::1]', 'engine.example', 'localhost')
    """
    if header.startswith("["):
        return header.partition("]")[0].lower() + "]"
    return header.partition(":")[0].lower()


class Guard:
    """Answers what must not pass, and puts the headers on what does."""

    def __init__(
        self, app: App, *, hosts: Iterable[str], token: str, reading_needs_token: bool
    ) -> None:
        self._app = app
        self._hosts = frozenset(host.lower() for host in hosts)
        self._token = token
        self._reading_needs_token = reading_needs_token
        self._sessions: dict[str, None] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        refusal = self._refusal(scope, headers)

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message.get("headers", ()), *_ENCODED]
            await send(message)

        if refusal is None:
            await self._app(scope, receive, with_headers)
            return
        status, reason = refusal
        if status == 303:
            location = [(b"location", b"/login"), (b"cache-control", b"no-store")]
            await with_headers({"type": "http.response.start", "status": 303, "headers": location})
            await with_headers({"type": "http.response.body", "body": b""})
            return
        await _answer(with_headers, status, {"error": reason})

    def opens(self, token: str) -> bool:
        """Return whether a token is the one."""
        return hmac.compare_digest(token.encode(), self._token.encode())

    def session(self, *, is_secure: bool) -> str:
        """Return a new session's cookie, for somebody who has shown the token.

        `is_secure`: it came by HTTPS, and so must the cookie.
        """
        session = secrets.token_urlsafe(32)
        self._sessions[session] = None
        while len(self._sessions) > MOST_SESSIONS:
            del self._sessions[next(iter(self._sessions))]
        secure = "; Secure" if is_secure else ""
        return f"{COOKIE}={session}; Path=/; HttpOnly; SameSite=Strict; Max-Age=604800{secure}"

    def _refusal(self, scope: Scope, headers: dict[str, str]) -> tuple[int, str] | None:
        host = headers.get("host", "")
        if host_of(host) not in self._hosts:
            return 421, f"a host this dashboard goes by, found {host[:80]!r} (--host adds one)"
        path, method = scope["path"], scope["method"]
        if method not in (*_READS, "POST"):
            return 405, f"GET or POST, found {method}"
        if method == "POST" and (refused := self._bad_post(path, headers)) is not None:
            return refused
        is_free = path.startswith(_FREE)
        if self._reading_needs_token and not is_free and not self._is_known(headers):
            if method == "GET" and not path.startswith("/api/"):
                return 303, ""
            return 401, "the token, by Authorization: Bearer or by a login"
        return None

    def _bad_post(self, path: str, headers: dict[str, str]) -> tuple[int, str] | None:
        origin = headers.get("origin", "")
        if origin.partition("://")[2] != headers.get("host", ""):
            return 403, f"an Origin that is this dashboard, found {origin[:80]!r}"
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            return 415, f"application/json, found {kind[:80]!r}"
        if path not in _FREE and not self._has_token(headers):
            return 401, "the token, as Authorization: Bearer TOKEN"
        return None

    def _has_token(self, headers: dict[str, str]) -> bool:
        scheme, _, token = headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and self.opens(token.strip())

    def _is_known(self, headers: dict[str, str]) -> bool:
        if self._has_token(headers):
            return True
        try:
            cookie = SimpleCookie(headers.get("cookie", "")).get(COOKIE)
        except CookieError:
            return False
        return cookie is not None and cookie.value in self._sessions


async def _answer(send: Send, status: int, body: object) -> None:
    encoded = msgspec.json.encode(body)
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", str(len(encoded)).encode()),
        (b"cache-control", b"no-store"),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": encoded})
