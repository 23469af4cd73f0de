"""Children that end with us."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from support.waiting import wait_until

PARENT = """
import subprocess, sys
from engine.messaging.child import dies_with_parent
child = subprocess.Popen(["sleep", "60"], preexec_fn=dies_with_parent())
print(child.pid, flush=True)
child.wait()
"""


async def test_a_child_ends_when_its_parent_is_killed() -> None:
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE) as parent:  # noqa: ASYNC220
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        assert is_alive(child)
        os.kill(parent.pid, signal.SIGKILL)
    await wait_until(lambda: not is_alive(child), what="the end of the child")


def is_alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")")[-1].split()[0] != "Z"
    except FileNotFoundError:
        return False
