"""What a worker may be asked to do in tests: functions as `bench.processes.child.Work` names them.

The argument is a folder, as JSON; its file ``result`` is what makes the work done. No torch here: a
worker that imports nothing begins in half a second.
"""

from __future__ import annotations

import fcntl
import gc
import json
import os
import re
import signal
import stat
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

Tell = Callable[[dict[str, Any]], object]


def folder(argument: str) -> Path:
    return Path(json.loads(argument))


def finish(argument: str) -> None:
    (folder(argument) / "result").write_text("done")


def pipes() -> list[int]:
    """Descriptors that a careless learner may take for its own."""
    return [fd for fd in range(3, 64) if _is_pipe(fd) and fcntl.fcntl(fd, fcntl.F_GETFL) & 1]


def _is_pipe(descriptor: int) -> bool:
    try:
        return stat.S_ISFIFO(os.fstat(descriptor).st_mode)
    except OSError:
        return False


# -- what ends well -------------------------------------------------------------------------------


def well(argument: str, tell: Tell) -> None:
    tell({"fraction": 0.5, "updates": 3, "state": "working"})
    finish(argument)


def frees_and_asks_again(argument: str, tell: Tell) -> None:
    """The pages that were mapped for a block of 64 MiB the second to the sixth time."""
    import resource

    def faults() -> int:
        bytes(2**20) * 64
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    first = faults()
    (folder(argument) / "result").write_text(str([faults() for _ in range(5)][-1] - first))


def says_where_it_is(argument: str, tell: Tell) -> None:
    about = {"environment": dict(os.environ), "folder": str(Path.cwd()), "path": sys.path}
    (folder(argument) / "about").write_text(json.dumps(about))
    finish(argument)


def says_whether_it_collects(argument: str, tell: Tell) -> None:
    (folder(argument) / "collects").write_text(str(gc.isenabled()))
    finish(argument)


def leaves_a_thread(argument: str, tell: Tell) -> None:
    threading.Thread(target=time.sleep, args=(1000,)).start()
    finish(argument)


def closes_everything(argument: str, tell: Tell) -> None:
    os.closerange(0, 4096)
    files = [(folder(argument) / f"own{k}").open("wb") for k in range(40)]
    tell({"fraction": 0.5})  # not into one of these
    for file in files:
        file.close()
    finish(argument)


def floods(argument: str, tell: Tell) -> None:
    for number in range(30_000):
        tell({"fraction": number / 30_000})
    finish(argument)


def prints(argument: str, tell: Tell) -> None:
    print("first")
    for _ in range(20):
        print("y" * 1_000_000)
    print("caf\udce9 and \xb1, last")
    finish(argument)


# -- what does not --------------------------------------------------------------------------------


def ends_the_interpreter(argument: str, tell: Tell) -> None:
    os._exit(7)


def real_time_signal(argument: str, tell: Tell) -> None:
    os.kill(os.getpid(), 40)


def finds_no_memory(argument: str, tell: Tell) -> None:
    raise RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB")


def exits(argument: str, tell: Tell) -> None:
    sys.exit("bye")


def long_and_foreign(argument: str, tell: Tell) -> None:
    raise ValueError("file caf\udce9.png \0" + "x" * 3_000_000)


def writes_into_pipes(argument: str, tell: Tell) -> None:
    for descriptor in pipes():
        os.write(descriptor, b"\xff" * 64)
    tell({"fraction": 0.5})
    time.sleep(1000)


def half_a_message(argument: str, tell: Tell) -> None:
    for descriptor in pipes():
        os.write(descriptor, b'{"progress": {"fra')
    time.sleep(1000)


def stops_itself(argument: str, tell: Tell) -> None:
    os.kill(os.getpid(), signal.SIGSTOP)


def waits(argument: str, tell: Tell) -> None:
    tell({"state": "waiting"})
    time.sleep(2.5)
    tell({"state": "working"})
    time.sleep(1000)


def allocates(argument: str, tell: Tell) -> None:
    taken = bytearray(2**28)
    taken[::4096] = b"x" * (2**28 // 4096)
    time.sleep(1000)


def kills_its_guard(argument: str, tell: Tell) -> None:
    subprocess.Popen(["sleep", "987"])
    os.kill(os.getppid(), signal.SIGKILL)
    time.sleep(1000)


# -- what does not end by itself ------------------------------------------------------------------


def sleeps(argument: str, tell: Tell) -> None:
    (folder(argument) / "pid").write_text(str(os.getpid()))
    time.sleep(1000)


def holds_the_interpreter(argument: str, tell: Tell) -> None:
    (folder(argument) / "pid").write_text(str(os.getpid()))
    re.match("(a+)+$", "a" * 60 + "b")


def leaves_processes(argument: str, tell: Tell) -> None:
    """One as it is, one in a session of its own, one whose parent is gone."""
    sleep = ["sleep", "987"]
    started = [subprocess.Popen(sleep), subprocess.Popen(sleep, start_new_session=True)]
    shell = ["sh", "-c", "setsid sleep 987 >/dev/null 2>&1 & echo $!"]
    orphan = subprocess.run(shell, capture_output=True, check=True).stdout
    pids = [process.pid for process in started] + [int(orphan)]
    (folder(argument) / "pids").write_text(json.dumps(pids))
    finish(argument)


def ends_the_fork_server(argument: str, tell: Tell) -> None:
    """Three steps up, and goes on."""
    guard = Path(f"/proc/{os.getppid()}/stat").read_text().rpartition(")")[2].split()
    os.kill(int(guard[1]), signal.SIGKILL)
    time.sleep(0.5)
    finish(argument)
