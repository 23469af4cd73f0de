"""A gateway as a process of its own, over nats-server and the platform of `tcp_platform`.

`python -m support.gateway_process NATS NAME PORT`
"""

import asyncio
import sys

from engine.clock import SystemClock
from engine.gateway.service import Gateway
from engine.gateway.settings import Accounts
from engine.messaging.nats import connect
from engine.wiring import set_up_logs, stopped_by_signals
from support.gateway import EAGER, account
from support.tcp_platform import TcpPlatform


async def main(url: str, name: str, port: int) -> None:
    """Run until a signal comes."""
    clock = SystemClock()
    async with connect(url, name=name, clock=clock, provision=False) as broker:
        service = Gateway(
            broker=broker,
            clock=clock,
            name=name,
            accounts=Accounts(accounts=[account(time_out=0.5, poll_every=2.0)], gate=EAGER),
            make=lambda one: TcpPlatform(port),
            interval=0.02,
            grace=5.0,
            status_every=0.1,
            suspicion=0.6,
        )
        async with stopped_by_signals(service):
            await service.run()


if __name__ == "__main__":
    set_up_logs("warning")
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
