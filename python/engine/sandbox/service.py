"""A platform's local server over HTTP: who may ask, troubles, quotas; what is answered is its own.

A platform says in which words it refuses, and what it does with a request: `Refused` ends one.
"""

import abc
from collections.abc import Callable
from typing import Self

from engine.clock import Clock
from engine.sandbox.faults import Call, Fault, Faults, Trouble
from engine.sandbox.http import HttpServer, Request, Response
from engine.sandbox.quotas import Quota, Refusal
from engine.sandbox.state import Account, Books

__all__ = ["HttpSandbox", "Refused", "Work"]

_GARBAGE = b'\xff{"data": nothing of the kind'


class Refused(Exception):  # noqa: N818 # an answer, not a failure of the sandbox
    """A request that is refused as a whole."""

    def __init__(self, response: Response) -> None:
        super().__init__(response.status)
        self.response = response


Work = tuple[Call, int, Callable[[], Response]]
"""What a request is about, the operations it counts, and what does it."""


class HttpSandbox(abc.ABC):
    """A server over books. `async with` starts and stops it; the port stays the same."""

    def __init__(
        self,
        *,
        books: Books,
        clock: Clock,
        faults: Faults | None = None,
        quota: Quota | None = None,
    ) -> None:
        self.faults = faults or Faults()
        self.heard: list[Request] = []
        self.books = books
        self.clock = clock
        self._quota = quota or Quota(clock=clock, timezone=None)
        self._server = HttpServer(self._answer)

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self.kill()

    @property
    def endpoint(self) -> str:
        """Return the address for the credentials."""
        return f"http://127.0.0.1:{self._server.port}"

    async def start(self) -> None:
        """Listen, on the port of before where there was one."""
        await self._server.start()

    async def kill(self) -> None:
        """Go away at once; calls under way are cut."""
        await self._server.kill()

    def account(self, ad_account: str) -> Account | None:
        """Return an ad account."""
        accounts = self.books.accounts()
        return next((each for each in accounts if each.id == ad_account), None)

    @abc.abstractmethod
    def work(self, request: Request) -> Work:
        """Return what a request asks for. Raises Refused, also for who may not ask."""

    @abc.abstractmethod
    def of_trouble(self, fault: Fault) -> Response:
        """Return the platform's words for a planned trouble."""

    @abc.abstractmethod
    def of_quota(self, refusal: Refusal) -> Response:
        """Return the platform's words for a quota that is used up."""

    async def _answer(self, request: Request) -> Response:
        self.heard.append(request)
        try:
            call, operations, do = self.work(request)
            fault = await self.faults.meet(call, clock=self.clock, refused=self._refused)
            refusal = self._quota.take(operations)
            if refusal is not None:
                return self.of_quota(refusal)
            response = do()
        except Refused as refused:
            return refused.response
        except (KeyError, ValueError, TypeError):  # a question without what belongs to it
            return Response(status=400, body=b"{}")
        match fault.trouble if fault is not None else None:
            case Trouble.GARBLED:
                return Response(body=_GARBAGE)
            case Trouble.LOST_ANSWER:
                return Response(body=response.body, share=0.0)
            case Trouble.BROKEN_OFF:
                return Response(body=response.body, headers=response.headers, share=0.7)
            case _:
                return response

    def _refused(self, fault: Fault) -> Refused:
        return Refused(self.of_trouble(fault))
