"""Counts where the harness asks which protocol it is, instead of asking the protocol.

    python tests/helpers/protocol_branches.py [--each]

What counts, read off the syntax tree: a comparison (``==``, ``in``, ``match``) with the name of a
protocol, or of an attribute or a variable called ``protocol``; a look-up by such a name; the
attributes ``.probe`` and ``.online``; and ``isinstance`` of what only one protocol has.
"""

from __future__ import annotations

import ast
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
NAMES = {"kshot", "online", "sequence"}
KINDS = {"Probe", "ClassPool", "StreamPool", "Sequences", "Stream", "Episodes"}
ATTRIBUTES = {"probe", "online"}


def branches(source: str) -> Iterator[int]:
    """The line of each branch in some Python source."""
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Compare():
                sides = [node.left, *node.comparators]
                if any(map(_is_protocol, sides)):
                    yield node.lineno
            case ast.MatchValue(value=value) if _is_protocol(value):
                yield node.lineno
            case ast.Match(subject=subject) if _is_protocol(subject):
                yield node.lineno
            case ast.MatchClass(cls=ast.Name(id=name)) if name in KINDS:
                yield node.lineno
            case ast.Subscript(slice=index) if _is_protocol(index):
                yield node.lineno
            case ast.Attribute(attr=name) if name in ATTRIBUTES:
                yield node.lineno
            case ast.Call(func=ast.Name(id="isinstance" | "issubclass"), args=[_, kinds]):
                named = {n.id for n in ast.walk(kinds) if isinstance(n, ast.Name)}
                named |= {n.attr for n in ast.walk(kinds) if isinstance(n, ast.Attribute)}
                if named & KINDS:
                    yield node.lineno


def _is_protocol(node: ast.expr) -> bool:
    """Whether an expression is, or holds, the name of a protocol."""
    match node:
        case ast.Constant(value=str(name)):
            return name in NAMES
        case ast.Tuple(elts=elements) | ast.List(elts=elements) | ast.Set(elts=elements):
            return any(map(_is_protocol, elements))
        case ast.Name(id="protocol") | ast.Attribute(attr="protocol"):
            return True
    return False


def by_module(root: Path = ROOT) -> dict[str, list[int]]:
    """The lines with a branch of each module of the harness that has one."""
    found = {}
    for path in sorted((root / "bench").rglob("*.py")):
        if lines := sorted(branches(path.read_text(encoding="utf-8"))):
            found[str(path.relative_to(root))] = lines
    return found


def by_package(root: Path = ROOT) -> Counter[str]:
    """How many branches each package of the harness has."""
    counted: Counter[str] = Counter()
    for path, lines in by_module(root).items():
        counted[Path(path).parts[1].removesuffix(".py")] += len(lines)
    return counted


if __name__ == "__main__":
    if "--each" in sys.argv:
        for path, lines in by_module().items():
            print(f"{len(lines):>4}  {path}  {', '.join(map(str, lines))}")
    counts = by_package()
    for package, count in counts.most_common():
        print(f"{count:>4}  {package}")
    print(f"{counts.total():>4}  together")
