"""What the dashboard answers over HTTP, to whom, and under which policy."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from engine.campaigns.repository import Repository
from engine.cli.dashboard import CampaignSteering
from engine.clock import SystemClock
from engine.dashboard.guard import host_of
from engine.dashboard.service import listen
from engine.domain.decision import Binding
from engine.domain.lifecycle import State
from engine.errors import ConfigError
from engine.messaging.memory import MemoryBroker
from support.dashboard import TOKEN, Fleet, ask, serving
from support.definitions import campaign
from support.waiting import wait_until

PAGES = (
    "/",
    "/decisions",
    "/platforms",
    "/workers",
    "/health",
    "/campaigns/spring-shoes",
    "/login",
)


@pytest.fixture
def broker() -> MemoryBroker:
    return MemoryBroker()


@pytest.fixture
async def reading(broker: MemoryBroker) -> AsyncIterator[int]:
    """A dashboard that only reads, by its port."""
    fleet = Fleet(broker)
    await fleet.publish(campaign("spring-shoes"))
    await fleet.take()
    await fleet.decide({"campaign": "spring-shoes", "binding": Binding.MAX_BID})
    async with serving(broker) as (_, port):
        yield port


@pytest.fixture
async def changing(broker: MemoryBroker) -> AsyncIterator[int]:
    """A dashboard that may change campaigns, by its port."""
    now = SystemClock().now()
    one = campaign("spring-shoes")
    flight = type(one.definition.flight)(now - 60, now + 600)
    await Fleet(broker).publish(campaign("spring-shoes", flight=flight))
    clock = SystemClock()
    repository = Repository(table=broker.campaigns, clock=clock, by="tester")
    async with serving(broker, steering=CampaignSteering(repository, clock)) as (_, port):
        yield port


async def state_of(broker: MemoryBroker) -> tuple[State, str, str]:
    stored = await Repository(table=broker.campaigns, clock=SystemClock(), by="").get(
        "spring-shoes"
    )
    assert stored is not None
    return stored.campaign.state, stored.campaign.changed_by, stored.campaign.note


@pytest.mark.parametrize("path", PAGES)
async def test_every_page_comes_with_a_policy_that_lets_nothing_foreign_in(
    reading: int, path: str
) -> None:
    answer = await ask(reading, path)
    assert answer.status == 200
    assert answer.headers["content-type"].startswith("text/html")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert b"<script>" not in answer.body
    assert b"style=" not in answer.body
    assert b"http" not in answer.body.replace(b"http-equiv", b"")  # nothing of others


async def test_the_files_are_served_packed_and_once(reading: int) -> None:
    first = await ask(reading, "/static/app.js", headers={"accept-encoding": "gzip"})
    assert first.headers["content-encoding"] == "gzip"
    again = await ask(reading, "/static/app.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status, again.body) == (304, b"")


@pytest.mark.parametrize(
    "path", ["/static/../app.py", "/static/%2e%2e%2fapp.py", "/static/x.py", "/x"]
)
async def test_nothing_else_is_served(reading: int, path: str) -> None:
    assert (await ask(reading, path)).status == 404


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "", "localhost.evil.example"])
async def test_a_name_it_does_not_go_by_is_not_answered(reading: int, host: str) -> None:
    answer = await ask(reading, "/api/view", headers={"host": host})
    assert answer.status in (400, 421)
    assert b"spring" not in answer.body


@pytest.mark.parametrize("host", ["localhost", "localhost:9", "127.0.0.1", "[::1]:8787"])
async def test_this_machines_names_are_answered(reading: int, host: str) -> None:
    assert (await ask(reading, "/api/view", headers={"host": host})).status == 200


def test_a_host_header_is_cut_to_its_name() -> None:
    assert host_of("LOCALHOST:80") == "localhost"


async def test_the_table_is_told_with_what_binds_it(reading: int) -> None:
    page = (await ask(reading, "/api/view")).json["page"]
    assert page["total"] == 1
    assert page["rows"][0][0] == "spring-shoes"
    assert "max-bid" in page["rows"][0]


async def test_a_stream_begins_with_everything(reading: int, broker: MemoryBroker) -> None:
    view = await ask(reading, "/api/view?page=campaign&id=spring-shoes")
    now = view.json["page"]["now"]
    assert now["decision"]["binding"] == "max-bid"
    assert now["decision"]["why"].startswith("Bids 0.50 on google, 0.30 on meta: the highest bid")
    assert now["legal"] == ["pause", "stop"]


@pytest.mark.parametrize(
    "query", ["sort=x", "page=x", "page=campaign&id=a%20b", "limit=100000", "state=running"]
)
async def test_a_view_that_makes_no_sense_is_refused_in_words(reading: int, query: str) -> None:
    for path in ("/api/view", "/api/stream"):
        answer = await ask(reading, f"{path}?{query}")
        assert answer.status == 400
        assert "found" in answer.json["error"]


async def test_a_campaign_nobody_knows_is_not_there(reading: int) -> None:
    assert (await ask(reading, "/api/campaigns/nobody")).status == 404
    assert (await ask(reading, "/api/campaigns/nobody/past")).json["at"] == []
    view = await ask(reading, "/api/view?page=campaign&id=nobody")
    assert view.json["page"]["now"] is None


@pytest.mark.parametrize("path", ["/api/campaigns/spring-shoes/pause", "/api/halt"])
async def test_a_dashboard_that_only_reads_changes_nothing(
    reading: int, broker: MemoryBroker, path: str
) -> None:
    before = await state_of(broker)
    answer = await ask(reading, path, method="POST", body={"is_halted": True})
    assert answer.status == 403
    assert "--allow-changes" in answer.json["error"]
    assert await state_of(broker) == before


async def test_a_campaign_is_paused_and_resumed_by_whoever_has_the_token(
    changing: int, broker: MemoryBroker
) -> None:
    path = "/api/campaigns/spring-shoes"
    paused = await ask(changing, f"{path}/pause", method="POST", body={"note": "stock is out"})
    assert paused.json == {"campaign": "spring-shoes", "was": "active", "state": "paused"}
    assert await state_of(broker) == (State.PAUSED, "tester", "stock is out")
    resumed = await ask(changing, f"{path}/resume", method="POST", body={})
    assert resumed.json["state"] == "active"


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({"without": ["authorization"]}, 401),
        ({"headers": {"authorization": "Bearer wrong"}}, 401),
        ({"headers": {"authorization": TOKEN}}, 401),
        ({"headers": {"origin": "http://evil.example"}}, 403),
        ({"without": ["origin"]}, 403),
        ({"headers": {"origin": "null"}}, 403),
        ({"headers": {"content-type": "text/plain"}}, 415),
        ({"headers": {"content-type": "application/x-www-form-urlencoded"}}, 415),
        ({"body": {"note": 3}}, 400),
        ({"body": {"unknown": 1}}, 400),
        ({"body": {"note": "x" * 20_000}}, 413),
    ],
)
async def test_a_change_from_elsewhere_or_without_the_token_is_refused(
    changing: int, broker: MemoryBroker, fields: dict[str, object], status: int
) -> None:
    wanted: dict[str, object] = {"body": {}} | fields
    path = "/api/campaigns/spring-shoes/pause"
    answer = await ask(changing, path, method="POST", **wanted)  # type: ignore[arg-type]
    assert answer.status == status
    assert (await state_of(broker))[0] is State.ACTIVE


async def test_what_the_lifecycle_forbids_is_said(changing: int) -> None:
    path = "/api/campaigns/spring-shoes"
    assert (await ask(changing, f"{path}/stop", method="POST", body={})).status == 200
    refused = await ask(changing, f"{path}/resume", method="POST", body={})
    assert refused.status == 409
    assert "the state is final" in refused.json["error"]
    assert (await ask(changing, f"{path}/explode", method="POST", body={})).status == 404
    missing = await ask(changing, "/api/campaigns/nobody/pause", method="POST", body={})
    assert missing.status == 404


async def test_the_kill_switch_turns_everywhere_and_is_seen(changing: int) -> None:
    turned = await ask(changing, "/api/halt", method="POST", body={"is_halted": True})
    assert turned.json == {"is_halted": True, "partitions": 64}
    head = (await ask(changing, "/api/view")).json["head"]
    assert head["halted"] == 64
    off = await ask(changing, "/api/halt", method="POST", body={"is_halted": False})
    assert off.json["partitions"] == 64
    assert (await ask(changing, "/api/view")).json["head"]["halted"] == 0


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "OPTIONS"])
async def test_other_methods_are_not_for_it(reading: int, method: str) -> None:
    assert (await ask(reading, "/api/view", method=method)).status == 405


async def test_where_reading_needs_the_token_it_is_traded_for_a_cookie(
    broker: MemoryBroker,
) -> None:
    async with serving(broker, reading_needs_token=True) as (_, port):
        page = await ask(port, "/")
        assert (page.status, page.headers["location"]) == (303, "/login")
        for path in ("/api/view", "/api/stream", "/api/about", "/api/campaigns/x/past"):
            assert (await ask(port, path)).status == 401
        assert (await ask(port, "/static/app.js")).status == 200
        wrong = await ask(port, "/api/login", method="POST", body={"token": "guess"})
        assert wrong.status == 401
        right = await ask(port, "/api/login", method="POST", body={"token": TOKEN})
        cookie = right.headers["set-cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        known = {"cookie": cookie.partition(";")[0]}
        assert (await ask(port, "/api/view", headers=known)).status == 200
        assert (
            await ask(port, "/api/view", headers={"cookie": "engine_dashboard=x"})
        ).status == 401
        bearer = {"authorization": f"Bearer {TOKEN}"}
        assert (await ask(port, "/api/view", headers=bearer)).status == 200
        # The cookie reads; it changes nothing.
        order = await ask(
            port, "/api/halt", method="POST", body={"is_halted": True}, headers=known,
            without=["authorization"],
        )  # fmt: skip
        assert order.status == 401


@pytest.mark.parametrize("scheme", ["http", "https"])
@pytest.mark.parametrize("said_by", ["x-forwarded-proto", "origin"])
async def test_the_cookie_of_a_login_by_https_is_for_https_alone(
    broker: MemoryBroker, scheme: str, said_by: str
) -> None:
    async with serving(broker, reading_needs_token=True) as (_, port):
        values = {"origin": f"{scheme}://127.0.0.1:{port}", "x-forwarded-proto": scheme}
        login = await ask(
            port, "/api/login", method="POST", body={"token": TOKEN},
            headers={said_by: values[said_by]},
        )  # fmt: skip
        assert login.status == 200
        assert login.headers["set-cookie"].endswith("; Secure") == (scheme == "https")


def test_a_public_address_needs_a_token_that_was_chosen() -> None:
    with pytest.raises(ConfigError, match=r"--bind 0\.0\.0\.0: a token"):
        listen("0.0.0.0", 0, has_token=False)
    with listen("127.0.0.1", 0, has_token=False) as sock:
        port = sock.getsockname()[1]
        with pytest.raises(ConfigError, match=f"found 127.0.0.1:{port}"):
            listen("127.0.0.1", port, has_token=False)


async def test_a_broker_that_is_away_is_said_and_the_pages_stay(
    reading: int, broker: MemoryBroker
) -> None:
    broker.server.disconnect()
    assert (await ask(reading, "/healthz")).status == 503
    view = await ask(reading, "/api/view")
    assert view.json["head"]["is_connected"] is False
    assert view.json["page"]["total"] == 1
    broker.server.reconnect()
    assert (await ask(reading, "/healthz")).status == 200


async def test_stopping_ends_streams_that_somebody_watches(broker: MemoryBroker) -> None:
    async with serving(broker) as (service, port):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET /api/stream HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\n\r\n".encode())
        await reader.readuntil(b"data:")
        await wait_until(lambda: service.hub.viewers == 1)
    writer.close()
    assert service.hub.viewers == 0
