"""A worker without the fence: it appends to the chain whatever is there by now.

What the drill must catch. Nothing of it is in the engine: the append is put in the place of the
real one here, in this process alone.
"""

import sys

from drill.worker import main
from engine.messaging import wire
from engine.messaging.jetstream import JetStreamLog
from engine.messaging.subjects import DECISIONS_STREAM

__all__: list[str] = []

_fenced = JetStreamLog.store


async def _unfenced(self: JetStreamLog, subject: str, payload: bytes, *, expected: int) -> int:
    if self._stream != DECISIONS_STREAM:
        return await _fenced(self, subject, payload, expected=expected)
    headers = {wire.WRITER: self._link.writer}
    return wire.puback(await self._link.request(subject, payload, headers=headers)).seq


if __name__ == "__main__":
    JetStreamLog.store = _unfenced  # type: ignore[method-assign]  # the point of this file
    sys.exit(main())
