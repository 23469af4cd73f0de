"""A consumer of decisions in a few lines: print every new bid, for ever.

Run it beside a fleet: `ENGINE_NATS=nats://127.0.0.1:4222 python examples/consumer.py`
"""

import asyncio

from engine.messaging.ports import Message
from engine.messaging.records import Decide, decisions_of, decode_record
from engine.wiring import open_broker


async def main() -> None:
    """Follow the decision chain of all partitions from now on."""
    async with open_broker(name="my-consumer") as broker:
        messages: asyncio.Queue[Message] = asyncio.Queue()
        async with broker.chain.follow(messages.put_nowait, after=None):
            while True:
                message = await messages.get()
                record = decode_record("decisions", message.payload)
                if isinstance(record, Decide):
                    for decision in decisions_of(record):
                        for one in decision.platforms:
                            # Key what you do by (partition, sequence): each is there once.
                            key = (message.partition, message.sequence)
                            bid = one.bid_micros / 1e6
                            print(key, decision.campaign, one.platform, bid)  # noqa: T201


if __name__ == "__main__":
    asyncio.run(main())
