"""A reader that keeps up with a stream: raw pull, a callback, and no acknowledgements.

Where it stands is a sequence it keeps itself, so nothing is lost with the consumer: after a
reconnect, a missed heartbeat, a vanished consumer or a gap it makes a new one that begins behind
the last message delivered. Messages at or before that are dropped, so none comes twice. (A stream
that lost its tail in a crash is another matter: see `messaging.tail`.)

`fetch` and `next_msg` of nats-py cost 65 to 290 µs a message; this costs 8 to 14 (docs/decisions).
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import msgspec
import structlog

from engine.clock import Clock
from engine.errors import BrokerError
from engine.messaging import wire
from engine.messaging.link import Delivery, Link, RefusedError
from engine.messaging.tail import Tail

__all__ = ["OnMessage", "Reader"]

BATCH = 256  # messages asked for at a time; up to twice that are on their way
MOST_BYTES = 8 * 2**20  # of them: nats-server cuts off a client that has 64 MB still to read
EXPIRES_S = 30.0
HEARTBEAT_S = 2.0
PATIENCE_S = 2.5 * HEARTBEAT_S  # silence after which the consumer is taken for dead
INACTIVE_S = 30.0  # after which the server forgets a consumer nobody pulls from
_FULL = "Message Size Exceeds MaxBytes"  # how a pull ends that asked for MOST_BYTES at most
_DONE = "Batch Completed"  # with fewer
_LONGEST_WAIT_S = 1.0
_COMES_S = 0.05

OnMessage = Callable[[str, int, Delivery], None]
"""Called with (subject, sequence, delivery), in order."""

_log = structlog.get_logger(__name__)


class Reader:
    """Reads subjects of one stream from a position on; `run` works until cancelled.

    `after` is the sequence to begin behind; None begins with what is stored from now on.
    `newest_only` gives, from 0, only the newest message of each subject stored so far.
    `wants_more` lets a slow user hold back further pulls (call `go_on` to be asked again).
    `stepped_back` is told of a position before the present one, where the stream lost its tail;
    `tails` are of readers before, in whose place this one reads on.
    """

    def __init__(
        self,
        *,
        link: Link,
        clock: Clock,
        stream: str,
        filters: Sequence[str],
        after: int | None,
        deliver: OnMessage,
        newest_only: bool = False,
        wants_more: Callable[[], bool] | None = None,
        stepped_back: Callable[[int], None] | None = None,
        tails: Sequence[Tail] = (),
        on_failure: Callable[[Delivery, Exception], None] | None = None,
    ) -> None:
        self.position = after or 0
        self.lag: int | None = None
        self._link = link
        self._clock = clock
        self._stream = stream
        self._filters = list(filters)
        self._deliver = deliver
        self._starts_at_end = after is None
        self._newest_only = newest_only
        self._wants_more = wants_more or (lambda: True)
        self._stepped_back = stepped_back
        self._on_failure = on_failure
        self.tail = Tail(link=link, stream=stream, after=tails)
        self._opened: asyncio.Future[None] | None = None
        self._reads_on = 0  # the connection that the present consumer was made on
        self._delivered = 0  # messages of this consumer so far
        self._on_the_way = 0  # messages asked for and not yet come
        self._is_bounded = True  # asks for MOST_BYTES at most
        self._heard_at = 0.0
        self._broken = ""
        self._is_closed = False
        self._wake = asyncio.Event()
        self._progress = asyncio.Event()

    async def opened(self) -> None:
        """Return once the position is known and a consumer reads from it.

        Raises:
            BrokerError: the stream is not there, or reading it is not allowed.
        """
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        await asyncio.shield(self._opened)

    def go_on(self) -> None:
        """Ask `wants_more` again."""
        self._wake.set()

    def close(self) -> None:
        """Deliver nothing more; whoever waits for this reader to catch up need not any longer."""
        self._is_closed = True
        self._progress.set()

    async def run(self) -> None:
        """Read until cancelled."""
        if self._opened is None:
            self._opened = asyncio.get_running_loop().create_future()
        stop = self._link.on_change(self._link_changed)
        wait_s = 0.05
        try:
            while True:
                await self._link.connected()
                try:
                    await self._read_with_a_new_consumer()
                    wait_s = 0.05
                    continue
                except RefusedError as error:
                    self._broken = str(error)
                    if not self._opened.done():
                        self._opened.set_exception(BrokerError(f"cannot read: {error}"))
                        return
                    _log.error("reader_refused", stream=self._stream, reason=str(error))
                except BrokerError as error:  # no answer, or none that is understood
                    self._broken = str(error)
                await self._clock.sleep(wait_s)
                wait_s = min(wait_s * 2, _LONGEST_WAIT_S)
        finally:
            stop()

    async def caught_up(
        self, *, up_to: int | None = None, filters: Sequence[str] | None = None
    ) -> None:
        """Return once everything stored before this call has been delivered, or `close` was called.

        Asks the stream, not the consumer: the server tells its consumers of a new message some
        time after it has acknowledged it, and until then they count it neither sent nor pending.
        Where all up to a sequence is wanted, it is asked only if that does not come by itself (it
        may have aged out). `filters`: of these subjects only.
        """
        await self.opened()
        while up_to is not None and not self._is_closed:
            if self._reads_on == self._link.connection and self.position >= up_to:
                return
            if not await self._moved(within_s=_COMES_S):
                break
        while not self._is_closed:
            connection = self._link.connection
            if self._reads_on == connection:
                try:
                    until = await self.newest_stored(filters)
                except BrokerError:
                    await self._moved()
                    continue
                while self._is_reading(connection) and self.position < until:
                    # Ask anew after a while: a message that ages out meanwhile never comes.
                    if not await self._moved():
                        break
                if self._reads_on == connection and self.position >= until:
                    return
            else:
                await self._moved()

    def _is_reading(self, connection: int) -> bool:
        return self._reads_on == connection and not self._is_closed

    async def newest_stored(self, filters: Sequence[str] | None = None) -> int:
        """Return the sequence of the newest message that the filters match, 0 for none.

        As the stream's leader knows it. Raises BrokerError.
        """
        subject = f"$JS.API.STREAM.MSG.GET.{self._stream}"
        requests = (msgspec.json.encode({"last_by_subj": one}) for one in filters or self._filters)
        newest = 0
        for delivery in await asyncio.gather(*(self._link.request(subject, r) for r in requests)):
            try:
                found = wire.answer(self._stream, delivery, wire.StoredMessage).message
            except RefusedError as error:
                if error.code != wire.MESSAGE_NOT_FOUND:
                    raise
            else:
                newest = max(newest, found.seq)
        return newest

    async def _moved(self, *, within_s: float = 1.0) -> bool:
        """Wait for a delivery or a new consumer, so long at most; return whether one came."""
        self._progress.clear()
        try:
            async with asyncio.timeout(within_s):
                await self._progress.wait()
        except TimeoutError:
            return False
        return True

    async def _read_with_a_new_consumer(self) -> None:
        """Read until something calls for another consumer."""
        if self._starts_at_end:
            self.position = await self._end_of_stream()
            self._starts_at_end = False
        await self._step_back_if_the_stream_did()
        inbox = self._link.new_inbox()
        name = inbox.rpartition(".")[2]
        self._broken, self._on_the_way, self._delivered = "", 0, 0
        connection = self._link.connection
        hush: Callable[[], Awaitable[None]] | None = None
        try:
            hush = await self._link.subscribe(inbox, self._heard, confirmed=False)
            info = await self._created(name)
            self._reads_on, self.lag = connection, info.num_pending
            self._heard_at = self._clock.monotonic()
            self._progress.set()
            if self._opened is not None and not self._opened.done():
                self._opened.set_result(None)
            await self._pull_until_broken(name, inbox, connection)
        finally:
            self._reads_on, self.lag = 0, None
            if hush is not None:
                await hush()
            await self._delete(name)

    async def _pull_until_broken(self, name: str, inbox: str, connection: int) -> None:
        subject = f"$JS.API.CONSUMER.MSG.NEXT.{self._stream}.{name}"
        while True:
            self._wake.clear()
            if self._broken or self._link.connection != connection:
                _log.info(
                    "reader_begins_anew",
                    stream=self._stream,
                    position=self.position,
                    reason=self._broken or "reconnected",
                )
                return
            if self._on_the_way <= BATCH and self._wants_more():
                if self._on_the_way == 0:
                    self._heard_at = self._clock.monotonic()
                self._on_the_way += BATCH
                await self._link.send(subject, self._pull(), reply=inbox)
                continue
            try:
                async with asyncio.timeout(PATIENCE_S):
                    await self._wake.wait()
            except TimeoutError:
                silent_s = self._clock.monotonic() - self._heard_at
                if self._on_the_way and silent_s >= PATIENCE_S:
                    self._broken = f"nothing heard for {silent_s:.1f} s"

    def _pull(self) -> bytes:
        """Return the request for the next messages."""
        bound = {"max_bytes": MOST_BYTES} if self._is_bounded else {}
        asked = {"batch": BATCH, "expires": _ns(EXPIRES_S), "idle_heartbeat": _ns(HEARTBEAT_S)}
        return msgspec.json.encode(asked | bound)

    def _heard(self, delivery: Delivery) -> None:
        self._heard_at = self._clock.monotonic()
        ack = wire.parse_ack_subject(delivery.reply)
        if ack is None:
            self._heard_status(delivery)
            return
        if self._broken or self._is_closed:
            return
        if ack.delivered != self._delivered + 1:
            self._break(f"message {self._delivered + 1} of the consumer came as {ack.delivered}")
            return
        self._delivered = ack.delivered
        self._on_the_way -= 1
        self.lag = ack.pending
        if ack.pending == 0:
            self._newest_only = False  # from here on every message counts
        if ack.sequence > self.position:
            try:
                self._deliver(delivery.subject, ack.sequence, delivery)
            except Exception as error:  # one bad message must not end the reading
                self._failed(delivery, error)
            self.position = ack.sequence
            self.tail.add(ack.sequence, ack.stored_at_ns)
        self._progress.set()
        if self._on_the_way <= BATCH:
            self._wake.set()

    def _heard_status(self, delivery: Delivery) -> None:
        headers = delivery.headers or {}
        status = wire.status_of(delivery)
        if status == 100:
            sent = headers.get("Nats-Last-Consumer", "")
            if sent.isdigit() and int(sent) > self._delivered:
                self._break(f"{int(sent) - self._delivered} messages did not arrive")
            return
        # A pull has ended: expired, full or refused. What it still asked for comes no more.
        description = headers.get("Description", "")
        if status == 408 or description in (_FULL, _DONE):
            left = int(headers.get("Nats-Pending-Messages", "0"))
            self._on_the_way = max(0, self._on_the_way - left)
            if description == _FULL and left == BATCH:
                self._is_bounded = False  # a single message is larger than all that was asked for
            self._wake.set()
        else:
            self._break(f"status {status} {description}".rstrip())

    def _break(self, reason: str) -> None:
        self._broken = self._broken or reason
        self._wake.set()

    def _link_changed(self) -> None:
        self._wake.set()

    def _failed(self, delivery: Delivery, error: Exception) -> None:
        _log.error(
            "message_not_delivered",
            subject=delivery.subject,
            error=repr(error),
            exc_info=error,
        )
        if self._on_failure is not None:
            self._on_failure(delivery, error)

    async def _step_back_if_the_stream_did(self) -> None:
        if self.position and not self.tail.is_empty:
            read = max(self.position, self.tail.newest)  # by readers before this one, it may be
            there = await self.tail.still_there(read)
            if there < read:
                self._go_back_to(there)

    def _go_back_to(self, position: int) -> None:
        """Read from an earlier position on, where the stream ends before ours."""
        if self._stepped_back is not None:
            self._stepped_back(position)
        if position < self.position:
            _log.warning(
                "stream_lost_its_tail",
                stream=self._stream,
                read_up_to=self.position,
                goes_on_after=position,
            )
            self.position = position

    async def _end_of_stream(self) -> int:
        delivery = await self._link.request(f"$JS.API.STREAM.INFO.{self._stream}")
        return wire.answer(f"stream {self._stream}", delivery, wire.StreamInfo).state.last_seq

    async def _created(self, name: str) -> wire.ConsumerInfo:
        """Return a new consumer that begins behind the position, wherever the stream ends.

        Where nothing was read yet the position came from outside, and the stream may have lost
        its tail since; both are asked in one round trip, as a partition that is taken waits.
        """
        if self.position == 0 or not self.tail.is_empty:
            return await self._create(name)
        info, end = await asyncio.gather(self._create(name), self._end_of_stream())
        if end < self.position:
            self._go_back_to(end)
            # The server works on requests side by side: only its answer says that the name is free.
            await self._link.request(self._deletion(name))
            info = await self._create(name)
        return info

    async def _create(self, name: str) -> wire.ConsumerInfo:
        start: dict[str, object] = (
            {"deliver_policy": "last_per_subject"}
            if self._newest_only
            else {"deliver_policy": "by_start_sequence", "opt_start_seq": self.position + 1}
        )
        config = start | {
            "name": name,
            "filter_subjects": self._filters,
            "ack_policy": "none",
            "mem_storage": True,
            "num_replicas": 1,
            "inactive_threshold": _ns(INACTIVE_S),
        }
        request = {"stream_name": self._stream, "config": config, "action": "create"}
        delivery = await self._link.request(
            f"$JS.API.CONSUMER.CREATE.{self._stream}.{name}", msgspec.json.encode(request)
        )
        return wire.answer(f"consumer of {self._stream}", delivery, wire.ConsumerInfo)

    async def _delete(self, name: str) -> None:
        """Free the consumer now; where that fails the server does it after INACTIVE_S."""
        if self._link.is_connected:
            try:
                await self._link.send(
                    self._deletion(name),
                    reply=self._link.new_inbox(),  # without one the request is ignored
                )
            except BrokerError:
                return

    def _deletion(self, name: str) -> str:
        return f"$JS.API.CONSUMER.DELETE.{self._stream}.{name}"


def _ns(seconds: float) -> int:
    """Return a duration as the API has it."""
    return int(seconds * 1e9)
