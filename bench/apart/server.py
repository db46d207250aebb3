"""The server that forks: a process without plugins, that has imported what is slow to import.

``python -P -m bench.apart.server FD [MODULE...]``. For each byte that comes over the socket FD with
three descriptors it forks a child, tells its number and later how it ended over the third, and
ends all of them when the socket is closed. It has a session of its own: Ctrl-C is the caller's.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import select
import signal
import socket
import sys
from typing import NoReturn

from bench.apart.child import answer

POLL_SECONDS = 0.02


def main() -> NoReturn:
    """Serves until the caller is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    children: dict[int, int] = {}  # where to tell how it ended, by process
    while True:
        ready, _, _ = select.select([control], [], [], POLL_SECONDS if children else None)
        if ready:
            with contextlib.suppress(ConnectionError):
                asked, descriptors, _, _ = socket.recv_fds(control, 1, 3)
                if len(descriptors) == 3:
                    pid = fork(control, *descriptors)
                    children[pid] = descriptors[2]
                    tell(descriptors[2], {"pid": pid})
                    continue
            break
        reap(children)
    for pid in children:
        with contextlib.suppress(OSError):
            os.killpg(pid, signal.SIGKILL)
    os._exit(0)


def fork(control: socket.socket, channel: int, said: int, ended: int) -> int:
    """A child that answers one question; its number.

    Args:
        control: not the child's.
        channel: socket of the question and of its answer.
        said: where its standard output and error go.
        ended: not the child's.
    """
    pid = os.fork()
    if pid:
        os.close(channel)
        os.close(said)
        with contextlib.suppress(OSError):  # it does so too: whoever comes first
            os.setpgid(pid, pid)
        return pid
    try:
        os.setsid()
    except OSError:
        os.setpgid(0, 0)
    control.close()
    os.close(ended)
    os.dup2(said, 1)
    os.dup2(said, 2)
    os.close(said)
    answer(socket.socket(fileno=channel))


def reap(children: dict[int, int]) -> None:
    """Tells how each child that has ended did so."""
    for pid in list(children):
        with contextlib.suppress(ChildProcessError):
            done, status = os.waitpid(pid, os.WNOHANG)
            if done:
                where = children.pop(pid)
                tell(where, {"status": os.waitstatus_to_exitcode(status)})
                os.close(where)


def tell(where: int, content: dict[str, int]) -> None:
    """One line; whoever asked may be gone."""
    with contextlib.suppress(OSError):
        os.write(where, json.dumps(content).encode() + b"\n")


if __name__ == "__main__":
    main()
