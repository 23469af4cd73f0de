"""What the JetStream adapters need of a connection: send, request, subscribe, and no more.

`messaging.nats` holds the one implementation, over nats-py; tests may hand in their own.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from engine.errors import BrokerError

__all__ = [
    "Delivery",
    "Link",
    "NobodyAnswersError",
    "OnDelivery",
    "RefusedError",
    "UnansweredError",
]


class UnansweredError(BrokerError):
    """No answer came: what became of the request, if it was sent at all, is not known."""


class NobodyAnswersError(UnansweredError):
    """The broker says that nobody listens on the subject now."""


class RefusedError(BrokerError):
    """The broker understood the request and refused it. `code` is JetStream's `err_code`."""

    def __init__(self, what: str, code: int, description: str) -> None:
        super().__init__(f"{what}: {description} ({code})")
        self.code = code
        self.description = description


class Delivery(NamedTuple):
    """A message as it came off the wire."""

    subject: str
    reply: str
    headers: Mapping[str, str] | None
    payload: bytes


OnDelivery = Callable[[Delivery], None]


class Link(Protocol):
    """A connection that comes back by itself."""

    @property
    def name(self) -> str:
        """Return the name of this client."""
        ...

    @property
    def writer(self) -> str:
        """Return a mark of this connection object that no other process has."""
        ...

    @property
    def is_connected(self) -> bool:
        """Return whether the broker answers now."""
        ...

    @property
    def identity(self) -> str:
        """Return what the broker calls the present connection, "" where it does not say."""
        ...

    @property
    def connection(self) -> int:
        """Return how many times the connection has been made: it changes with each reconnect."""
        ...

    @property
    def max_payload(self) -> int:
        """Return the most bytes the broker takes in a message."""
        ...

    async def connected(self) -> None:
        """Return once the broker answers."""
        ...

    def on_change(self, call: Callable[[], None]) -> Callable[[], None]:
        """Call back after each loss and each return of the connection; returns the way to stop."""
        ...

    def new_inbox(self) -> str:
        """Return a subject of this client's own; its last token is unique and a valid name."""
        ...

    def expect(self, heard: OnDelivery) -> str:
        """Return a reply subject whose every message goes to `heard`, until `forget`."""
        ...

    def forget(self, reply: str) -> None:
        """End what `expect` began."""
        ...

    async def send(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        reply: str = "",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Put a message on the wire now.

        Raises:
            UnansweredError: there is no connection; nothing is kept for later.
            BrokerError: the message is larger than the broker takes.
        """
        ...

    async def request(
        self,
        subject: str,
        payload: bytes = b"",
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 2.0,
    ) -> Delivery:
        """Send and return the answer.

        Raises:
            UnansweredError: none came in time, nobody listens, or the connection was lost.
        """
        ...

    async def subscribe(
        self, subject: str, heard: OnDelivery, *, confirmed: bool = True
    ) -> Callable[[], Awaitable[None]]:
        """Hear a subject until the returned function is called. `heard` must not block.

        What others send after this returns is heard. Not `confirmed`: what is sent in answer to
        what this link sends after it; a round trip less, and nobody tells of a denial.
        """
        ...
