"""The local Meta and TikTok by themselves: what they refuse, and on which machine they are."""

import asyncio
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx2
import pytest

from engine.sandbox.http import HttpServer, Request, Response, json_response
from support.platforms import UnderTest, meta, no_loose_ends, tiktok


async def asked(
    here: UnderTest,
    method: str,
    path: str,
    *,
    headers: dict[str, str],
    **request: Any,  # noqa: ANN401 # httpx2's own
) -> tuple[int, Any]:
    sandbox = here.others["sandbox"]
    async with httpx2.AsyncClient(trust_env=False) as client:
        got = await client.request(method, f"{sandbox.endpoint}{path}", headers=headers, **request)
    return got.status_code, got.json()


async def graph(here: UnderTest, method: str, path: str, **request: Any) -> tuple[int, Any]:  # noqa: ANN401
    secret = here.others["sandbox"].app_secret.encode()
    proof = hmac.new(secret, b"EAAsandbox-1", hashlib.sha256).hexdigest()
    params = {"appsecret_proof": proof} | request.pop("params", {})
    headers = {"authorization": "Bearer EAAsandbox-1"}
    return await asked(here, method, path, headers=headers, params=params, **request)


async def business(here: UnderTest, method: str, path: str, **request: Any) -> Any:  # noqa: ANN401
    headers = {"access-token": "ttsandbox-1"}
    status, body = await asked(here, method, f"/open_api/v1.3/{path}/", headers=headers, **request)
    assert status == 200, "TikTok says everything in the body"
    return body


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ("bid_amount=0", 100),
        ("bid_amount=1.5", 100),
        ("daily_budget=99", 100),
        ("status=ON", 100),
        ("name=x", 100),
        ('bid_constraints={"roas_average_floor":1}', 100),
    ],
)
async def test_meta_refuses_what_it_does_not_take(fields: str, code: int) -> None:
    async with no_loose_ends(), meta() as here:
        batch = [{"method": "POST", "relative_url": "v25.0/11", "body": fields}]
        status, answers = await graph(here, "POST", "/", data={"batch": json.dumps(batch)})
        assert status == 200
        assert answers[0]["code"] == 400
        assert json.loads(answers[0]["body"])["error"]["code"] == code
        assert here.books.moves == []


@pytest.mark.parametrize(
    ("path", "params"),
    [
        ("/v25.0/act_404", {}),
        ("/v25.0/act_1/ads", {}),
        ("/v25.0/act_1/adsets", {"filtering": '[{"field":"name","operator":"IN","value":[]}]'}),
        ("/act_1", {}),
    ],
)
async def test_meta_refuses_questions_that_it_does_not_know(
    path: str, params: dict[str, str]
) -> None:
    async with no_loose_ends(), meta() as here:
        status, body = await graph(here, "GET", path, params=params)
        assert (status, body["error"]["type"] != "") == (400, True)


async def test_what_is_missing_in_a_question_is_no_reason_to_fall_silent() -> None:
    async with no_loose_ends(), meta() as here:
        assert (await graph(here, "GET", "/v25.0/act_1/insights"))[0] == 400
        assert (await graph(here, "GET", "/v25.0/act_1/adsets", params={"limit": "x"}))[0] == 400


async def test_meta_takes_fifty_changes_at_once_and_no_more() -> None:
    async with no_loose_ends(), meta() as here:
        change = {"method": "POST", "relative_url": "v25.0/11", "body": "status=PAUSED"}
        batch = json.dumps([change] * 51)
        status, body = await graph(here, "POST", "/", data={"batch": batch})
        assert (status, body["error"]["code"]) == (400, 3)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("adgroup/update", {"adgroup_id": "11", "bid_price": 0}),
        ("adgroup/update", {"adgroup_id": "11", "bid_price": 1.234}),
        ("adgroup/update", {"adgroup_id": "11", "bid_price": 60}),
        ("adgroup/update", {"adgroup_id": "11", "conversion_bid_price": 5}),
        ("adgroup/update", {"adgroup_id": "11", "budget": 19}),
        ("adgroup/update", {"adgroup_id": "11", "name": "x"}),
        ("adgroup/update", {"adgroup_id": "21", "budget": 60}),
        ("adgroup/update", {"adgroup_id": "404", "budget": 60}),
        ("adgroup/status/update", {"adgroup_ids": [], "operation_status": "DISABLE"}),
        ("adgroup/status/update", {"adgroup_ids": ["11"] * 21, "operation_status": "DISABLE"}),
        ("adgroup/status/update", {"adgroup_ids": ["11"], "operation_status": "OFF"}),
    ],
)
async def test_tiktok_refuses_what_it_does_not_take(path: str, body: dict[str, object]) -> None:
    async with no_loose_ends(), tiktok() as here:
        said = await business(here, "POST", path, json={"advertiser_id": "7001"} | body)
        assert said["code"] == 40_002
        assert here.books.moves == []


@pytest.mark.parametrize(
    "changed",
    [
        {"end_date": "2026-06-04"},
        {"metrics": '["spend","profit"]'},
        {"dimensions": '["adgroup_id"]'},
        {"data_level": "AUCTION_PLANET"},
        {"page_size": "1001"},
    ],
)
async def test_tiktok_refuses_reports_that_it_does_not_make(changed: dict[str, str]) -> None:
    asks = {
        "advertiser_id": "7001",
        "report_type": "BASIC",
        "data_level": "AUCTION_ADGROUP",
        "dimensions": '["adgroup_id","stat_time_hour"]',
        "metrics": '["spend"]',
        "start_date": "2026-06-03",
        "end_date": "2026-06-03",
    }
    async with no_loose_ends(), tiktok() as here:
        good = await business(here, "GET", "report/integrated/get", params=asks)
        assert good["code"] == 0
        bad = await business(here, "GET", "report/integrated/get", params=asks | changed)
        assert bad["code"] == 40_002


@asynccontextmanager
async def serving(answer: Callable[[Request], Response]) -> AsyncIterator[HttpServer]:
    async def respond(request: Request) -> Response:
        return answer(request)

    server = HttpServer(respond)
    await server.start()
    try:
        yield server
    finally:
        await server.kill()


async def test_the_server_is_on_this_machine_only_and_keeps_its_port() -> None:
    async with no_loose_ends(), serving(lambda _: json_response({})) as server:
        assert server._server is not None
        [socket] = server._server.sockets
        address, port = socket.getsockname()
        assert address == "127.0.0.1"
        await server.kill()
        await server.start()
        assert server.port == port


@pytest.mark.parametrize(
    "said",
    [
        b"nonsense\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: x\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 99999999999\r\n\r\n",
        b"GET / HTTP/1.1\r\ncontent-length: 5\r\n\r\nab",
        b"GET /",
        b"",
    ],
)
async def test_who_does_not_speak_http_gets_no_answer_and_harms_nobody(said: bytes) -> None:
    async with no_loose_ends(), serving(lambda _: json_response({"fine": True})) as server:
        reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
        writer.write(said)
        writer.write_eof()
        assert await reader.read() == b""
        writer.close()
        await writer.wait_closed()
        async with httpx2.AsyncClient(trust_env=False) as client:
            got = await client.get(f"http://127.0.0.1:{server.port}/")
        assert got.json() == {"fine": True}
