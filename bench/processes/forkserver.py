"""The fork server: a process that has imported what is slow to import, and forks guards.

``python -P -m bench.processes.forkserver FD``. For each line that comes over the socket, names of
modules and with them three descriptors, it imports what it has not yet imported of these and forks
a guard, which is given the descriptors: see `bench.processes.guard.guard`. A line without
descriptors only asks for the imports. One server serves
planning and working, so that torch is imported once. It ends when the socket is closed. What it has
forked does not need it any more.

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
    from bench.processes.guard import guard

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the system buries the guards
    gc.disable()  # imports leave little to collect, and looking for it takes a fifth of their time
    with contextlib.suppress(ConnectionError):
        while True:
            asked, descriptors, _, _ = socket.recv_fds(control, 1, DESCRIPTORS)
            if not asked:
                break
            for module in read_line(control).split():
                importlib.import_module(module)
            if not descriptors:
                continue
            gc.freeze()  # what is here is not looked at again, so that its pages stay shared
            if os.fork() == 0:
                gc.enable()
                control.close()
                for descriptor in descriptors:
                    os.set_inheritable(descriptor, False)
                guard(*descriptors)
            for descriptor in descriptors:
                os.close(descriptor)
    os._exit(0)


def read_line(control: socket.socket) -> str:
    """What is left of a line. Byte by byte: with the next line come other descriptors."""
    line = bytearray()
    while (part := control.recv(1)) not in {b"\n", b""}:
        line += part
    return line.decode()


# -- in bench -------------------------------------------------------------------------------------

KEEP_FREED = {"MALLOC_TRIM_THRESHOLD_": str(2**33), "MALLOC_MMAP_THRESHOLD_": str(2**28)}
"""glibc reads these when a process begins. Feature maps are freed and asked for again in every
update; each time given back to the system, their pages are cleared and mapped anew: 10,000 faults
in a MAML update with 5 shots, a tenth of its time. Blocks above 256 MiB are given back."""


class ForkServer:
    """A fork server, as bench sees it. Starting it takes no time: it imports while bench does other
    things."""

    def __init__(self) -> None:
        ours, its = socket.socketpair()
        self._control, self._owner, self._lock = ours, os.getpid(), threading.Lock()
        self._printed: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        with its:
            self._process = subprocess.Popen(
                [sys.executable, "-P", "-m", __name__, str(its.fileno())],
                stdin=subprocess.DEVNULL,
                stdout=self._printed,
                stderr=self._printed,
                pass_fds=[its.fileno()],
                start_new_session=True,
                env={
                    # Threads that spin while they wait cost ten times where the cores are shared
                    # with others: a MAML update took 65 s with spinning and 6.7 s without, at a
                    # load of 8 on 2 cores. The library that has them reads this when it is loaded.
                    "OMP_WAIT_POLICY": "PASSIVE",
                    **KEEP_FREED,
                    **os.environ,
                    # an empty entry is the working folder
                    "PYTHONPATH": os.pathsep.join(filter(None, places)),
                },
            )

    def alive(self) -> bool:
        """Whether it can fork for this process."""
        return self._owner == os.getpid() and self._process.poll() is None

    def fork(self, modules: Sequence[str], *descriptors: int) -> None:
        """Has it fork a guard with these descriptors, as soon as it has imported these modules.

        Where it is gone, nobody has them: the other ends of pipes say so.
        """
        self._ask(modules, descriptors)

    def import_ahead(self, modules: Sequence[str]) -> None:
        """Has it import these modules, for a guard that is asked for later."""
        self._ask(modules, ())

    def _ask(self, modules: Sequence[str], descriptors: Sequence[int]) -> None:
        line = f" {' '.join(modules)}\n".encode()
        with self._lock, contextlib.suppress(OSError):
            if descriptors:
                socket.send_fds(self._control, [line], descriptors)
            else:
                self._control.sendall(line)

    def last_words(self) -> str:
        """The last line that it printed."""
        if self._printed.closed:
            return "it was ended"
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


_server: ForkServer | None = None
_starting = threading.Lock()


def fork_server() -> ForkServer:
    """The one server of this process.

    Raises:
        BenchError: where processes cannot be forked (Windows).
    """
    global _server  # noqa: PLW0603 - one for all that this process starts
    if not hasattr(os, "fork"):
        raise BenchError("this system cannot fork processes; run with --executor inline")
    with _starting:
        if _server is None or not _server.alive():
            close_server()
            _server = ForkServer()
        return _server


def give_up_server(server: ForkServer) -> str:
    """The last line of a server that could not fork; the next `fork_server` is another one.

    It is dead or dying, and `ForkServer.alive` takes a dying one for alive.
    """
    words = server.last_words()
    with _starting:
        if _server is server:
            close_server()
    return words


@atexit.register
def close_server() -> None:
    """Ends it, if there is one."""
    global _server  # noqa: PLW0603
    if _server is not None:
        _server.close()
        _server = None


if __name__ == "__main__":
    main()
