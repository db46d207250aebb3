"""Reads what a pickle says without doing it.

A pickle is a program, which may call anything. Here it is only looked at: numbers, text, lists,
tuples and dictionaries are made; what it would import and call becomes an `Inert` that remembers
how it would have been built. Enough for the pickles that old datasets were published in, which are
dictionaries of lists and arrays.
"""

from __future__ import annotations

import pickletools
from dataclasses import dataclass
from typing import Any

MARK = object()

PUSHES = {
    "NONE": None, "NEWTRUE": True, "NEWFALSE": False,
}  # fmt: skip
LITERALS = {
    "INT", "BININT", "BININT1", "BININT2", "LONG", "LONG1", "LONG4", "FLOAT", "BINFLOAT",
    "STRING", "BINSTRING", "SHORT_BINSTRING", "BINBYTES", "SHORT_BINBYTES", "BINBYTES8",
    "UNICODE", "BINUNICODE", "SHORT_BINUNICODE", "BINUNICODE8",
}  # fmt: skip


class NotInertError(ValueError):
    """No pickle, a damaged one, or one with more than this reader understands."""


@dataclass
class Inert:
    """What a pickle would have imported or called."""

    name: str
    """``module name``."""
    arguments: Any = None
    state: Any = None
    """What it would have been given by BUILD; of a numpy array ``(version, shape, dtype, fortran,
    content)``."""


def read_inert(content: bytes) -> Any:
    """What the pickle would have made.

    Args:
        content: a pickle of protocol 0 to 4.

    Returns:
        Plain values, and an `Inert` for each object. Byte strings of Python 2 are text with one
        character per byte (latin-1).

    Raises:
        NotInertError: see there.
    """
    machine = _Machine()
    try:
        for opcode, argument, _ in pickletools.genops(content):
            machine.step(opcode.name, argument)
        (result,) = machine.stack
    except NotInertError:
        raise
    except (ValueError, IndexError, KeyError, TypeError, AttributeError) as error:
        raise NotInertError(f"no readable pickle: {error}") from error
    return result


class _Machine:
    """The stack and the memory that a pickle works on."""

    def __init__(self) -> None:
        self.stack: list[Any] = []
        self.memory: dict[int, Any] = {}

    def step(self, name: str, argument: Any) -> None:
        """Carries out one opcode; see `pickletools` for what each does."""
        if name in ("PROTO", "FRAME", "STOP"):
            return
        if name in LITERALS:
            self.stack.append(argument)
        elif name in PUSHES:
            self.stack.append(PUSHES[name])
        elif name.startswith(("EMPTY_", "TUPLE")) or name in ("MARK", "LIST", "DICT"):
            self._container(name)
        elif name in ("PUT", "BINPUT", "LONG_BINPUT"):
            self.memory[argument] = self.stack[-1]
        elif name == "MEMOIZE":
            self.memory[len(self.memory)] = self.stack[-1]
        elif name in ("GET", "BINGET", "LONG_BINGET"):
            self.stack.append(self.memory[argument])
        elif name in ("APPEND", "APPENDS", "SETITEM", "SETITEMS"):
            self._fill(name)
        elif name in ("GLOBAL", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD"):
            self._object(name, argument)
        else:
            raise NotInertError(f"the pickle uses {name}, which this reader does not understand")

    def _marked(self) -> list[Any]:
        """What stands above the last mark, taken off with it."""
        place = max(n for n, item in enumerate(self.stack) if item is MARK)
        items = self.stack[place + 1 :]
        del self.stack[place:]
        return items

    def _container(self, name: str) -> None:
        empty: dict[str, Any] = {"EMPTY_LIST": [], "EMPTY_DICT": {}, "EMPTY_TUPLE": ()}
        if name == "MARK":
            self.stack.append(MARK)
        elif name in empty:
            self.stack.append(empty[name])
        elif name == "LIST":
            self.stack.append(self._marked())
        elif name == "DICT":
            self.stack.append(_pairs(self._marked()))
        elif name == "TUPLE":
            self.stack.append(tuple(self._marked()))
        else:
            count = int(name.removeprefix("TUPLE"))
            items = self.stack[-count:]
            del self.stack[-count:]
            self.stack.append(tuple(items))

    def _fill(self, name: str) -> None:
        several = name.endswith("S")
        count = 1 if name.startswith("APPEND") else 2
        items = self._marked() if several else [self.stack.pop() for _ in range(count)][::-1]
        target = self.stack[-1]
        if count == 1:
            target.extend(items)
        else:
            target.update(_pairs(items))

    def _object(self, name: str, argument: Any) -> None:
        if name == "GLOBAL":
            self.stack.append(Inert(str(argument)))
        elif name == "STACK_GLOBAL":
            what, module = self.stack.pop(), self.stack.pop()
            if not isinstance(what, str) or not isinstance(module, str):
                raise NotInertError("the pickle names a class by what is no text")
            self.stack.append(Inert(f"{module} {what}"))
        elif name == "BUILD":
            state = self.stack.pop()
            self.stack[-1].state = state
        else:
            arguments = self.stack.pop()
            self.stack.append(Inert(self.stack.pop().name, arguments))


def _pairs(items: list[Any]) -> dict[Any, Any]:
    """Keys and values by turns. A key is plain: to hash a tuple of tuples that share their parts
    takes time without end."""
    pairs = dict[Any, Any]()
    for key, value in zip(items[::2], items[1::2], strict=True):
        if not isinstance(key, str | bytes | int | float | None):
            raise NotInertError(f"the pickle has a {type(key).__name__} as a key of a dict")
        pairs[key] = value
    return pairs
