"""The broker over nats-py: the connection, and the adapters put on it.

The only module that imports nats. Each of nats-py's traps met so far is designed out here:

* `pending_size=0` and a cleared buffer: nothing is published after its caller gave up.
* every callback is wrapped: one that raises would end the client's read loop for good.
* a socket with unsent bytes to a paused server keeps `_attempt_reconnect` in `wait_closed` for
  ever: TCP_USER_TIMEOUT ends the socket, and a watch aborts a transport that is being replaced.
* reconnects without end, and with jitter, lest a fleet comes back in one instant.
* a publish that is not permitted looks like an answer that never comes, and such a subscription
  like one that works: the server's complaint, which comes apart, is led back to its cause.
* a password is sent in the clear to a server that does not ask for TLS: with certificates of ours
  configured, such a server is left alone.
"""

import asyncio
import random
import re
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import unquote, urlsplit

import nats.errors
import structlog
from nats.aio.client import Client, Server
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from engine.clock import Clock
from engine.domain.ids import PARTITIONS
from engine.errors import BrokerError, ConfigError
from engine.messaging import subjects, wire
from engine.messaging.background import beside
from engine.messaging.credentials import Credentials, masked
from engine.messaging.dead import JetStreamDeadLetters
from engine.messaging.deadline import Deadline
from engine.messaging.granted import Granted, ask
from engine.messaging.heartbeats import CoreHeartbeats
from engine.messaging.inspection import server_facts
from engine.messaging.jetstream import JetStreamLog
from engine.messaging.journal import LogJournal
from engine.messaging.link import (
    Delivery,
    NobodyAnswersError,
    OnDelivery,
    RefusedError,
    UnansweredError,
)
from engine.messaging.logs import LogCampaigns, LogChain, LogFrames
from engine.messaging.parts import LARGEST
from engine.messaging.permissions import INFO, STREAMS_READ, Role, rights_of
from engine.messaging.ports import StreamSize
from engine.messaging.sharing import SharedReading
from engine.messaging.snapshots import LogSnapshots
from engine.messaging.streams import MAX_RECORD, check
from engine.messaging.streams import provision as provide
from engine.messaging.streams import sizes as sizes_of
from engine.messaging.window import PublishWindow

__all__ = ["NatsBroker", "NatsLink", "connect"]

CONNECT_S = 3.0  # for the first connection; later ones are tried for ever
ROOM = 32 * 1024  # of a message, for its headers
API_LEVEL = 2  # nats-server 2.12: atomic batches, persist_mode
SOCKET_S = 3.0  # unacknowledged bytes end the socket after this
WATCH_S = 0.25
CLOSE_S = 2.0
AGAIN_S = 0.2  # between two questions to a JetStream that does not answer yet
DRAIN_S = 1.0  # for dead letters, at the end
DENIED = 403  # the code of a RefusedError that the permissions of the user brought about

_log = structlog.get_logger(__name__)


class NatsBroker:
    """All ports over one connection. Made by `connect`."""

    def __init__(self, *, link: "NatsLink", clock: Clock) -> None:
        def log(stream: str, *, largest: Callable[[], int] | None = None) -> JetStreamLog:
            return JetStreamLog(
                link=link,
                clock=clock,
                stream=stream,
                bury=self.dead_letters.bury,
                largest=largest,
            )

        def largest() -> int:
            """Return the most bytes of a record in one message, as an operator has set it."""
            return max(MAX_RECORD, link.max_payload - 2 * ROOM)

        self.link = link
        self.window = PublishWindow(link=link, clock=clock)
        self.dead_letters = JetStreamDeadLetters(link=link, clock=clock)
        self.chain = LogChain(
            log=log(subjects.DECISIONS_STREAM, largest=largest),
            largest=lambda: LARGEST,
        )
        metrics = log(subjects.METRICS_STREAM)
        self.sharing = SharedReading(
            make=metrics.shared_reader,
            clock=clock,
            whole=subjects.metrics_subject("*"),
            count=PARTITIONS,
        )
        self.frames = LogFrames(log=metrics, publisher=self.window, sharing=self.sharing)
        self.campaigns = LogCampaigns(log=log(subjects.CAMPAIGNS_STREAM))
        self.snapshots = LogSnapshots(log=log(subjects.STATE_STREAM))
        self.heartbeats = CoreHeartbeats(link=link)
        self.gateways = CoreHeartbeats(link=link, subject=subjects.gateway_subject)
        self.journal = LogJournal(
            changes=log(subjects.CHANGES_STREAM), reported=log(subjects.REPORTED_STREAM)
        )

    @property
    def is_connected(self) -> bool:
        return self.link.is_connected

    async def connected(self) -> None:
        """Return once the broker answers."""
        await self.link.connected()

    async def sizes(self, streams: Sequence[str]) -> list[StreamSize]:
        return await sizes_of(self.link, streams=streams)


@asynccontextmanager
async def connect(
    url: str,
    *,
    name: str,
    clock: Clock,
    replicas: int = 1,
    provision: bool | None = True,
    closed: Callable[[str], None] | None = None,
    credentials: Credentials | None = None,
    role: Role | None = None,
    patience: float = 0.0,
) -> AsyncIterator[NatsBroker]:
    """Connect to nats-server at `url` (several, of one cluster, with commas between).

    `name` is shown by the server's monitoring. `provision` creates the streams, with `replicas`
    copies; None does so where the server permits it, and otherwise checks that they are there;
    False leaves that to the `role`.
    JetStream is asked again for `patience` seconds where it does not answer: a cluster that has
    lost its leader takes some seconds to elect another.
    With a `role`, what the server grants is compared with what the role needs before anything
    else. Should the connection end for good, `closed` is called with the reason, and the body is
    ended with a BrokerError.

    Raises:
        BrokerError: nothing answers, the server is too old or lacks JetStream, permission is
            refused or lacking, or a stream is missing or has settings that do not fit.
        ConfigError: a certificate or an nkey cannot be used.
    """
    link = NatsLink(url, name=name, clock=clock, closed=closed, credentials=credentials)
    try:
        await link.open()
        until = clock.monotonic() + patience
        while True:
            try:
                await _prepare(link, clock=clock, replicas=replicas, provision=provision, role=role)
                break
            except UnansweredError as error:
                if clock.monotonic() >= until:
                    raise
                _log.warning("jetstream_awaited", nats=link.shown, reason=str(error))
            await clock.sleep(AGAIN_S)
        broker = NatsBroker(link=link, clock=clock)
        async with (
            beside(link.watch(), name="watch connection"),
            beside(broker.window.run(), name="publish window"),
            beside(broker.sharing.run(), name="shared readers"),
            beside(broker.dead_letters.run(), name="dead letters"),
        ):
            try:
                yield broker
            finally:
                await broker.dead_letters.drain(within_s=DRAIN_S)
    finally:
        await link.close()


class NatsLink:
    """A `Link` over nats-py."""

    def __init__(
        self,
        url: str,
        *,
        name: str,
        clock: Clock,
        closed: Callable[[str], None] | None,
        credentials: Credentials | None = None,
    ) -> None:
        self.name = _token(name) or "engine"
        self._credentials = credentials or Credentials()
        self.writer = f"{self.name}-{secrets.token_hex(8)}"
        self.connection = 0
        self._urls = [part.strip() for part in url.split(",") if part.strip()]
        self._clock = clock
        self._closed = closed
        self._client = _Client(wants_tls=self._credentials.wants_tls)
        # A user hears its own inboxes only, so they begin with its name.
        user = _token(self.user)
        self._own = f"_INBOX.{user}.{self.name}" if user else f"_INBOX.{self.name}"
        self._inbox = f"{self._own}.{secrets.token_hex(8)}"
        self._expected: dict[str, OnDelivery] = {}
        self._futures: dict[asyncio.Future[Delivery], str] = {}  # and the subject asked
        self._subscribing: dict[str, str] = {}  # subject → why it is denied, "" while it is not
        self._tokens = 0
        self._changes: list[Callable[[], None]] = []
        self._back = asyncio.Event()
        self._old_writer: asyncio.StreamWriter | None = None
        self._last_error = ""
        self._is_closing = False
        self._is_open = False

    @property
    def shown(self) -> str:
        """Return the addresses, passwords left out."""
        return ", ".join(masked(url) for url in self._urls)

    @property
    def user(self) -> str:
        """Return the user who connects; "" for nobody, and for one who only has a token."""
        if self._credentials.user or self._credentials.nkey_seed or self._credentials.token:
            return self._credentials.user
        for url in self._urls:
            parts = urlsplit(url if "://" in url else f"nats://{url}")
            if parts.username and parts.password is not None:
                return unquote(parts.username)
        return ""

    @property
    def version(self) -> str:
        """Return the version that the server says it has."""
        return str(self._client.connected_server_version)

    @property
    def certificate(self) -> bytes | None:
        """Return the server's certificate (DER); None where the connection is not encrypted."""
        writer = getattr(self._client._transport, "_io_writer", None)
        encrypted = None if writer is None else writer.get_extra_info("ssl_object")
        return None if encrypted is None else encrypted.getpeercert(binary_form=True)

    @property
    def is_connected(self) -> bool:
        return self._client.is_connected

    @property
    def identity(self) -> str:
        server, client = self._client._server_info.get("server_id"), self._client.client_id
        return f"{server}/{client}" if server and client is not None else ""

    @property
    def max_payload(self) -> int:
        return self._client.max_payload

    async def open(self) -> None:
        """Connect for the first time. Raises BrokerError or ConfigError, in one line."""
        who: dict[str, Any] = self._who()
        try:
            async with asyncio.timeout(CONNECT_S):
                await self._client.connect(
                    servers=self._urls,
                    name=self.name,
                    error_cb=self._on_error,
                    disconnected_cb=self._on_disconnected,
                    reconnected_cb=self._on_reconnected,
                    closed_cb=self._on_closed,
                    allow_reconnect=True,
                    max_reconnect_attempts=-1,
                    reconnect_time_wait=0.2,  # type: ignore[arg-type]  # seconds, only slept
                    reconnect_to_server_handler=_next_server,
                    connect_timeout=1,
                    ping_interval=2,
                    max_outstanding_pings=2,
                    pending_size=0,
                    flusher_queue_size=0,  # putting into a full queue swallows cancellation
                    drain_timeout=2,
                    inbox_prefix=self._own,
                    **who,
                )
        except TimeoutError:
            last = f" ({self._last_error})" if self._last_error else ""
            raise BrokerError(f"no nats-server answers at {self.shown}{last}") from None
        except (OSError, ValueError, nats.errors.Error) as error:
            raise BrokerError(f"cannot connect to {self.shown}: {_said(error)}") from error
        except ImportError as error:
            hint = "pip install 'campaign-engine[nkeys]'"
            raise ConfigError(f"an nkey needs the package {error.name}: {hint}") from error
        self._is_open = True
        self._made()
        await self.subscribe(f"{self._inbox}.*", self._on_reply)

    def _who(self) -> dict[str, Any]:
        """Return the credentials as nats-py takes them."""
        given = self._credentials
        return {
            "user": given.user or None,
            "password": given.password if given.user else None,
            "token": given.token or None,
            "nkeys_seed_str": given.nkey_seed or None,
            "tls": given.tls(),
        }

    async def close(self) -> None:
        """Close at once; what is not acknowledged may be lost."""
        self._is_closing = True
        self._lose_requests()
        try:
            async with asyncio.timeout(CLOSE_S):
                await self._client.close()
        except TimeoutError:
            _log.info("nats_closed_hard", url=self.shown)
        finally:
            self._abort()

    async def watch(self) -> None:
        """Abort the old transport while nats-py waits for it to close, until cancelled.

        Raises:
            BrokerError: nats-py has given the connection up for good.
        """
        while True:
            await self._clock.sleep(WATCH_S)
            if self._client.is_closed and not self._is_closing:
                raise BrokerError(self._end())
            if self._client.is_reconnecting and self._old_writer is not None:
                self._abort()

    async def connected(self) -> None:
        while not self.is_connected:
            self._back.clear()
            await self._back.wait()

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        self._changes.append(call)
        return lambda: self._changes.remove(call)

    def new_inbox(self) -> str:
        return f"{self._own}.{secrets.token_hex(11)}"

    def expect(self, heard: OnDelivery) -> str:
        self._tokens += 1
        reply = f"{self._inbox}.{self._tokens}"
        self._expected[reply] = heard
        return reply

    def forget(self, reply: str) -> None:
        self._expected.pop(reply, None)

    async def send(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        try:
            await self._client.publish(
                subject, payload, reply=reply, headers=dict(headers) if headers else None
            )
        except nats.errors.MaxPayloadError as error:
            found = len(payload)
            raise BrokerError(
                f"{subject}: the broker takes {self.max_payload} bytes, found {found}"
            ) from error
        except nats.errors.BadSubjectError as error:
            raise BrokerError(f"not a subject: {subject!r}") from error
        except (nats.errors.Error, OSError) as error:
            raise UnansweredError(f"{self.shown}: not connected ({_said(error)})") from error

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 2.0,
    ) -> Delivery:
        future: asyncio.Future[Delivery] = asyncio.get_running_loop().create_future()
        reply = self.expect(lambda delivery: _settle(future, delivery))
        self._futures[future] = subject
        deadline = Deadline(future, subject, timeout_s=timeout_s)
        try:
            await self.send(subject, payload, reply=reply, headers=headers)
            delivery = await future
        finally:
            deadline.cancel()
            self._futures.pop(future, None)
            self.forget(reply)
        if wire.status_of(delivery) == 503:
            raise NobodyAnswersError(f"{subject}: nobody answers there")
        return delivery

    async def subscribe(
        self, subject: str, heard: OnDelivery, *, confirmed: bool = True
    ) -> Callable[[], Awaitable[None]]:
        def hear(delivery: Delivery) -> None:
            try:
                heard(delivery)
            except Exception as error:  # see the head of this file
                _log.error("callback_raised", subject=delivery.subject, exc_info=error)

        async def on_message(message: Msg) -> None:
            hear(Delivery(message.subject, message.reply, message.headers, message.data))

        try:
            # No limits: past them nats-py drops messages. What is on its way is bounded by pulls
            # and by the window of publishes.
            subscription = await self._client.subscribe(
                subject, cb=on_message, pending_msgs_limit=0, pending_bytes_limit=0
            )
        except nats.errors.Error as error:
            raise UnansweredError(f"cannot subscribe to {subject}: {_said(error)}") from error

        self._client.hear_at_once(subscription, hear)
        if confirmed:
            await self._confirm(subject)

        async def unsubscribe() -> None:
            self._client.hear_no_more(subscription)
            try:
                await subscription.unsubscribe()
            except (nats.errors.Error, OSError):
                return  # no connection: the server has forgotten it anyway

        return unsubscribe

    async def _confirm(self, subject: str) -> None:
        """Return once the server hears for us. Raises RefusedError where that is denied."""
        self._subscribing[subject] = ""
        try:
            await self._round_trip()
            denied = self._subscribing[subject]
        finally:
            del self._subscribing[subject]
        if denied:
            raise RefusedError(subject, DENIED, denied)

    async def _round_trip(self) -> None:
        """Return once the server has seen what was sent before, or the connection is lost.

        By a message to ourselves: `Client.flush`, when it times out, leaves a cancelled future
        behind on which a late PONG ends the read loop.
        """
        arrived = asyncio.Event()
        reply = self.expect(lambda _: arrived.set())
        try:
            await self.send(reply)
            async with asyncio.timeout(2.0):
                await arrived.wait()
        except (UnansweredError, TimeoutError):
            return  # a reconnect subscribes again to everything
        finally:
            self.forget(reply)

    def _on_reply(self, delivery: Delivery) -> None:
        heard = self._expected.get(delivery.subject)
        if heard is not None:
            heard(delivery)

    async def _on_error(self, error: Exception) -> None:
        self._last_error = _said(error)
        if not self._is_open:
            if why := self._refusal(error):
                # Raised through `Client.connect`, which would try the same again for ever.
                raise BrokerError(why)
        elif not self._is_closing:
            _log.warning("nats_error", url=self.shown, error=self._last_error)
            self._lead_back(self._last_error)

    def _refusal(self, error: Exception) -> str:
        """Return why it is no use to try again, "" where it may be."""
        if "authorization" in self._last_error.lower():
            if self.user or self._credentials.names_somebody or any("@" in u for u in self._urls):
                return f"{self.shown} refuses the user or the password"
            return f"{self.shown} wants a user and a password, found none (ENGINE_USER)"
        if isinstance(error, _NoTlsError):
            return f"{self.shown} does not encrypt (TLS): nothing is said to it"
        if isinstance(error, ssl.SSLCertVerificationError):
            return f"{self.shown} has no certificate that we trust: {error.verify_message}"
        if isinstance(error, ssl.SSLError):
            return f"no TLS with {self.shown}: {error.reason or self._last_error}"
        return ""

    def _lead_back(self, complaint: str) -> None:
        """Tell whoever waits on a subject that the server has just denied.

        nats-py hands the server's words on in lower case.
        """
        found = re.search(
            r'permissions violation for (publish|subscription) to "([^"]+)"', complaint
        )
        if found is None:
            return
        kind, denied = found.groups()
        why = f"user {self.user or 'nobody'!r} may not {_VERBS[kind]} it"
        if kind == "subscription":
            for subject in self._subscribing:
                if subject.lower() == denied:
                    self._subscribing[subject] = why
            return
        for future, subject in self._futures.items():
            if subject.lower() == denied and not future.done():
                future.set_exception(RefusedError(subject, DENIED, why))

    async def _on_disconnected(self) -> None:
        if self._is_closing:
            return
        # What nats-py had not flushed would be published after the reconnect, when its callers
        # have long been told that the outcome is unknown.
        self._client._pending.clear()
        self._client._pending_data_size = 0
        _log.warning("nats_disconnected", url=self.shown)
        self._lose_requests()
        self._changed()

    async def _on_reconnected(self) -> None:
        self._made()
        _log.info("nats_reconnected", url=self.shown)
        self._changed()

    async def _on_closed(self) -> None:
        if self._is_open and not self._is_closing:
            _log.error("nats_closed", reason=self._end())
            if self._closed is not None:
                self._closed(self._end())

    def _end(self) -> str:
        last = _said(self._client.last_error) if self._client.last_error else self._last_error
        return f"the connection to {self.shown} ended for good: {last}"

    def _made(self) -> None:
        self.connection += 1
        writer = getattr(self._client._transport, "_io_writer", None)
        self._old_writer = writer
        if writer is not None and hasattr(socket, "TCP_USER_TIMEOUT"):
            sock = writer.get_extra_info("socket")
            if sock is not None:
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, int(SOCKET_S * 1000))
        self._back.set()

    def _abort(self) -> None:
        writer, self._old_writer = self._old_writer, None
        if writer is not None:
            writer.transport.abort()

    def _changed(self) -> None:
        for call in list(self._changes):
            call()

    def _lose_requests(self) -> None:
        for future in self._futures:
            if not future.done():
                future.set_exception(UnansweredError(f"{self.shown}: the connection was lost"))


class _NoTlsError(nats.errors.Error):
    """The server does not ask for TLS, and we may not do without."""


class _Client(Client):
    """nats-py's client, which says nothing to a server that does not encrypt where it should.

    It reads headers in one piece: nats-py looks at each letter of their names, which was a fifth
    of the time that a partition took to be taken over. And it hands messages on as they are read:
    a queue and a task for each subscription, as in nats-py, cost as much as the reading.
    """

    def __init__(self, *, wants_tls: bool) -> None:
        super().__init__()
        self._wants_tls = wants_tls
        self._hearing: dict[int, OnDelivery] = {}  # by subscription

    def hear_at_once(self, subscription: Subscription, hear: OnDelivery) -> None:
        """Hand a subscription's messages to `hear`, which must not block or raise."""
        self._hearing[subscription._id] = hear

    def hear_no_more(self, subscription: Subscription) -> None:
        """Forget who hears a subscription's messages."""
        self._hearing.pop(subscription._id, None)

    async def _process_msg(
        self, sid: int, subject: bytes, reply: bytes, data: bytes, headers: bytes
    ) -> None:
        hear = self._hearing.get(sid)
        if hear is None:
            await super()._process_msg(sid, subject, reply, data, headers)
            return
        found = wire.Headers(headers) if headers else None
        hear(Delivery(subject.decode(), reply.decode(), found, data))

    async def _process_info(self, info: dict[str, Any], initial_connection: bool = False) -> None:
        # Called with the server's first words, of each connection, before ours.
        if initial_connection and self._wants_tls and not info.get("tls_required"):
            raise _NoTlsError("nats: the server does not encrypt")
        await super()._process_info(info, initial_connection)

    @staticmethod
    def _parse_header_lines(raw: bytes) -> dict[str, str]:
        return wire.headers_of(raw)


MOST_SKEW_S = 60.0
"""How far a worker's clock may be off the server's when it starts."""
_VERBS = {"publish": "publish to", "subscription": "subscribe to"}


async def _ask_what_is_granted(link: NatsLink) -> Granted:
    try:
        return await ask(link)
    except RefusedError as error:
        raise BrokerError(f"{link.shown}: cannot test our permissions: {error}") from error


def _check_role(link: NatsLink, role: Role, granted: Granted) -> None:
    """Refuse to start as somebody who could do only part of the work."""
    user = granted.user or link.user
    lacking = granted.lacking(rights_of(role, user=_token(link.user) or link.name))
    if lacking:
        few, more = ", ".join(lacking[:4]), len(lacking) - 4
        rest = f" and {more} more" if more > 0 else ""
        raise BrokerError(f"{link.shown}: user {user!r} is no {role.value}, it lacks: {few}{rest}")
    _log.info("permissions_suffice", role=role.value, user=user, account=granted.account)


async def _check_clock(link: NatsLink, clock: Clock) -> None:
    """Refuse to decide by a clock that is wrong: flights would end, and their end is for good."""
    facts = await server_facts(link, clock=clock)
    if facts.skew_s is None or facts.round_trip_s is None:
        return
    if abs(facts.skew_s) - facts.round_trip_s / 2 > MOST_SKEW_S:
        wanted = f"a clock within {MOST_SKEW_S:g} s of the server's is wanted (NTP keeps both)"
        raise BrokerError(f"{link.shown}: {wanted}, found {facts.skew_s:+.1f} s")


async def _prepare(
    link: NatsLink, *, clock: Clock, replicas: int, provision: bool | None, role: Role | None
) -> None:
    """Look at the server, at what it grants, and at the streams; make those that are to be made.

    Raises UnansweredError where it does not answer: it may soon.
    """
    await _check_server(link)
    granted = Granted()
    if role is not None or provision is None:
        granted = await _ask_what_is_granted(link)
    if role is not None:
        _check_role(link, role, granted)
    if role is Role.WORKER:
        await _check_clock(link, clock)
    if provision or (provision is None and granted.may_publish("$JS.API.STREAM.CREATE.*")):
        await provide(link, clock=clock, replicas=replicas)
    elif role is not None or provision is None:
        await check(link, streams=_readable(granted, role))


def _readable(granted: Granted, role: Role | None) -> list[str]:
    """Return the streams that a connection reads, all of them where nobody says."""
    if role is not None:
        return list(STREAMS_READ[role])
    every = STREAMS_READ[Role.OPERATOR]
    return [one for one in every if granted.may_publish(f"$JS.API.STREAM.INFO.{one}")]


async def _check_server(link: NatsLink) -> None:
    """Refuse a server that would accept our settings silently and not keep them."""
    wanted = "nats-server 2.12 or later with JetStream is wanted"
    try:
        delivery = await link.request(INFO)
        account = wire.answer("JetStream", delivery, wire.AccountInfo)
    except NobodyAnswersError as error:
        raise BrokerError(f"{link.shown} has no JetStream: {wanted}") from error
    except UnansweredError as error:
        raise UnansweredError(f"no nats-server answers at {link.shown} ({error})") from error
    except RefusedError as error:
        raise BrokerError(f"{link.shown} refuses JetStream: {error.description}") from error
    if account.api.level < API_LEVEL:
        raise BrokerError(f"{link.shown} is nats-server {link.version}: {wanted}")


def _next_server(servers: list[Server], _info: dict[str, Any]) -> tuple[Server | None, float]:
    """Choose among the servers that failed least, after a short random wait."""
    fewest = min(server.reconnects for server in servers)
    best = [server for server in servers if server.reconnects == fewest]
    return random.choice(best), random.uniform(0.02, 0.15)


def _settle(future: asyncio.Future[Delivery], delivery: Delivery) -> None:
    if not future.done():
        future.set_result(delivery)


def _token(name: str) -> str:
    """Return a name as a token of a subject."""
    return re.sub(r"[^A-Za-z0-9_-]", "_", name)


def _said(error: Exception) -> str:
    return str(error).removeprefix("nats: ").strip("' ") or type(error).__name__
