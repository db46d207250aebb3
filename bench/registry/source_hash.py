"""Which code a learner is: a hash that follows what is computed, not how it is written down."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from bench.api import Learner


NOT_ITS_OWN = {"bench", "torch", "builtins", "abc"}


def source_hash(learner: type[Learner], beside: Path | None = None) -> str:
    """12 hex digits over the code of a learner.

    Its file counts, those of the learners it builds on, and whatever these import from their own
    package, in turn; comments, docstrings and white space do not. The harness's own files do not
    count, nor does torch: versions of those stand in the environment of every result.

    Args:
        learner: its class.
        beside: a folder whose modules are its own too; of a learner without a package.
    """
    files = sorted(_files(learner, beside))
    codes = [code_of(Path(file).read_text(encoding="utf-8")) for file in files]
    if beside is not None:
        codes.sort()  # wherever the folder lies
    digest = hashlib.sha256()
    for code in codes:
        digest.update(code.encode())
    return digest.hexdigest()[:12]


def _files(learner: type[Learner], beside: Path | None = None) -> set[str]:
    found: dict[str, str] = {}
    waiting = [base.__module__ for base in learner.__mro__]
    while waiting:
        name = waiting.pop()
        module = sys.modules.get(name)
        if module is None or name in found or _package(name) in NOT_ITS_OWN:
            continue
        found[name] = getattr(module, "__file__", None) or ""
        if found[name]:
            waiting += [
                used
                for used in _imports(module)
                if _package(used) == _package(name) or _lies_in(beside, used)
            ]
    return {file for file in found.values() if file}


def _imports(module: ModuleType) -> Iterator[str]:
    """Every name that it imports, whether that is a module or something in one."""
    package = module.__spec__.parent if module.__spec__ else None
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = "." * node.level + (node.module or "")
            origin = importlib.util.resolve_name(origin, package) if node.level else origin
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _lies_in(folder: Path | None, name: str) -> bool:
    """Whether a module, or the package that it is of, lies in a folder itself."""
    file = getattr(sys.modules.get(_package(name)), "__file__", None)
    if folder is None or file is None:
        return False
    return folder in {Path(file).parent, Path(file).parent.parent}


def _package(name: str) -> str:
    return name.partition(".")[0]


def code_of(source: str) -> str:
    """Python source without comments, docstrings and white space.

    Spelled out by hand because `ast.unparse` and `ast.dump` differ between Python versions, and the
    same learner must not count as other code on another machine.
    """
    lines = source.splitlines(keepends=True)
    spans = [*_docstrings(ast.parse(source)), *_comments(source)]
    for first, start, last, end in sorted(spans, reverse=True):
        head, tail = _cut(lines[first - 1], 0, start), _cut(lines[last - 1], end, None)
        lines[first - 1 : last] = [head + tail]
    return "".join("".join(lines).split())


Span = tuple[int, int, int, int]
"""First line, its byte, last line, its byte."""


def _docstrings(tree: ast.Module) -> Iterator[Span]:
    """Strings that stand alone as a statement, those after an attribute too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            value: Any = node.value
            if isinstance(value.value, str):
                yield value.lineno, value.col_offset, value.end_lineno, value.end_col_offset


def _comments(source: str) -> Iterator[Span]:
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            (line, column), text = token.start, token.line
            start = len(text[:column].encode())
            yield line, start, line, start + len(token.string.encode())


def _cut(line: str, start: int, end: int | None) -> str:
    """A part of a line, in bytes, as `ast` counts."""
    return line.encode()[start:end].decode()
