"""How far a measurement is, on stderr: one line that is written over, nothing where no terminal."""

import sys

__all__ = ["Progress"]


class Progress:
    """Says what is being done."""

    def __init__(self) -> None:
        self._is_shown = sys.stderr.isatty()
        self._last = ""

    def say(self, what: str) -> None:
        """Say what is done now, in place of what was said before."""
        if self._is_shown and what != self._last:
            sys.stderr.write(f"\r\x1b[K{what}")
            sys.stderr.flush()
        self._last = what

    def share(self, what: str, done: int, of: int) -> None:
        """Say how much of something is done."""
        self.say(f"{what}: {100 * done // of} %")

    def end(self) -> None:
        """Leave the line empty."""
        self.say("")
