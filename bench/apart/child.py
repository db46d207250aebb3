"""In the process apart: reads one question, calls the function, answers, and ends.

Each message is a line of JSON, an object with one key:

=========== =====================================================================================
touching    what of a plugin is touched now, and for how many seconds it may be; or null
call        the name of an argument that is a function, and what it is called with
answer      what the function has returned: the last message
error       the text of a `BenchError` that was raised instead, in a list
raised      any other exception, and its traceback
=========== =====================================================================================
"""

from __future__ import annotations

import importlib
import json
import os
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, NoReturn

from bench.apart import blame
from bench.apart.wire import arguments_of, encode
from bench.errors import BenchError


def answer(channel: socket.socket) -> NoReturn:
    """Answers the question that the channel holds."""
    sender = Sender(channel)
    try:
        question = json.loads(channel.makefile("rb").readline())
        settle(question)
        blame.begin(blame.Watch(sender.touching, question["given_up"]))
        function = named(question["function"])
        given = arguments_of(function, question["arguments"])
        proxies = {name: partial(sender.call, name) for name in question["callables"]}
        result = function(**given, **proxies)
        sender.send("answer", encode(function, "return", result))
    except BenchError as error:
        sender.send("error", [str(error)])
    except BaseException as error:  # whatever a plugin raises
        words = "".join(traceback.format_exception_only(error)).strip()
        sender.send("raised", [words, traceback.format_exc()])
    os._exit(0)  # threads and exit handlers of plugins stay unheard


class Sender:
    """Writes messages, from any thread."""

    def __init__(self, channel: socket.socket) -> None:
        self._channel = channel
        self._lock = threading.Lock()
        self._json = json.JSONEncoder().encode  # before a plugin replaces what json offers

    def send(self, kind: str, content: Any) -> None:
        line = self._json({kind: content}).encode() + b"\n"
        with self._lock:
            self._channel.sendall(line)

    def touching(self, what: str | None, seconds: float | None) -> None:
        self.send("touching", None if what is None else [what, seconds])

    def call(self, name: str, *values: str) -> None:
        self.send("call", [name, *values])


def settle(question: Mapping[str, Any]) -> None:
    """Takes on the environment, folder and import path of whoever asks."""
    os.environ.clear()
    os.environ.update(question["environment"])
    os.chdir(question["folder"])
    # behind its own: what lies in a folder of the user's must not become the harness's code
    sys.path += [place for place in question["path"] if place not in sys.path]
    importlib.invalidate_caches()


def named(place: str) -> Callable[..., Any]:
    """The function ``module:name`` of the harness."""
    module, _, name = place.partition(":")
    function: Callable[..., Any] = getattr(importlib.import_module(module), name)
    return function
