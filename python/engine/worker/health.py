"""Whether a worker lives and can decide, over HTTP: for probes and people.

GET /live    200 while the loop turns, 503 when it is stuck: restart it
GET /ready   200 while it can decide, 503 with the hindrances while it cannot: leave it alone
GET /status  200 with figures
"""

from collections.abc import Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from engine.endpoint import Said, serve_endpoint

__all__ = ["Inspected", "serve_health"]


class Inspected(Protocol):
    """What is asked of a worker."""

    @property
    def is_live(self) -> bool: ...

    def hindrances(self) -> list[str]: ...

    def status(self) -> dict[str, object]: ...


def serve_health(address: str, *, worker: Inspected) -> AbstractAsyncContextManager[str]:
    """Answer at PORT or HOST:PORT beside the body; yields the address. Raises ConfigError."""

    def answer(path: str, headers: Mapping[str, str]) -> Said:
        return _say(path, worker)

    return serve_endpoint(address, setting="health", answer=answer)


def _say(path: str, worker: Inspected) -> Said:
    if path == "/live":
        return _json({"live": worker.is_live}, is_fine=worker.is_live)
    if path == "/ready":
        hindrances = worker.hindrances()
        said = {"ready": not hindrances, "hindrances": hindrances}
        return _json(said, is_fine=not hindrances)
    if path == "/status":
        return _json(worker.status(), is_fine=True)
    return Said(
        "404 Not Found",
        "application/json",
        b'{"error":"/live, /ready and /status are answered"}',
    )


def _json(said: object, *, is_fine: bool) -> Said:
    status = "200 OK" if is_fine else "503 Service Unavailable"
    return Said(status, "application/json", msgspec.json.encode(said))
