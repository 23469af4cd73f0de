"""The few questions over HTTP that a service answers, and the odd clients it outlives."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest

from engine.endpoint import AT_ONCE, Said, serve_endpoint
from engine.errors import ConfigError


def echo(path: str, headers: Mapping[str, str]) -> Said:
    return Said("200 OK", "text/plain", f"{path} {headers.get('accept', 'anything')}".encode())


@pytest.fixture
async def address() -> AsyncIterator[str]:
    async with serve_endpoint(":0", setting="health", answer=echo) as at:
        yield at


async def connected(address: str) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, _, port = address.rpartition(":")
    return await asyncio.open_connection(host, int(port))


async def ask(address: str, request: str) -> str:
    reader, writer = await connected(address)
    writer.write(request.encode())
    async with asyncio.timeout(5):
        answer = (await reader.read()).decode()
    writer.close()
    return answer


async def test_no_host_is_this_machine(address: str) -> None:
    assert address.startswith("127.0.0.1:")


async def test_it_is_told_the_path_and_the_headers(address: str) -> None:
    answer = await ask(address, "GET /a?b=c HTTP/1.1\r\nACCEPT:  text/html \r\n\r\n")
    assert answer.startswith("HTTP/1.1 200 OK\r\n")
    assert answer.endswith("\r\nContent-Length: 12\r\nCache-Control: no-store\r\n"
                           "Connection: close\r\n\r\n/a text/html")  # fmt: skip


async def test_a_head_is_the_answer_without_its_content(address: str) -> None:
    answer = await ask(address, "HEAD /a HTTP/1.1\r\n\r\n")
    assert "Content-Length: 11\r\n" in answer
    assert answer.endswith("\r\n\r\n")


async def test_what_would_change_something_is_told_what_is_allowed(address: str) -> None:
    answer = await ask(address, "POST /a HTTP/1.1\r\n\r\n")
    assert answer.startswith("HTTP/1.1 405 Method Not Allowed\r\nAllow: GET, HEAD\r\n")


async def test_clients_that_say_too_much_or_nothing_do_no_harm(address: str) -> None:
    silent = [await connected(address) for _ in range(3)]
    reader, writer = await connected(address)
    writer.write(b"GET /" + bytes(100_000))
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
    assert (await ask(address, "GET /a HTTP/1.1\r\n\r\n")).endswith("/a anything")
    for _, one in (*silent, (reader, writer)):
        one.close()


async def test_who_comes_while_too_many_are_answered_is_sent_away(address: str) -> None:
    silent = [await connected(address) for _ in range(AT_ONCE)]
    async with asyncio.timeout(5):
        with contextlib.suppress(ConnectionResetError):
            assert await ask(address, "GET /a HTTP/1.1\r\n\r\n") == ""
    for _, one in silent:
        one.close()


async def test_an_address_that_is_taken_is_one_line_that_names_the_setting(address: str) -> None:
    with pytest.raises(ConfigError, match=f"health: an address to listen on, found {address}: "):
        async with serve_endpoint(address, setting="health", answer=echo):
            pass
