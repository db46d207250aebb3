"""Mutations of bytes, of text and of JSON, each decided by a `random.Random`."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Sequence
from random import Random
from typing import Any

Mutation = Callable[[bytes, Random], bytes]

ODD_BYTES = (
    b"", b"\0", b"\xff", b"\xef\xbb\xbf", b"\xff\xfe", b"\xc3", b"\xed\xa0\x80", b"\r\n",
    b"\x1b[31m", b"\x7f", b"A" * 300, b"\xf0\x9f\x98\x80", b"-1", b"9" * 400, b"1e999", b"nan",
    b"../", b"\\", b'"', b"'", b"[", b"]", b"{", b"}", b"=", b",", b":", b"/", b"#", b"\n",
    b" ", b"%s", b"<b>",
)  # fmt: skip

ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, 2**64, -(2**63) - 1, 10**30, 10**400, 1e308,
    1e-320, -0.0, float("nan"), float("inf"), float("-inf"), 0.5, "", " ", "x", "\0", "\ud800",
    "\x1b[31m", "é", "e\u0301", "../..", "/etc/passwd", "nan", "1", "x" * 3000, "=1+1",
    "<script>", "a\nb", [], {}, [[]], [None], {"": None}, {"mean": 1}, [1, "a"], [1e308, 1e308],
    [[1], [1, 2]], list(range(300)),
)  # fmt: skip
"""JSON values that somebody has not thought of."""


def mutate_bytes(content: bytes, random: Random, odd: Sequence[bytes] = ODD_BYTES) -> bytes:
    """Some random edits: bits flipped, parts cut, doubled, moved, odd bytes put in."""
    changed = bytearray(content)
    for _ in range(random.choice((1, 1, 1, 2, 3, 6))):
        place = random.randrange(len(changed) + 1)
        length = min(random.choice((1, 1, 2, 4, 16, 100)), len(changed) - place)
        part = changed[place : place + length]
        match random.randrange(8):
            case 0 if length:
                changed[place] ^= 1 << random.randrange(8)
            case 1 if length:
                changed[place] = random.randrange(256)
            case 2:
                del changed[place : place + length]
            case 3:
                changed[place:place] = random.choice(odd)
            case 4:
                changed[place : place + length] = random.choice(odd)
            case 5:
                changed[place:place] = part * random.choice((1, 2, 50))
            case 6:
                del changed[place:]
            case 7:
                other = random.randrange(len(changed) + 1)
                changed[other:other] = part
    return bytes(changed)


def mutate_json(content: bytes, random: Random) -> bytes:
    """Puts odd values into a JSON document; now and then its text is damaged too."""
    if random.random() < 0.15:
        return mutate_bytes(content, random)
    try:
        changed = mutate_tree(json.loads(content), random)
    except ValueError:
        return mutate_bytes(content, random)
    return json.dumps(changed).encode()


def mutate_tree(tree: Any, random: Random) -> Any:
    """A copy of nested lists and dicts with some nodes replaced, removed, renamed or added."""
    tree = copy.deepcopy(tree)
    for _ in range(random.choice((1, 1, 2, 4))):
        nodes = list(_containers(tree))
        if not nodes:
            return copy.deepcopy(random.choice(ODD_VALUES))
        node = random.choice(nodes)
        keys: list[Any] = list(node) if isinstance(node, dict) else list(range(len(node)))
        value = copy.deepcopy(random.choice(ODD_VALUES))
        if not keys:
            continue
        key = random.choice(keys)
        match random.randrange(6):
            case 0 | 1 | 2:
                node[key] = value
            case 3:
                del node[key]
            case 4 if isinstance(node, dict):
                node[random.choice(("", "x", f"{key}s", "name", "a.b"))] = copy.deepcopy(node[key])
            case 5:
                node[key] = [node[key]] if random.random() < 0.5 else {"x": node[key]}
            case _:
                node[key] = copy.deepcopy(node[random.choice(keys)])
    return tree


def _containers(tree: Any) -> list[Any]:
    """Every list and dict of a tree."""
    found, waiting = [], [tree]
    while waiting:
        node = waiting.pop()
        if isinstance(node, dict | list):
            found.append(node)
            waiting += node.values() if isinstance(node, dict) else node
    return found


def as_toml(table: dict[str, Any]) -> str:
    """A nested dict as TOML, in inline tables; what TOML has no word for is written as text."""
    return "\n".join(f"{_key(key)} = {_value(value)}" for key, value in table.items())


def _key(key: str) -> str:
    return json.dumps(key, ensure_ascii=False)


def _value(value: Any) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case int():
            return str(value)
        case float():
            return {"inf": "inf", "-inf": "-inf", "nan": "nan"}.get(str(value), repr(value))
        case list():
            return f"[{', '.join(map(_value, value))}]"
        case dict():
            return f"{{{', '.join(f'{_key(k)} = {_value(v)}' for k, v in value.items())}}}"
    return json.dumps(str(value))
