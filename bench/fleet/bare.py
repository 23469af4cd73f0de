"""The floor: the same frames, read by nats-py and a raw pull that only counts their bytes.

`python -m bench.fleet.bare URL` reads all of ENGINE_METRICS once and prints one JSON line.
"""

import asyncio
import json
import secrets
import sys
import time

import nats
from nats.aio.msg import Msg

STREAM = "ENGINE_METRICS"
BATCH = 256


async def read(url: str) -> dict[str, float]:
    """Return frames, bytes, seconds and processor time of reading what is stored now."""
    client = await nats.connect(url, pending_size=0)
    frames = size = on_the_way = 0
    name, inbox = secrets.token_hex(8), client.new_inbox()
    config = {"name": name, "ack_policy": "none", "deliver_policy": "all", "mem_storage": True}
    info = await client.request(
        f"$JS.API.CONSUMER.CREATE.{STREAM}.{name}",
        json.dumps({"stream_name": STREAM, "config": config, "action": "create"}).encode(),
    )
    wanted = int(json.loads(info.data)["num_pending"])
    pull = json.dumps({"batch": BATCH, "expires": 30_000_000_000}).encode()
    ended = asyncio.Event()

    async def heard(message: Msg) -> None:
        nonlocal frames, size, on_the_way
        frames += 1
        size += len(message.data)
        on_the_way -= 1
        if frames == wanted:
            ended.set()
        elif on_the_way == BATCH:
            await ask()

    async def ask() -> None:
        nonlocal on_the_way
        on_the_way += BATCH
        await client.publish(f"$JS.API.CONSUMER.MSG.NEXT.{STREAM}.{name}", pull, reply=inbox)

    await client.subscribe(inbox, cb=heard, pending_msgs_limit=0, pending_bytes_limit=0)
    began, cpu = time.monotonic(), time.process_time()
    await ask()
    await ask()
    if wanted:
        await ended.wait()
    found = {
        "frames": frames,
        "bytes": size,
        "seconds": time.monotonic() - began,
        "cpu_s": time.process_time() - cpu,
    }
    await client.close()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps(asyncio.run(read(sys.argv[1]))) + "\n")
