"""The fork server: a process that has imported what is slow to import, and forks guards.

``python -P -m bench.processes.forkserver FD MODULE...``. For each byte that comes over the socket
with three descriptors it forks a guard, which is given them: see `bench.processes.guard.guard`. It
ends when the socket is closed. What it has forked does not need it any more.

It has a session of its own, so that Ctrl-C on a terminal comes to bench and not to it; and nothing
is imported from the working folder (``-P``), where a user's ``json.py`` may lie.
"""

from __future__ import annotations

import atexit
import contextlib
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from typing import IO, NoReturn

from bench.api.errors import BenchError

DESCRIPTORS = 3
"""That a guard is given."""


# -- in the server --------------------------------------------------------------------------------


def main() -> NoReturn:
    """Serves until bench is gone."""
    control = socket.socket(fileno=int(sys.argv[1]))
    for module in sys.argv[2:]:
        importlib.import_module(module)
    from bench.processes.guard import guard

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the guards
    gc.freeze()  # what is here is not looked at again, so that its pages stay shared
    with contextlib.suppress(ConnectionError):
        while True:
            asked, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
            if not asked:
                break
            if os.fork() == 0:
                control.close()
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
                guard(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
    os._exit(0)


# -- in bench -------------------------------------------------------------------------------------


class ForkServer:
    """A fork server, as bench sees it. Starting it takes no time: it imports while bench goes on.

    Args:
        modules: what it imports before it forks.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        ours, its = socket.socketpair()
        self._control, self._owner, self._lock = ours, os.getpid(), threading.Lock()
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(its.fileno()), *modules],
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=[its.fileno()],
                start_new_session=True,
                # an empty entry is the working folder
                env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, places))},
            )

    def alive(self) -> bool:
        """Whether it can fork for this process."""
        return self._owner == os.getpid() and self._process.poll() is None

    def fork(self, *descriptors: int) -> None:
        """Has it fork a guard with these descriptors, as soon as it has imported its modules.

        Where it is gone, nobody has them: the other ends of pipes say so.
        """
        with self._lock, contextlib.suppress(OSError):
            socket.send_fds(self._control, [b"f"], descriptors)

    def last_words(self) -> str:
        """The last line that it printed."""
        self._printed.seek(0)
        lines = self._printed.read()[-2000:].decode(errors="replace").strip().splitlines()
        return lines[-1] if lines else "it printed nothing"

    def close(self) -> None:
        """Ends it at once, also where it is still importing."""
        self._control.close()
        if self._owner == os.getpid():
            self._process.kill()
            self._process.wait()
        self._printed.close()


_servers: dict[tuple[str, ...], ForkServer] = {}
_starting = threading.Lock()


def fork_server(modules: tuple[str, ...]) -> ForkServer:
    """The server that imports these modules: one for all that this process starts.

    Raises:
        BenchError: where processes cannot be forked (Windows).
    """
    if not hasattr(os, "fork"):
        raise BenchError("this system cannot fork processes; run with --executor inline")
    with _starting:
        found = _servers.get(modules)
        if found is None or not found.alive():
            if found is not None:
                found.close()
            found = _servers[modules] = ForkServer(modules)
        return found


@atexit.register
def close_servers() -> None:
    """Ends all servers."""
    while _servers:
        _servers.popitem()[1].close()


if __name__ == "__main__":
    main()
