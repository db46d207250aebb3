"""Names that the site must document, and what a built site lacks of them.

A name is public where its module's ``__all__`` has it; of a module without one, what it defines and
does not begin with an underscore. Nothing is imported, so that building the site needs no torch.
"""

from __future__ import annotations

import ast
import zlib
from pathlib import Path

ROOT = Path(__file__).parents[2]
MODULES = ("bench", "bench.api", "bench.nn", "bench.testing", "bench.store.records")
PRIVATE = {"bench.__version__"}
"""In an ``__all__``, and nothing to read about."""


def public_names(module: str) -> set[str]:
    """``module.name`` for each public name."""
    path = ROOT.joinpath(*module.split("."))
    path = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    listed = [
        ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and "__all__" in map(ast.unparse, node.targets)
    ]
    names = set(listed[0]) if listed else set(_defined(tree))
    return {f"{module}.{name}" for name in names} - PRIVATE


def _defined(tree: ast.Module) -> list[str]:
    names = []
    for node in tree.body:
        match node:
            case ast.ClassDef(name=name) | ast.FunctionDef(name=name):
                names.append(name)
            case ast.Assign(targets=[ast.Name(id=name)]) | ast.AnnAssign(target=ast.Name(id=name)):
                names.append(name)
    return [name for name in names if not name.startswith("_")]


def documented(inventory: bytes) -> set[str]:
    """The names in a site's ``objects.inv``: four lines, and then compressed one name a line."""
    *_, compressed = inventory.split(b"\n", 4)
    lines = zlib.decompress(compressed).decode().splitlines()
    return {line.split(" ", 1)[0] for line in lines if " py:" in line}


def missing(inventory: bytes) -> list[str]:
    """Public names that a site does not document."""
    wanted = set().union(*map(public_names, MODULES))
    return sorted(wanted - documented(inventory))
