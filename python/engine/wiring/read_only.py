"""Whether this process may change anything: ENGINE_READ_ONLY, as contexts set it."""

import os

from engine.errors import ConfigError
from engine.messaging.permissions import Role

__all__ = ["WRITERS", "is_read_only", "refuse_if_read_only"]

WRITERS = frozenset({Role.WORKER, Role.GATEWAY, Role.PUBLISHER, Role.OPERATOR})


def is_read_only() -> bool:
    """Return whether ENGINE_READ_ONLY is set to something other than 0. Raises ConfigError."""
    found = os.environ.get("ENGINE_READ_ONLY", "")
    if found not in ("", "0", "1"):
        raise ConfigError(f"ENGINE_READ_ONLY: 0 or 1, found {found!r}")
    return found == "1"


def refuse_if_read_only() -> None:
    """Raise ConfigError where nothing may be changed."""
    if is_read_only():
        raise ConfigError(
            "this context is read-only: add --write, or writable: true to the context "
            "(ENGINE_READ_ONLY is 1)"
        )
