"""Calls to TikTok's Business API: questions by pages, and changes, one call each."""

from collections.abc import AsyncGenerator, Mapping
from typing import Any

import msgspec

from engine.clock import Clock
from engine.errors import PlatformUnavailableError
from engine.platforms.http import Answer, Http
from engine.platforms.tiktok.access import NAME, Access
from engine.platforms.tiktok.errors import is_good, platform_error

__all__ = ["Calls"]

_PATH = "open_api/v1.3"
_MOST_PAGES = 10_000


class Calls:
    """Makes calls with one token. The first one opens the connection."""

    def __init__(self, access: Access, *, clock: Clock, timeout_s: float) -> None:
        self._access = access
        self._clock = clock
        self._http = Http(
            NAME,
            endpoint=access.endpoint,
            ca=access.ca,
            sign=access.sign,
            timeout_s=timeout_s,
        )

    async def get(
        self, path: str, asked: Mapping[str, object], *, timeout_s: float | None = None
    ) -> dict[str, Any]:
        """Return the data of an answer; what is no text is asked in JSON. Raises PlatformError."""
        params = {
            name: value if isinstance(value, str) else msgspec.json.encode(value).decode()
            for name, value in asked.items()
        }
        return self._data(await self._http.get(f"{_PATH}/{path}/", params, timeout_s=timeout_s))

    async def post(self, path: str, body: Mapping[str, object]) -> dict[str, Any]:
        """Return the data of an answer to a change. Raises PlatformError."""
        return self._data(await self._http.post_json(f"{_PATH}/{path}/", body))

    async def pages(
        self, path: str, asked: Mapping[str, object], *, timeout_s: float | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate a list, page by page. Raises PlatformError."""
        for page in range(1, _MOST_PAGES):
            this = {"page_size": 1000, **asked, "page": page}
            data = await self.get(path, this, timeout_s=timeout_s)
            rows = data.get("list")
            if not isinstance(rows, list):
                raise PlatformUnavailableError(NAME, "a list wanted, found something else")
            for row in rows:
                if not isinstance(row, dict):
                    raise PlatformUnavailableError(NAME, "an object wanted, found something else")
                yield row
            info = data.get("page_info") or {}
            if page >= int(info.get("total_page") or 0):
                return
        raise PlatformUnavailableError(NAME, f"an end within {_MOST_PAGES} pages wanted")

    async def aclose(self) -> None:
        """Close the connection; it is opened anew by a later call."""
        await self._http.aclose()

    def _data(self, answer: Answer) -> dict[str, Any]:
        if not is_good(answer):
            raise self._access.masked(platform_error(answer, now=self._clock.now()))
        data = answer.body.get("data")
        return data if isinstance(data, dict) else {}
