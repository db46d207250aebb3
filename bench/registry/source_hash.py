"""Which code a learner is: a hash that follows what is computed, not how it is written down."""

from __future__ import annotations

import ast
import hashlib
import importlib.util
import io
import re
import sys
import tokenize
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench.api import Learner


NOT_ITS_OWN = {"bench", "torch", "builtins", "abc"}


def source_hash(learner: type[Learner], beside: Path | None = None) -> str:
    """12 hex digits over the code of a learner.

    Its file counts, those of the learners it builds on, and whatever these import from their own
    package, in turn; comments, docstrings and layout do not (see `code_of`). The harness's own
    files do not count, nor does torch: versions of those stand in the environment of every result.

    Args:
        learner: its class.
        beside: a folder whose modules are its own too; of a learner without a package.
    """
    files = sorted(_files(learner, beside).items())
    codes = [code_of(Path(file).read_text(encoding="utf-8"), of) for file, of in files]
    if beside is not None:
        codes.sort()  # wherever the folder lies
    digest = hashlib.sha256()
    for code in codes:
        digest.update(code.encode())
    return digest.hexdigest()[:12]


def _files(learner: type[Learner], beside: Path | None = None) -> dict[str, str | None]:
    """Its files, and the package that each is in."""
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
    return {file: _parent(sys.modules[name]) for name, file in found.items() if file}


def _imports(module: ModuleType) -> Iterator[str]:
    """Every name that it imports, whether that is a module or something in one."""
    package = _parent(module)
    for node in ast.walk(ast.parse(Path(str(module.__file__)).read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            origin = _origin(node, package)
            yield origin
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def _origin(node: ast.ImportFrom, package: str | None) -> str:
    """What names are imported from, in full; as it is written where that leads out of the package,
    which nothing says before such an import is reached."""
    name = "." * node.level + (node.module or "")
    try:
        return importlib.util.resolve_name(name, package) if node.level else name
    except ImportError:
        return name


def _parent(module: ModuleType) -> str | None:
    """The package in which its relative imports begin."""
    return module.__spec__.parent if module.__spec__ else None


def _lies_in(folder: Path | None, name: str) -> bool:
    """Whether a module, or the package that it is of, lies in a folder itself."""
    file = getattr(sys.modules.get(_package(name)), "__file__", None)
    if folder is None or file is None:
        return False
    return folder in {Path(file).parent, Path(file).parent.parent}


def _package(name: str) -> str:
    return name.partition(".")[0]


def code_of(source: str, package: str | None = None) -> str:
    """Python source without comments, docstrings and layout: a line for each logical line, after
    its depth. Relative imports are absolute ones in it.

    Indentation counts by its depth and white space in strings by its presence; neither counts by
    how much of it there is. Spelled out by hand because `ast.unparse` and `ast.dump` differ between
    Python versions, and the same learner must not count as other code on another machine.

    Args:
        source: of a module.
        package: the one that it is in.
    """
    code = source.encode()
    begins = [0, *(match.end() for match in re.finditer(rb"\n", code))]  # of lines, as `ast` counts
    tree = ast.parse(source)

    def place(line: int, byte: int) -> int:
        return begins[line - 1] + byte

    told, depths = _read(source, place)
    left_out = [_span(node, place) for node in _docstrings(tree)] + told
    strings = [_span(node, place) for node in _strings(tree)]
    edits = [(start, end, b"") for start, end in left_out]
    edits += [(start, end, b" ".join(code[start:end].split())) for start, end in strings]
    edits += [(start, start, f"\n{depth} ".encode()) for start, depth in depths]
    edits += _absolute(code, tree, place, package)
    pieces, at = [], 0
    for start, end, instead in sorted(edits):
        pieces += [b"".join(code[at:start].split()), instead]
        at = end
    pieces.append(b"".join(code[at:].split()))
    lines = b"".join(pieces).decode().split("\n")
    return "\n".join(line for line in lines if line.partition(" ")[2])


Place = Callable[[int, int], int]
"""From a line, the first being 1, and a byte in it to a byte of all."""
Span = tuple[int, int]


def _span(node: ast.stmt | ast.expr, place: Place) -> Span:
    end = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return place(node.lineno, node.col_offset), place(*end)


def _docstrings(tree: ast.AST) -> Iterator[ast.expr]:
    """Strings that stand alone as a statement, those after an attribute too."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and _is_text(node.value):
            yield node.value


def _strings(node: ast.AST) -> Iterator[ast.expr]:
    """All others, each with the expressions in its braces."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr) and (isinstance(child, ast.JoinedStr) or _is_text(child)):
            if not isinstance(node, ast.Expr):
                yield child
        else:
            yield from _strings(child)


def _absolute(
    code: bytes, tree: ast.AST, place: Place, package: str | None
) -> Iterator[tuple[int, int, bytes]]:
    """What relative imports mean by what they are from, in its place."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and node.level:
            start, end = _span(node, place)
            written = re.compile(rb"from(.*?)\bimport\b", re.DOTALL).match(code, start, end)
            assert written is not None, "so every such statement begins"
            yield (*written.span(1), _origin(node, package).encode())


def _is_text(node: ast.expr) -> bool:
    return isinstance(node, ast.Constant) and isinstance(node.value, str | bytes)


OF_LAYOUT = {tokenize.NL, tokenize.ENCODING, tokenize.ENDMARKER}


def _read(source: str, place: Place) -> tuple[list[Span], list[tuple[int, int]]]:
    """Where comments are, and where logical lines begin, with their depths."""
    texts = source.split("\n")
    comments, lines = [], []
    depth, within = 0, False
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        line, column = token.start
        start = place(line, len(texts[line - 1][:column].encode())) if token.string else 0
        if token.type == tokenize.COMMENT:
            comments.append((start, start + len(token.string.encode())))
        elif token.type == tokenize.INDENT:
            depth += 1
        elif token.type == tokenize.DEDENT:
            depth -= 1
        elif token.type == tokenize.NEWLINE:
            within = False
        elif not within and token.type not in OF_LAYOUT:
            lines.append((start, depth))
            within = True
    return comments, lines
