"""What a fuzz target is, and the words of its promises.

A check returns what kind of answer came, in words; it raises `BrokenError` where a property does
not hold, and whatever else it raises is a crash.
"""

import json
import random
from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec

from fuzz.mutate import damaged_bytes, damaged_text, damaged_tree

__all__ = ["BrokenError", "Damage", "Target", "holds", "json_tree", "kind", "packed_tree"]

Damage = Callable[[bytes, Sequence[bytes], random.Random], bytes]


class BrokenError(Exception):
    """A property does not hold."""


class Target(NamedTuple):
    """Something that reads bytes which somebody else has written."""

    name: str
    seeds: Sequence[bytes]
    damage: Damage
    check: Callable[[bytes], str]


def holds(is_so: bool, what: str) -> None:
    """Require a property."""
    if not is_so:
        raise BrokenError(what)


def kind(error: object) -> str:
    """Return what an error says, what was found left out: errors of one kind look alike."""
    words = str(error).split(", found")[0].split(" `")[0]
    return " ".join(word for word in words.split()[:12] if not any(map(str.isdigit, word)))


def packed_tree(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return msgpack with its tree damaged, or now and then its bytes."""
    if chance.randrange(5) == 0:
        return damaged_bytes(seed, others, chance)
    try:
        tree = msgspec.msgpack.decode(seed)
        return msgspec.msgpack.encode(damaged_tree(tree, chance))
    except (msgspec.MsgspecError, UnicodeDecodeError, OverflowError, TypeError):
        return damaged_bytes(seed, others, chance)


def json_tree(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return JSON with its tree damaged, or now and then its text."""
    if chance.randrange(4) == 0:
        return damaged_text(seed, others, chance)
    try:
        tree = damaged_tree(json.loads(seed), chance)
        return json.dumps(tree, default=lambda found: str(found)).encode(errors="surrogatepass")
    except (ValueError, RecursionError):
        return damaged_text(seed, others, chance)
