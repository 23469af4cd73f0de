"""The shipped configuration on a real server: who may do what, and that nobody may do more."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import msgspec
import pytest

from engine.clock import SystemClock
from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.accounts import render
from engine.messaging.credentials import Credentials
from engine.messaging.embedded import embedded_server
from engine.messaging.link import Delivery, RefusedError
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.permissions import DISCONNECTED, Role
from support.definitions import campaign, frame, report
from support.nats import server_with
from support.processes import Auditor, publish, worker_process
from support.secure import DOCKER, Secured, certificates, secured_server
from support.waiting import wait_until

pytestmark = pytest.mark.fleet

# A publish that the server would refuse to store, had it let it in: nothing is left behind.
NOWHERE = {"Nats-Expected-Stream": "NONE"}
WRONG_STREAM = 10060


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Secured]:
    async with secured_server(tmp_path) as secured, secured.client(Role.OPERATOR, provision=True):
        yield secured


@pytest.fixture
async def bare(tmp_path: Path) -> AsyncIterator[Secured]:
    """Return a server without streams."""
    async with secured_server(tmp_path) as secured:
        yield secured


def as_role(
    server: Secured, role: Role, credentials: Credentials
) -> AbstractAsyncContextManager[NatsBroker]:
    return connect(
        server.url,
        name="test",
        clock=SystemClock(),
        credentials=credentials,
        role=role,
        provision=None,
    )


async def engine(*arguments: str, environ: dict[str, str]) -> tuple[int, str, str]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("ENGINE_")}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "engine.cli", *arguments),
        env=inherited | environ,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(30):
        out, err = await process.communicate()
    assert process.returncode is not None
    return process.returncode, out.decode(), err.decode()


def test_the_shipped_accounts_are_what_the_code_needs() -> None:
    """`engine config accounts > docker/nats-accounts.conf` writes them anew."""
    assert (DOCKER / "nats-accounts.conf").read_text(encoding="utf-8") == render()


@pytest.mark.parametrize("role", Role)
async def test_each_role_has_what_it_needs(server: Secured, role: Role) -> None:
    async with as_role(server, role, server.credentials(role)) as broker:
        assert broker.is_connected


async def test_a_fleet_works_with_a_user_for_each_part(server: Secured) -> None:
    auditor = Auditor()
    one = campaign("spring-shoes")
    async with (
        server.client(Role.PUBLISHER) as publisher,
        server.client(Role.GATEWAY) as gateway,
        server.client(Role.DASHBOARD) as dashboard,
        auditor.following(dashboard),
    ):
        beats: list[str] = []
        gateways: list[str] = []
        async with (
            dashboard.heartbeats.listen(lambda worker, _: beats.append(worker)),
            dashboard.gateways.listen(lambda name, _: gateways.append(name)),
        ):
            await publish(publisher, one)
            flags = ("--name", "w1", "--interval", "0.1", "--snapshot-every", "0.5")
            async with worker_process(*flags, environ=server.environ(Role.WORKER)) as worker:
                await worker.says("permissions_suffice")
                await wait_until(lambda: len(auditor.rounds()) > 3, within_s=15, what="rounds")
                await gateway.frames.publish(25, b"poison", message_id="p-1")
                await gateway.frames.flush()
                await gateway.gateways.beat("g1", b"status")
                await wait_until(lambda: gateways == ["g1"], what="a gateway's status")
                await wait_until(
                    lambda: any(r.metrics_sequence for r in auditor.rounds()),
                    within_s=15,
                    what="a counted frame",
                )
                letters = [letter async for letter in dashboard.dead_letters.all()]
        assert auditor.faults == []
        assert set(beats) == {"w1"}
        assert [letter.payload for letter in letters] == [b"poison"]


MAKE, CHANGE = "$JS.API.STREAM.CREATE.X", "$JS.API.STREAM.UPDATE.ENGINE_DECISIONS"
EMPTY, REMOVE = "$JS.API.STREAM.PURGE.ENGINE_DECISIONS", "$JS.API.STREAM.DELETE.ENGINE_DECISIONS"
ERASE = "$JS.API.STREAM.MSG.DELETE.ENGINE_DECISIONS"
CHAIN, FRAMES, ENTRIES = "engine.decisions.3", "engine.metrics.3", "$KV.engine_campaigns.3.x"
STATE, DEAD, BEAT = "engine.state.3", "engine.dead.feed", "engine.heartbeat.w9"
STREAMS = (MAKE, CHANGE, EMPTY, REMOVE, ERASE)
REFUSED = {
    Role.WORKER: (*STREAMS, FRAMES, "$JS.API.STREAM.INFO.ENGINE_DEAD", "_INBOX.operator.x"),
    Role.GATEWAY: (*STREAMS, CHAIN, ENTRIES, STATE, BEAT, "_INBOX.worker.x"),
    Role.PUBLISHER: (*STREAMS, CHAIN, FRAMES, STATE, DEAD, BEAT, "_INBOX.worker.x"),
    Role.DASHBOARD: (
        *(*STREAMS, CHAIN, FRAMES, ENTRIES, STATE, DEAD, BEAT),
        *("engine.gateway.g9", "_INBOX.worker.x"),
    ),
    Role.OPERATOR: (CHAIN, STATE, BEAT, "_INBOX.worker.x"),
}


@pytest.mark.parametrize("role", Role)
async def test_a_role_may_not_publish_what_is_not_its_own(server: Secured, role: Role) -> None:
    async with server.client(role) as broker:
        for subject in REFUSED[role]:
            with pytest.raises(RefusedError, match=f"user '{role}' may not publish to it"):
                await broker.link.request(subject, b"{}", headers=NOWHERE)


@pytest.mark.parametrize(
    ("role", "subject"),
    [
        (Role.WORKER, CHAIN),
        (Role.WORKER, STATE),
        (Role.WORKER, ENTRIES),
        (Role.WORKER, DEAD),
        (Role.GATEWAY, FRAMES),
        (Role.GATEWAY, DEAD),
        (Role.PUBLISHER, ENTRIES),
        (Role.OPERATOR, FRAMES),
        (Role.OPERATOR, ENTRIES),
    ],
)
async def test_what_is_its_own_reaches_the_stream(
    server: Secured, role: Role, subject: str
) -> None:
    """By the answer of the stream itself, which is what makes the refusals above mean something."""
    async with server.client(role) as broker:
        answer = wire.puback(await broker.link.request(subject, b"{}", headers=NOWHERE))
    assert answer.error is not None
    assert answer.error.err_code == WRONG_STREAM


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("subject", [">", "engine.decisions.*", "_INBOX.>", "$SYS.>", "$JS.>"])
async def test_a_role_may_not_listen_to_what_is_not_its_own(
    server: Secured, role: Role, subject: str
) -> None:
    async with server.client(role) as broker:
        with pytest.raises(RefusedError, match=f"user '{role}' may not subscribe to it"):
            await broker.link.subscribe(subject, lambda _: None)


@pytest.mark.parametrize("role", [Role.GATEWAY, Role.PUBLISHER, Role.DASHBOARD])
async def test_an_answer_cannot_be_led_into_a_stream(server: Secured, role: Role) -> None:
    """nats-server checks what is asked, and not where the answer is to go."""
    async with server.client(Role.WORKER) as worker, server.client(role) as broker:
        for subject in (CHAIN, STATE, ENTRIES):
            await broker.link.send("$JS.API.INFO", reply=subject)
        await broker.link.request("$JS.API.INFO")  # the server has answered what was before
        assert await worker.chain.head(3) is None
        for stream in ("ENGINE_DECISIONS", "ENGINE_STATE", "KV_engine_campaigns"):
            asked = await worker.link.request(f"$JS.API.STREAM.INFO.{stream}")
            assert wire.answer(stream, asked, wire.StreamInfo).state.messages == 0


async def test_a_worker_hears_of_connections_that_end(server: Secured) -> None:
    async with server.client(Role.WORKER, name="w1") as broker:
        heard: list[Delivery] = []
        await broker.link.subscribe(DISCONNECTED, heard.append)
        async with server.client(Role.WORKER, name="w2"):
            pass
        await wait_until(lambda: heard, what="an event")
    assert msgspec.json.decode(heard[0].payload)["client"]["name"] == "w2"


async def test_a_record_may_be_as_large_as_the_shipped_server_takes(server: Secured) -> None:
    async with server.client(Role.WORKER) as broker:
        assert broker.chain.largest > 8_000_000
        record = bytes(broker.chain.largest)
        assert await broker.chain.append(3, record, expected=0) == 1


async def test_dead_letters_are_the_operators_to_send_again(server: Secured) -> None:
    good = frame(25, [report("spring-shoes", "google", at=1e9, spend_micros=1)], sequence=1)
    async with server.client(Role.GATEWAY) as gateway:
        gateway.dead_letters.bury("engine.metrics.25", "sequence 9: too new", good)
        gateway.dead_letters.bury("engine.metrics.25", "sequence 10: magic", b"no frame")
        await gateway.dead_letters.drain()
    code, out, _ = await engine("dead", "list", "--json", environ=server.environ(Role.DASHBOARD))
    letters = msgspec.json.decode(out)
    assert (code, [one["sequence"] for one in letters]) == (0, [2, 1])
    assert letters[0]["at"] > 1.7e9
    code, _, err = await engine("dead", "retry", "1", environ=server.environ(Role.DASHBOARD))
    assert code == 1
    assert "user 'dashboard' is no operator" in err
    code, out, _ = await engine(
        "dead", "retry", "--all", "--json", environ=server.environ(Role.OPERATOR)
    )
    assert code == 1  # one of them is still what it was
    assert [one["result"] for one in msgspec.json.decode(out)] == ["retried", "unreadable"]
    code, out, _ = await engine("dead", "retry", "1", environ=server.environ(Role.OPERATOR))
    assert (code, out.split()) == (0, ["1", "gone"])
    async with server.client(Role.WORKER) as worker:
        asked = await worker.link.request("$JS.API.STREAM.INFO.ENGINE_METRICS")
        assert wire.answer("", asked, wire.StreamInfo).state.messages == 1


# Who is let in.


async def test_nobody_is_let_in_without_a_name(server: Secured) -> None:
    nobody = Credentials(ca_file=server.ca_file)
    with pytest.raises(BrokerError, match="wants a user and a password, found none"):
        async with as_role(server, Role.WORKER, nobody):
            pass


async def test_a_wrong_password_is_one_line_and_exit_code_1(server: Secured) -> None:
    environ = server.environ(Role.WORKER)
    Path(environ["ENGINE_PASSWORD_FILE"]).write_text("mist4ken", encoding="utf-8")
    async with worker_process("--name", "w1", environ=environ) as worker:
        code, lines = await worker.ended(within_s=10)
    assert code == 1
    assert lines == [f"engine worker: {server.url} refuses the user or the password"]
    code, out, err = await engine("list", environ=environ)
    assert (code, out) == (1, "")
    assert err == f"engine: {server.url} refuses the user or the password\n"


async def test_a_client_does_not_trust_a_certificate_it_does_not_know(server: Secured) -> None:
    stranger = Credentials(user="worker", password=server.password(Role.WORKER))
    with pytest.raises(BrokerError, match="has no certificate that we trust"):
        async with as_role(server, Role.WORKER, stranger):
            pass


async def test_the_server_wants_a_certificate_where_it_is_told_to(tmp_path: Path) -> None:
    async with secured_server(tmp_path, changes={"verify: false": "verify: true"}) as server:
        without = server.credentials(Role.OPERATOR)
        pem = server.folder / "tls" / "client.pem"
        own = msgspec.structs.replace(without, cert_file=pem, key_file=pem)
        async with as_role(server, Role.OPERATOR, own) as broker:
            assert broker.is_connected
        with pytest.raises(BrokerError, match="TLS"):
            async with as_role(server, Role.OPERATOR, without):
                pass


async def test_a_password_is_not_said_to_a_server_that_does_not_encrypt(tmp_path: Path) -> None:
    certificates(tmp_path / "tls")
    trusting = Credentials(user="w", password="s3cret", ca_file=tmp_path / "tls" / "ca.crt")
    heard = bytearray()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b'INFO {"server_id":"x","version":"2.15.1","max_payload":1048576}\r\n')
        while block := await reader.read(1000):
            heard.extend(block)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as listening:
        port = listening.sockets[0].getsockname()[1]
        url = f"nats://127.0.0.1:{port}"
        with pytest.raises(BrokerError, match="does not encrypt"):
            async with connect(url, name="test", clock=SystemClock(), credentials=trusting):
                pass
    assert heard == b""


async def test_an_nkey_stands_for_a_password(tmp_path: Path) -> None:
    nkeys = pytest.importorskip("nkeys")
    seed = nkeys.encode_seed(bytes(range(32)), nkeys.PREFIX_BYTE_USER)
    public = nkeys.from_seed(bytearray(seed)).public_key.decode()
    users = f'authorization {{ users: [{{ nkey: "{public}" }}] }}'
    async with server_with(
        f'jetstream {{ store_dir: "{tmp_path}" }}\n{users}', tmp_path
    ) as address:
        for given, fits in ((Credentials(nkey_seed=seed.decode()), True), (Credentials(), False)):
            client = connect(
                f"nats://{address}", name="test", clock=SystemClock(), credentials=given
            )
            if fits:
                async with client as broker:
                    assert broker.is_connected
            else:
                with pytest.raises(BrokerError, match="wants a user"):
                    async with client:
                        pass


async def test_an_embedded_server_listens_to_this_machine_only() -> None:
    async with embedded_server() as server:
        ports = {int(url.rpartition(":")[2]) for url in (server.url, server.monitor_url)}
        listening = [
            line.split()[1].split(":")
            for file in ("tcp", "tcp6")
            for line in Path(f"/proc/net/{file}").read_text(encoding="utf-8").splitlines()[1:]
            if line.split()[3] == "0A"
        ]
    hosts = {host for host, port in listening if int(port, 16) in ports}
    assert hosts == {"0100007F"}  # 127.0.0.1, as the kernel writes it


# What is said at a start.


async def test_somebody_else_than_a_worker_does_not_start_as_one(server: Secured) -> None:
    environ = server.environ(Role.GATEWAY)
    async with worker_process("--name", "w1", environ=environ) as worker:
        code, lines = await worker.ended(within_s=10)
    assert code == 1
    assert lines == [
        f"engine worker: {server.url}: user 'gateway' is no worker, it lacks: "
        "publish engine.decisions.*, publish engine.state.>, publish $KV.engine_campaigns.*.*, "
        "publish engine.heartbeat.* and 8 more"
    ]


async def test_streams_are_the_operators_to_make(bare: Secured) -> None:
    async with worker_process("--name", "w1", environ=bare.environ(Role.WORKER)) as worker:
        code, lines = await worker.ended(within_s=10)
    assert code == 1
    assert lines[-1] == (
        "engine worker: no stream ENGINE_METRICS, ENGINE_DECISIONS, KV_engine_campaigns, "
        "ENGINE_STATE: `engine provision` makes it, as an operator"
    )
    code, _, err = await engine("provision", environ=bare.environ(Role.WORKER))
    assert code == 1
    assert "user 'worker' is no operator" in err
    for _ in range(2):
        code, out, err = await engine("provision", environ=bare.environ(Role.OPERATOR))
        assert (code, err) == (0, "")
        assert out.startswith("7 streams are there: ")
    async with worker_process("--name", "w1", environ=bare.environ(Role.WORKER)) as worker:
        await worker.says("worker_started")


async def test_a_stream_that_does_not_fit_is_the_operators_to_put_right(server: Secured) -> None:
    async with server.client(Role.OPERATOR) as operator:
        asked = await operator.link.request("$JS.API.STREAM.INFO.ENGINE_METRICS")
        config = wire.answer("", asked, wire.StreamInfo).config | {"discard": "new"}
        update = msgspec.json.encode(config)
        await operator.link.request("$JS.API.STREAM.UPDATE.ENGINE_METRICS", update)
    with pytest.raises(BrokerError, match='ENGINE_METRICS has discard "new": `engine provision`'):
        async with as_role(server, Role.WORKER, server.credentials(Role.WORKER)):
            pass
    async with server.client(Role.OPERATOR, provision=True), server.client(Role.WORKER):
        pass


async def test_a_command_that_is_refused_is_one_line(server: Secured) -> None:
    example = str(DOCKER.parent / "examples" / "campaigns.csv")
    code, out, err = await engine("publish", example, environ=server.environ(Role.DASHBOARD))
    assert (code, out) == (1, "")
    assert err.count("\n") == 1
    assert "user 'dashboard' is no publisher, it lacks: publish $KV.engine_campaigns.*.*" in err
    code, _, err = await engine("publish", example, environ=server.environ(Role.PUBLISHER))
    assert (code, err) == (0, "")
    code, _, err = await engine("decisions", environ=server.environ(Role.PUBLISHER))
    assert code == 1
    assert "user 'publisher' may not" in err
    assert err.count("\n") == 1


# What is never said.


async def test_no_log_line_and_no_error_shows_a_password(server: Secured) -> None:
    password = server.password(Role.WORKER)
    environ = server.environ(Role.WORKER)
    del environ["ENGINE_USER"], environ["ENGINE_PASSWORD_FILE"]
    address = server.url.removeprefix("nats://")
    environ["ENGINE_NATS"] = (
        f"nats://worker:{password}@{address},nats://worker:{password}@127.0.0.1:1"
    )
    environ["ENGINE_LOG_LEVEL"] = "debug"
    async with worker_process("--name", "w1", environ=environ) as worker:
        lines = [await worker.says("worker_started")]
        server.end()
        lines.append(await worker.says("nats_disconnected"))
        lines.append(await worker.says("nats_error"))
        worker.signal(signal.SIGTERM)
        code, rest = await worker.ended(within_s=10)
    assert [line for line in (*lines, *rest) if password in line] == []
    environ["ENGINE_NATS"] = f"nats://worker:{password}@127.0.0.1:1"
    environ["ENGINE_PATIENCE"] = "0.5"
    async with worker_process("--name", "w1", environ=environ) as worker:
        code, lines = await worker.ended(within_s=10)
    assert code == 1
    assert "nats://worker:***@127.0.0.1:1" in lines[-1]
    assert [line for line in lines if password in line] == []


@pytest.mark.parametrize("command", ["worker", "market", "list"])
async def test_a_password_on_the_command_line_is_refused(command: str) -> None:
    code, out, err = await engine(command, "--nats", "nats://w:s3cret@127.0.0.1:1", environ={})
    assert (code, out) == (2, "")
    assert "an address without a password" in err
    assert "s3cret" not in err
    assert err.count("\n") == 1
