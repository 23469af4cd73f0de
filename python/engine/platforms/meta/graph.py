"""Calls to Meta's Graph API: questions by pages, and changes in one batch."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import msgspec

from engine.errors import PlatformUnavailableError
from engine.platforms.http import Answer, Http
from engine.platforms.meta.access import NAME, Access
from engine.platforms.meta.errors import platform_error

__all__ = ["Change", "Graph"]

_PAGE = "200"
_MOST_PAGES = 10_000  # a cursor that leads nowhere is followed no longer


class Change(msgspec.Struct, frozen=True):
    """Fields of a node, and what they are to be."""

    node: str
    fields: Mapping[str, str]


class Graph:
    """Makes calls with one token. The first one opens the connection."""

    def __init__(self, access: Access, *, timeout_s: float) -> None:
        self._access = access
        self._http = Http(
            NAME,
            endpoint=access.endpoint,
            ca=access.ca,
            sign=access.sign,
            timeout_s=timeout_s,
        )

    async def node(self, path: str, fields: str) -> dict[str, Any]:
        """Return a node. Raises PlatformError."""
        answer = await self._get(path, {"fields": fields}, None)
        return _mapping(answer.body)

    async def edge(
        self, path: str, params: Mapping[str, str], *, timeout_s: float | None = None
    ) -> AsyncGenerator[dict[str, Any], None]:
        """Iterate all nodes of an edge, page by page. Raises PlatformError.

        The address of the next page, as Meta writes it, has the token in it: it is not followed.
        """
        asked = {"limit": _PAGE, **params}
        for _ in range(_MOST_PAGES):
            body = _mapping((await self._get(path, asked, timeout_s)).body)
            nodes = body.get("data")
            if not isinstance(nodes, list):
                raise PlatformUnavailableError(NAME, "a list wanted, found something else")
            for each in nodes:
                yield _mapping(each)
            paging = body.get("paging") or {}
            if not paging.get("next"):
                return
            after = paging.get("cursors", {}).get("after")
            if not after or after == asked.get("after"):
                raise PlatformUnavailableError(NAME, "a next page wanted, found no way to it")
            asked["after"] = str(after)
        raise PlatformUnavailableError(NAME, f"an end within {_MOST_PAGES} pages wanted")

    async def change(self, changes: Sequence[Change]) -> list[Answer | None]:
        """Ask for changes in one call; return an answer each, None where Meta gave none.

        Raises PlatformError where the call as a whole was refused.
        """
        batch = [
            {
                "method": "POST",
                "relative_url": f"{self._access.api_version}/{each.node}",
                "body": urlencode(each.fields),
            }
            for each in changes
        ]
        form = {"batch": msgspec.json.encode(batch).decode(), "include_headers": "true"}
        answer = await self._http.post_form("", form)
        if not isinstance(answer.body, list):
            raise self._access.masked(platform_error(answer))
        if len(answer.body) != len(changes):
            reason = f"{len(changes)} answers wanted, found {len(answer.body)}"
            raise PlatformUnavailableError(NAME, reason)
        return [_of_batch(each) for each in answer.body]

    async def aclose(self) -> None:
        """Close the connection; it is opened anew by a later call."""
        await self._http.aclose()

    async def _get(self, path: str, params: Mapping[str, str], timeout_s: float | None) -> Answer:
        path = f"{self._access.api_version}/{path}"
        answer = await self._http.get(path, params, timeout_s=timeout_s)
        if answer.status != 200 or not isinstance(answer.body, dict) or "error" in answer.body:
            raise self._access.masked(platform_error(answer))
        return answer


def _of_batch(item: object) -> Answer | None:
    """Return an answer within an answer; None where Meta ran out of time for it."""
    if not isinstance(item, dict) or not isinstance(item.get("code"), int):
        return None
    try:
        body = msgspec.json.decode(item.get("body") or "null")
    except msgspec.DecodeError:
        body = None
    headers = {
        str(each.get("name", "")).lower(): str(each.get("value", ""))
        for each in item.get("headers") or ()
    }
    return Answer(status=item["code"], headers=headers, body=body)


def _mapping(value: object) -> dict[str, Any]:
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise PlatformUnavailableError(NAME, f"an object wanted, found {kind}")
    return value
