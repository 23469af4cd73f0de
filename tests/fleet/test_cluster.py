"""Three nats-servers as one broker: streams with three copies, and one server lost."""

import asyncio

import pytest

from engine.clock import SystemClock
from engine.errors import BrokerError
from engine.messaging import subjects, wire
from engine.messaging.cluster import embedded_cluster
from engine.messaging.nats import connect

pytestmark = pytest.mark.fleet


async def test_a_cluster_keeps_three_copies_and_goes_on_without_one_server() -> None:
    async with embedded_cluster(name="three") as cluster:
        assert {server.name for server in cluster.servers} == {"three-1", "three-2", "three-3"}
        leader = await cluster.leader()
        clock = SystemClock()
        async with connect(cluster.url, name="test", clock=clock, replicas=3) as broker:
            subject = f"$JS.API.STREAM.INFO.{subjects.DECISIONS_STREAM}"
            info = wire.answer("it", await broker.link.request(subject), wire.StreamInfo)
            assert info.config["num_replicas"] == 3
            first = await broker.chain.append(3, b"one", expected=0)
            lost = next(server for server in cluster.servers if server.name != leader)
            await lost.kill()
            assert not lost.is_running
            second = await broker.chain.append(3, b"two", expected=first)
            await lost.start()
            assert lost.is_running
            assert [m.payload async for m in broker.chain.read(3)] == [b"one", b"two"]
            assert second > first


async def test_who_comes_while_there_is_no_leader_waits_for_one() -> None:
    clock = SystemClock()
    async with embedded_cluster() as cluster:
        for server in cluster.servers[1:]:
            await server.kill()  # one of three is no quorum
        async with asyncio.TaskGroup() as group:
            joining = group.create_task(joined(cluster.url))
            with pytest.raises(BrokerError, match=r"answer|unavailable"):
                async with connect(cluster.url, name="hasty", clock=clock, replicas=3):
                    pytest.fail("there is no leader to answer")
            for server in cluster.servers[1:]:
                await server.start()
        assert joining.result()


async def joined(url: str) -> bool:
    """Return whether the broker could be used in the end."""
    async with connect(url, name="patient", clock=SystemClock(), replicas=3, patience=30) as broker:
        return await broker.chain.append(3, b"one", expected=0) > 0


async def test_a_cluster_listens_on_this_machine_only() -> None:
    async with embedded_cluster() as cluster:
        assert all("//127.0.0.1:" in url for url in cluster.url.split(","))
