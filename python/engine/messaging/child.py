"""Child processes that end with us, even if we are killed."""

import ctypes
import os
import signal
import sys
from collections.abc import Callable

__all__ = ["dies_with_parent"]

_PR_SET_PDEATHSIG = 1  # linux/prctl.h


def dies_with_parent() -> Callable[[], None] | None:
    """Return what a child does before anything else (`preexec_fn`); None where it cannot be had.

    The kernel then sends it SIGTERM when the thread that started it ends, however that ends.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl  # found before the fork: little is safe after it
    parent = os.getpid()

    def ask() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:  # it had ended before we could ask
            os._exit(1)

    return ask
