"""Processes that are forked from a server, as whoever asks for them sees them."""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Sequence
from dataclasses import dataclass

import psutil

from bench.errors import BenchError


@dataclass
class Child:
    """A process that answers one question."""

    channel: socket.socket
    """Of the question and the answer."""
    said: int
    """Descriptor of its standard output and error."""
    ended: int
    """Descriptor of how it ended: lines with its number, then its exit code."""
    pid: int | None = None

    def kill(self) -> None:
        """Ends it and what it has started."""
        if self.pid is not None:
            with contextlib.suppress(psutil.Error):
                for started in psutil.Process(self.pid).children(recursive=True):
                    with contextlib.suppress(psutil.Error):
                        started.kill()
            with contextlib.suppress(OSError):
                os.killpg(self.pid, signal.SIGKILL)

    def close(self) -> None:
        """Gives its descriptors back."""
        self.channel.close()
        os.close(self.said)
        os.close(self.ended)


class Server:
    """A process of `bench.apart.server`.

    Args:
        modules: what it imports before it forks.
    """

    def __init__(self, modules: Sequence[str]) -> None:
        ours, its = socket.socketpair()
        self._control = ours
        self._errors = tempfile.TemporaryFile()  # noqa: SIM115 - as long as the server
        # -P, and no empty entry in PYTHONPATH: nothing is imported from the working folder. A
        # session of its own: Ctrl-C comes to this process, which ends the server.
        command = [sys.executable, "-P", "-m", "bench.apart.server", str(its.fileno()), *modules]
        places = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        environment = {**os.environ, "PYTHONSAFEPATH": "1"}
        environment["PYTHONPATH"] = os.pathsep.join(filter(None, places))
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=self._errors,
            stderr=self._errors,
            pass_fds=[its.fileno()],
            start_new_session=True,
            env=environment,
        )
        its.close()

    def alive(self) -> bool:
        """Whether it can fork."""
        return self._process.poll() is None

    def fork(self) -> Child:
        """A process that waits for its question."""
        channel, its_channel = socket.socketpair()
        said, its_said = os.pipe()
        ended, its_ended = os.pipe()
        try:
            socket.send_fds(self._control, [b"f"], [its_channel.fileno(), its_said, its_ended])
        except OSError as error:
            raise BenchError(f"the process that imports plugins ended{self.last_words()}") from error
        finally:
            its_channel.close()
            os.close(its_said)
            os.close(its_ended)
        return Child(channel, said, ended)

    def last_words(self) -> str:
        """The last line that it printed, as the end of a sentence."""
        self._errors.seek(0)
        lines = self._errors.read()[-2000:].decode(errors="backslashreplace").strip().splitlines()
        return f": {lines[-1][:300]}" if lines else ""

    def close(self) -> None:
        """Ends it at once, and with it all that it has forked."""
        self._control.close()
        self._process.kill()
        self._process.wait()
        self._errors.close()


_servers: dict[tuple[str, ...], Server] = {}
_starting = threading.Lock()


def server(modules: tuple[str, ...]) -> Server:
    """The server that has imported these modules; one for all questions of this process."""
    with _starting:
        found = _servers.get(modules)
        if found is None or not found.alive():
            if found is not None:
                found.close()
            found = _servers[modules] = Server(modules)
        return found


@atexit.register
def close_servers() -> None:
    """Ends all servers."""
    while _servers:
        _servers.popitem()[1].close()
