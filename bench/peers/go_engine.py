"""Go: a goroutine and a mutex for each campaign, on all cores; the program is in `go/`.

It is told rows and times through a pipe and times itself, so that the pipe is not counted:
processor time divided by cores, as if none ever waited for another or for the rest of the machine.
"""

import shutil
import struct
import subprocess
import tempfile
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from bench.peers.work import ANSWER, START_TICK, Terms, Work

SOURCE = Path(__file__).parent / "go"


class Peer:
    """A Go program that runs."""

    def __init__(self, work: Work, terms: Terms) -> None:
        self.work, self.took_s = work, 0.0
        self._place = tempfile.TemporaryDirectory(prefix="campaign-engine-go-")
        program = Path(self._place.name) / "peer"
        subprocess.run(["go", "build", "-o", program, "."], cwd=SOURCE, check=True)
        self._process = subprocess.Popen([program], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        head = (work.campaigns, work.platforms, work.window, work.pool // work.platforms)
        columns = np.stack(terms.columns(), axis=1).astype("<f8")
        self._tell(struct.pack("<4I", *head), columns.tobytes())

    def ingest(self, rows: NDArray[np.void]) -> None:
        """Take in samples, at most one a slot, each newer than what its slot has."""
        self._tell(b"I" + struct.pack("<I", len(rows)), rows.data.cast("B"))
        self._hear()

    def decide(self, tick: int) -> NDArray[np.void]:
        """Return an ANSWER for every campaign, as forecast for one step after `tick`."""
        self._tell(b"D" + struct.pack("<d", tick - START_TICK))
        self._hear()
        return np.frombuffer(self._read(self.work.campaigns * ANSWER.itemsize), ANSWER)

    def repeat(self, times: int) -> None:
        """Repeat what is known of the pool's slots, so many times."""
        self._tell(b"R" + struct.pack("<I", times))
        self._hear()

    def close(self) -> None:
        """End the program."""
        self._process.communicate(timeout=60)
        self._place.cleanup()

    def __enter__(self) -> Self:
        """Return the peer, whose program ends with the block."""
        return self

    def __exit__(self, *_: object) -> None:
        """End the program."""
        self.close()

    def _tell(self, *parts: bytes | memoryview) -> None:
        assert self._process.stdin is not None
        for part in parts:
            self._process.stdin.write(part)
        self._process.stdin.flush()

    def _hear(self) -> None:
        (took_ns,) = struct.unpack("<Q", self._read(8))
        self.took_s = took_ns / 1e9

    def _read(self, size: int) -> bytes:
        assert self._process.stdout is not None
        found = self._process.stdout.read(size)
        if len(found) != size:
            raise RuntimeError(f"Go's peer ended: {size} bytes wanted, {len(found)} found")
        return found


def is_here() -> bool:
    """Return whether Go is on the machine."""
    return shutil.which("go") is not None
