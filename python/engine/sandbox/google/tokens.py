"""Google's token server: refresh tokens and signed assertions in, access tokens out.

Just enough HTTP for that, on this machine only. A grant that was taken back is refused with
invalid_grant, as a user's is who changed the password.
"""

import asyncio
import itertools
import json
from urllib.parse import parse_qs

from google.auth import jwt

from engine.clock import Clock

__all__ = ["TokenServer"]

_LIFETIME_S = 3599
_TIMEOUT_S = 10.0
_JWT = "urn:ietf:params:oauth:grant-type:jwt-bearer"


class TokenServer:
    """Gives access tokens to those it knows."""

    def __init__(self, *, clock: Clock) -> None:
        self.clients: dict[str, str] = {"client-1": "secret-1"}
        self.refresh_tokens: set[str] = {"refresh-1"}
        self.service_accounts: dict[str, str] = {}  # e-mail → public key in PEM
        self.asked = 0
        self.is_down = False
        self.port = 0
        self._clock = clock
        self._numbers = itertools.count(1)
        self._good_until: dict[str, float] = {}
        self._server: asyncio.Server | None = None

    def is_good(self, token: str) -> bool:
        """Return whether an access token opens the doors now."""
        return self._good_until.get(token, 0.0) > self._clock.now()

    def revoke(self) -> None:
        """Make all access tokens bad; who has a refresh token may ask again."""
        self._good_until.clear()

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            server.close()
            await server.wait_closed()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                status, answer = self._answer(await _form(reader))
                writer.write(_response(status, answer))
                await writer.drain()
        except (OSError, ValueError, TimeoutError, asyncio.IncompleteReadError):
            pass  # whoever asked like that, or left, gets no answer
        finally:
            writer.close()

    def _answer(self, form: dict[str, str]) -> tuple[int, dict[str, object]]:
        self.asked += 1
        if self.is_down:
            return 503, {"error": "temporarily_unavailable"}
        grant = form.get("grant_type")
        if grant == "refresh_token":
            if self.clients.get(form.get("client_id", "")) != form.get("client_secret"):
                return 401, {"error": "invalid_client", "error_description": "Unauthorized"}
            if form.get("refresh_token") not in self.refresh_tokens:
                said = "Token has been expired or revoked."
                return 400, {"error": "invalid_grant", "error_description": said}
        elif grant != _JWT or not self._is_signed(form.get("assertion", "")):
            return 400, {"error": "invalid_grant", "error_description": "Invalid assertion."}
        token = f"ya29.sandbox-{next(self._numbers)}"
        self._good_until[token] = self._clock.now() + _LIFETIME_S
        return 200, {
            "access_token": token,
            "expires_in": _LIFETIME_S,
            "scope": "https://www.googleapis.com/auth/adwords",
            "token_type": "Bearer",
        }

    def _is_signed(self, assertion: str) -> bool:
        try:
            claims = jwt.decode(assertion, verify=False)
            key = self.service_accounts.get(str(claims.get("iss")), "")
            jwt.decode(assertion, certs=key.encode())
        except Exception:  # whatever is wrong with it, it opens nothing
            return False
        return True


async def _form(reader: asyncio.StreamReader) -> dict[str, str]:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
    lengths = [line.partition(":")[2] for line in head.split("\r\n") if "content-length:" in line]
    body = await reader.readexactly(int(lengths[0]) if lengths else 0)
    return {name: values[0] for name, values in parse_qs(body.decode()).items()}


def _response(status: int, answer: dict[str, object]) -> bytes:
    body = json.dumps(answer).encode()
    head = (
        f"HTTP/1.1 {status} {'OK' if status == 200 else 'Refused'}\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
        "Connection: close\r\n\r\n"
    )
    return head.encode() + body
