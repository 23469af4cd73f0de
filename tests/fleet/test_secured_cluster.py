"""Three servers from docker/nats-cluster.conf, with the secrets that docker/make-secrets makes."""

import asyncio
import os
import socket
import subprocess
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from pathlib import Path

import pytest

from engine.clock import SystemClock
from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.credentials import Credentials
from engine.messaging.embedded import find_server
from engine.messaging.nats import NatsBroker, connect
from engine.messaging.permissions import Role
from support.secure import DOCKER

pytestmark = pytest.mark.fleet


def free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [int(one.getsockname()[1]) for one in sockets]


@asynccontextmanager
async def cluster(folder: Path) -> AsyncIterator[list[str]]:
    """Run the three; yields their addresses."""
    subprocess.run([DOCKER / "make-secrets", folder], check=True, capture_output=True)  # noqa: ASYNC221
    environ = dict(
        line.split("=", 1)
        for line in (folder / "nats.env").read_text(encoding="utf-8").splitlines()
    )
    clients, routes = free_ports(3), free_ports(3)
    shipped = (DOCKER / "nats-cluster.conf").read_text(encoding="utf-8")
    accounts = (DOCKER / "nats-accounts.conf").read_text(encoding="utf-8")
    (folder / "nats-accounts.conf").write_text(accounts, encoding="utf-8")
    running = []
    try:
        for number in (1, 2, 3):
            text = shipped
            changes = {
                "0.0.0.0:4222": f"127.0.0.1:{clients[number - 1]}",
                "0.0.0.0:8222": "127.0.0.1:-1",
                "0.0.0.0:6222": f"127.0.0.1:{routes[number - 1]}",
                '"data/nats"': f'"data/{number}"',
            } | {f"nats-{n}:6222": f"127.0.0.1:{routes[n - 1]}" for n in (1, 2, 3)}
            for old, new in changes.items():
                assert old in text, old
                text = text.replace(old, new)
            conf = folder / f"{number}.conf"
            conf.write_text(text, encoding="utf-8")
            running.append(
                subprocess.Popen(  # noqa: ASYNC220
                    [find_server(), "-c", conf, "-l", folder / f"{number}.log"],
                    cwd=folder,
                    env=os.environ | environ | {"SERVER_NAME": f"nats-{number}"},
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
        yield [f"nats://127.0.0.1:{port}" for port in clients]
    finally:
        for process in running:
            process.kill()
            process.wait()


@asynccontextmanager
async def client(
    folder: Path, urls: list[str], role: Role, *, provision: bool | None = None
) -> AsyncIterator[NatsBroker]:
    password = (folder / f"{role}_password").read_text(encoding="utf-8")
    async with connect(
        ",".join(urls),
        name=f"{role}-1",
        clock=SystemClock(),
        credentials=Credentials(
            user=role.value, password=password, ca_file=folder / "tls" / "ca.crt"
        ),
        role=role,
        replicas=3,
        provision=provision,
    ) as broker:
        yield broker


async def provisioned(folder: Path, urls: list[str]) -> None:
    """Make the streams as soon as the servers have found each other."""
    async with asyncio.timeout(40):
        while True:
            try:
                async with client(folder, urls, Role.OPERATOR, provision=True):
                    return
            except BrokerError:
                await asyncio.sleep(0.2)


async def test_the_shipped_cluster_holds_three_copies_and_the_same_rights(tmp_path: Path) -> None:
    async with cluster(tmp_path) as urls:
        await provisioned(tmp_path, urls)
        async with (
            client(tmp_path, urls[:1], Role.WORKER) as worker,
            client(tmp_path, urls[1:2], Role.GATEWAY) as gateway,
            client(tmp_path, urls[2:], Role.DASHBOARD) as dashboard,
        ):
            asked = await worker.link.request("$JS.API.STREAM.INFO.ENGINE_DECISIONS")
            config = wire.answer("", asked, wire.StreamInfo).config
            assert config["num_replicas"] == 3
            heard: list[bytes] = []
            frames: list[bytes] = []
            async with (
                dashboard.chain.follow(lambda message: heard.append(message.payload)) as chain,
                worker.frames.follow(lambda message: frames.append(message.payload)) as samples,
            ):
                first = await worker.chain.append(3, b"take", expected=0)
                await worker.chain.append(3, b"decide", expected=first)
                await gateway.frames.publish(3, b"frame", message_id="f-1")
                await asyncio.wait_for(gateway.frames.flush(), 10)
                await asyncio.wait_for(chain.caught_up(), 10)
                await asyncio.wait_for(samples.caught_up(), 10)
            assert (heard, frames) == ([b"take", b"decide"], [b"frame"])
            # Across accounts and servers, an answer stays where it was asked for.
            for other in (gateway, dashboard):
                await other.link.send("$JS.API.INFO", reply="engine.decisions.9")
                await other.link.request("$JS.API.INFO")
            assert await worker.chain.head(9) is None
