"""The loop: damage an input, check it, keep it where the answer is a new one."""

import hashlib
import random
import time
from pathlib import Path

import msgspec

from fuzz.promises import BrokenError, Target

__all__ = ["Failure", "Found", "check", "fuzz", "shortened"]

MOST_KEPT = 1_000
MOST_FAILURES = 5
LONGEST = 16_384  # bytes


class Failure(msgspec.Struct, frozen=True):
    """An input on which a property does not hold."""

    target: str
    what: str
    payload: bytes

    def save(self, folder: Path) -> Path:
        """Write the input below `folder`; return where."""
        path = folder / self.target / hashlib.blake2b(self.payload, digest_size=8).hexdigest()
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(self.payload)
        return path


class Found(msgspec.Struct):
    """What a run over one target came to."""

    cases: int = 0
    kept: int = 0
    slowest_ms: float = 0.0
    failures: list[Failure] = []


def check(target: Target, payload: bytes) -> str:
    """Return what kind of answer an input brings; raise AssertionError where a property breaks."""
    try:
        return target.check(payload)
    except BrokenError as error:
        raise AssertionError(str(error)) from error
    except Exception as error:
        where = error.__traceback__
        while where is not None and where.tb_next is not None:
            where = where.tb_next
        place = "" if where is None else f" in {Path(where.tb_frame.f_code.co_filename).name}"
        raise AssertionError(f"crash: {type(error).__name__}{place}") from error


def fuzz(target: Target, *, seconds: float, cases: int | None = None, seed: int = 1) -> Found:
    """Try damaged inputs for some time, or so many of them, whichever ends first."""
    chance, found = random.Random(f"{target.name} {seed}"), Found(failures=[])
    kept, answers, broken = list(target.seeds), set[str](), set[str]()
    until = time.perf_counter() + seconds
    for payload in target.seeds:
        answers.add(check(target, payload))
    while time.perf_counter() < until and (cases is None or found.cases < cases):
        payload = target.damage(chance.choice(kept), target.seeds, chance)[:LONGEST]
        found.cases += 1
        began = time.perf_counter()
        try:
            answer = check(target, payload)
        except AssertionError as error:
            if str(error) not in broken:
                broken.add(str(error))
                short = shortened(target, payload, str(error))
                found.failures.append(Failure(target.name, str(error), short))
            if len(broken) >= MOST_FAILURES:
                break
            continue
        found.slowest_ms = max(found.slowest_ms, 1000 * (time.perf_counter() - began))
        if answer not in answers and len(kept) < MOST_KEPT:
            answers.add(answer)
            kept.append(payload)
            found.kept += 1
    return found


def shortened(target: Target, payload: bytes, what: str) -> bytes:
    """Take pieces away from an input as long as it fails the same way."""
    piece = len(payload) // 2
    while piece:
        at = 0
        while at + piece <= len(payload):
            shorter = payload[:at] + payload[at + piece :]
            try:
                check(target, shorter)
                at += piece
            except AssertionError as error:
                if str(error) == what:
                    payload = shorter
                else:
                    at += piece
        piece //= 2
    return payload
