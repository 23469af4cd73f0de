"""Damage to what was good: bytes, text made of tokens, and trees of JSON or msgpack."""

import random
import re
from collections.abc import Sequence

__all__ = ["damaged_bytes", "damaged_text", "damaged_tree"]

_NUMBERS = (
    *(0, 1, -1, 2, 7, 63, 64, 255, 256, 65_535, 2**31 - 1, 2**31, 2**32, 2**53, 2**53 + 1),
    *(2**63 - 1, -(2**63), 2**64 - 1, 10**15, 0.5, -0.0, 1e-9, 1e308, 1.5, 3.0),
)
_TEXTS = (
    *(
        "",
        " ",
        "a",
        "0",
        "-1",
        "null",
        "true",
        "NaN",
        "inf",
        "1e999",
        "0x10",
        "1_000",
        "\u0661\u0662",
        "\U0001d7d9",
    ),
    *("\x00", "\n", "\r\n", "\ufeff", "\u2028", "\ud7ff", "é", "e\u0301", "a" * 65, "x" * 5000),
    *("../../etc", "*", ">", "engine.decisions.1", "spring-shoes", "google", "UTC", "Mars/Olympus"),
    *("9007199254740993", "0.0000001", "1,5", "12 %", "$5", "2026-02-30", "2026-13-01T25:61"),
    *("9999-12-31T23:59:59Z", "0001-01-01", "+999999999d", "-1h", "now", "mon-sun 0-24", "daily"),
)
_TOKENS = (
    *("[", "]", "{", "}", "&a", "*a", "<<: ", "? ", "- ", ": ", "# ", "|", ">", "!!python/none"),
    *('"', "'", '""', ",", ";", "\t", "\n", "\r", "\n---\n", "%YAML 1.1\n", "~", "...\n", "\\"),
    *("\\ud800", "\\u0000", "\x85", "//", "/*", "NaN", "-", "+", "e", ".", "_", "0", "\ufeff"),
)
_WORD = re.compile(r"[A-Za-z0-9_.+-]+|\s+|[^\sA-Za-z0-9_.+-]")


def damaged_bytes(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a copy with bits turned, pieces cut, doubled, or taken from another input."""
    data = bytearray(seed)
    for _ in range(1 << chance.randrange(4)):
        at = chance.randrange(len(data) + 1)
        end = min(len(data), at + 1 + chance.randrange(32))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] ^= 1 << chance.randrange(8)
            case 1 if at < len(data):
                data[at] = chance.randrange(256)
            case 2:
                del data[at:end]
            case 3:
                data[at:at] = data[at:end]
            case 4:
                other = chance.choice(others)
                start = chance.randrange(len(other) + 1)
                data[at:end] = other[start : start + chance.randrange(64)]
            case 5:
                width = chance.choice((1, 2, 4, 8))
                number = int(chance.choice(_NUMBERS)) % 256**width
                data[at : at + width] = number.to_bytes(width, chance.choice(("little", "big")))
            case _:
                del data[at:]
    return bytes(data)


def damaged_text(seed: bytes, others: Sequence[bytes], chance: random.Random) -> bytes:
    """Return a copy with words changed, doubled, swapped or lost; now and then with bad bytes."""
    if chance.randrange(8) == 0:
        return damaged_bytes(seed, others, chance)
    words: list[str] = _WORD.findall(seed.decode(errors="replace"))
    for _ in range(1 << chance.randrange(4)):
        if not words:
            break
        at = chance.randrange(len(words))
        match chance.randrange(7):
            case 0:
                words[at] = chance.choice(_TEXTS)
            case 1:
                words[at] = str(chance.choice(_NUMBERS))
            case 2:
                words.insert(at, chance.choice(_TOKENS))
            case 3:
                del words[at : at + 1 + chance.randrange(4)]
            case 4:
                words[at:at] = words[at : at + 1 + chance.randrange(12)]
            case 5:
                other = chance.randrange(len(words))
                words[at], words[other] = words[other], words[at]
            case _:
                found = _WORD.findall(chance.choice(others).decode(errors="replace"))
                start = chance.randrange(len(found) + 1)
                words[at:at] = found[start : start + chance.randrange(12)]
    return "".join(words).encode(errors="surrogatepass")


def damaged_tree(value: object, chance: random.Random) -> object:
    """Return a copy of a tree with some of its leaves, names or branches changed."""
    for _ in range(1 << chance.randrange(3)):
        value = _once(value, chance)
    return value


def _once(value: object, chance: random.Random) -> object:
    if isinstance(value, dict) and value and chance.randrange(6):
        name = chance.choice(list(value))
        changed = dict(value)
        match chance.randrange(12):
            case 0:
                del changed[name]
            case 1:
                changed[chance.choice(_TEXTS)] = changed[name]
            case 2:
                other = chance.choice(list(value))
                changed[name], changed[other] = changed[other], changed[name]
            case _:
                changed[name] = _once(changed[name], chance)
        return changed
    if isinstance(value, list) and value and chance.randrange(6):
        at = chance.randrange(len(value))
        listed = list(value)
        match chance.randrange(8):
            case 0:
                del listed[at]
            case 1:
                listed.insert(at, listed[at])
            case 2:
                listed += listed[:at]
            case _:
                listed[at] = _once(listed[at], chance)
        return listed
    return _leaf(value, chance)


def _leaf(value: object, chance: random.Random) -> object:
    if isinstance(value, bool) or value is None or chance.randrange(4) == 0:
        leaves: list[object] = [None, True, False, [], {}, [[]], {"": {}}, b"\xff"]
        return chance.choice([*leaves, chance.choice(_NUMBERS), chance.choice(_TEXTS)])
    if isinstance(value, int | float):
        near = [value + 1, value - 1, -value, value * 2]
        return chance.choice([*near, *chance.sample(_NUMBERS, 4)])
    if isinstance(value, str):
        return chance.choice([value + "x", value[:-1], value.upper(), chance.choice(_TEXTS)])
    if isinstance(value, bytes):
        return damaged_bytes(value, [value], chance)
    return chance.choice(_NUMBERS)
