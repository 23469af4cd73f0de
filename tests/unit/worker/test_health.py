"""What a worker tells probes and people of itself."""

import asyncio
import json
from collections.abc import AsyncIterator

import pytest

from engine.errors import ConfigError
from engine.worker.health import serve_health


class Someone:
    """A worker as somebody who asks sees it."""

    def __init__(self) -> None:
        self.is_live = True
        self.reasons: list[str] = []

    def hindrances(self) -> list[str]:
        return self.reasons

    def status(self) -> dict[str, object]:
        return {"worker": "w1", "rounds": 7}


async def ask(address: str, request: str) -> tuple[int, object]:
    host, _, port = address.rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(request.encode())
    async with asyncio.timeout(5):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    return int(head.split()[1]), json.loads(body) if body else None


def get(path: str) -> str:
    return f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n"


@pytest.fixture
def someone() -> Someone:
    return Someone()


@pytest.fixture
async def address(someone: Someone) -> AsyncIterator[str]:
    async with serve_health(":0", worker=someone) as at:
        yield at


async def test_a_worker_that_is_well_says_so(address: str) -> None:
    assert await ask(address, get("/live")) == (200, {"live": True})
    assert await ask(address, get("/ready")) == (200, {"ready": True, "hindrances": []})
    assert await ask(address, get("/status?pretty")) == (200, {"worker": "w1", "rounds": 7})


async def test_a_hindrance_is_told_and_no_reason_to_be_restarted(
    address: str, someone: Someone
) -> None:
    someone.reasons = ["the broker is away"]
    code, said = await ask(address, get("/ready"))
    assert (code, said) == (503, {"ready": False, "hindrances": ["the broker is away"]})
    assert (await ask(address, get("/live")))[0] == 200


async def test_a_loop_that_is_stuck_is_not_live(address: str, someone: Someone) -> None:
    someone.is_live = False
    assert await ask(address, get("/live")) == (503, {"live": False})


async def test_what_it_does_not_know_it_refuses(address: str) -> None:
    assert (await ask(address, get("/metrics")))[0] == 404
    assert (await ask(address, "POST /live HTTP/1.1\r\n\r\n"))[0] == 405
    assert await ask(address, "HEAD /live HTTP/1.1\r\n\r\n") == (200, None)


async def test_an_address_that_is_taken_is_one_line(address: str, someone: Someone) -> None:
    with pytest.raises(ConfigError, match=f"health: an address to listen on, found {address}"):
        async with serve_health(address, worker=someone):
            pass
