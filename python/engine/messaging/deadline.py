"""Until when an answer is waited for, by a loop that may be late itself.

A loop that was held up (by a core at work, by other processes) finds, when it turns again, that
answers are overdue which have long been in its socket: timers come before they are read. So who
looks late looks again, a little later each time it was late, and only a loop that turns in time
says that there is no answer.
"""

import asyncio

from engine.messaging.link import Delivery, UnansweredError

__all__ = ["LATE_S", "Deadline"]

LATE_S = 0.05  # a timer that comes so late says that the loop is behind
LOOK_AGAIN_S = 0.2
MOST_LOOKS = 50  # however late the loop goes on to be


class Deadline:
    """Fails a future with UnansweredError where it is not done in time; `cancel` ends it."""

    def __init__(self, future: asyncio.Future[Delivery], subject: str, *, timeout_s: float) -> None:
        self._loop = asyncio.get_running_loop()
        self._future = future
        self._subject = subject
        self._timeout_s = timeout_s
        self._looks = 0
        self._wait(timeout_s)

    def cancel(self) -> None:
        """Wait no more."""
        self._timer.cancel()

    def _wait(self, seconds: float) -> None:
        self._due = self._loop.time() + seconds
        self._timer = self._loop.call_at(self._due, self._look)

    def _look(self) -> None:
        if self._future.done():
            return
        self._looks += 1
        if self._loop.time() - self._due > LATE_S and self._looks < MOST_LOOKS:
            self._wait(LOOK_AGAIN_S)
            return
        self._future.set_exception(
            UnansweredError(f"{self._subject}: no answer within {self._timeout_s} s")
        )
